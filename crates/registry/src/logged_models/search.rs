use sqlx::{QueryBuilder, Sqlite};

use super::{LoggedModel, with_details};
use crate::search::{self, LOGGED_MODELS, Page, PageToken, parse_filter, parse_order};
use crate::{Answer, Registry};

/// What logged models to find, in MLflow's search language; deleted ones never are.
#[derive(Debug, Clone, Default)]
pub struct LoggedModelSearch {
    pub experiment_ids: Vec<i64>,
    pub filter: String,
    /// The newest first where nothing is said.
    pub order_by: Vec<String>,
    pub most: u32,
    pub page_token: Option<String>,
}

impl Registry {
    pub fn search_logged_models<'a>(&'a self, asked: &'a LoggedModelSearch) -> Answer<'a, Page<LoggedModel>> {
        Box::pin(async move {
            let filter = parse_filter(&asked.filter, &LOGGED_MODELS)?;
            let order = parse_order(&asked.order_by, &LOGGED_MODELS)?;
            let mut query = QueryBuilder::<Sqlite>::new("");
            let last = [("creation_timestamp_ms", true), ("model_id", false)];
            let keys = search::push_keys(&mut query, &LOGGED_MODELS, "logged_models", &order, &last);
            query.push(" WHERE r.lifecycle_stage = 'active' AND r.experiment_id IN (");
            let mut ids = query.separated(", ");
            for id in &asked.experiment_ids {
                ids.push_bind(*id);
            }
            query.push(")");
            search::push_filter(&mut query, &LOGGED_MODELS, &filter);
            let identity = format!("{:?} {:?} {:?}", asked.experiment_ids, asked.filter, asked.order_by);
            if let Some(token) = &asked.page_token {
                search::push_condition(&mut query, &keys, &PageToken::read(token, &identity, &keys)?);
            }
            search::push_order(&mut query, &keys);
            query.push(" LIMIT ").push_bind(i64::from(asked.most) + 1);
            let mut reader = self.metadata.read().await?;
            let rows = query.build().fetch_all(&mut *reader).await?;
            let (rows, next) = search::page_of(&rows, asked.most, &identity, &keys)?;
            Ok(Page { items: with_details(&mut reader, rows).await?, next })
        })
    }
}
