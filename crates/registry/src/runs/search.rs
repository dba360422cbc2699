use sqlx::{QueryBuilder, Sqlite};

use super::{Run, get};
use crate::search::{self, Page, PageToken, RUNS, parse_filter, parse_order};
use crate::{Answer, Registry, View};

/// What runs to find, in MLflow's search language.
#[derive(Debug, Clone, Default)]
pub struct RunSearch {
    pub experiment_ids: Vec<i64>,
    pub filter: String,
    /// The newest first where nothing is said.
    pub order_by: Vec<String>,
    pub view: View,
    pub most: u32,
    pub page_token: Option<String>,
}

impl Registry {
    /// A page of runs. The next page begins after this one's last run, whatever was added meanwhile.
    pub fn search_runs<'a>(&'a self, asked: &'a RunSearch) -> Answer<'a, Page<Run>> {
        Box::pin(async move {
            let filter = parse_filter(&asked.filter, &RUNS)?;
            let order = parse_order(&asked.order_by, &RUNS)?;
            let mut query = QueryBuilder::<Sqlite>::new("");
            let last = [("start_time", true), ("run_id", false)];
            let keys = search::push_keys(&mut query, &RUNS, "runs", &order, &last);
            query.push(" WHERE r.experiment_id IN (");
            let mut ids = query.separated(", ");
            for id in &asked.experiment_ids {
                ids.push_bind(*id);
            }
            query.push(")");
            asked.view.push(&mut query);
            search::push_filter(&mut query, &RUNS, &filter);
            let identity =
                format!("{:?} {:?} {:?} {:?}", asked.experiment_ids, asked.filter, asked.order_by, asked.view);
            if let Some(token) = &asked.page_token {
                search::push_condition(&mut query, &keys, &PageToken::read(token, &identity, &keys)?);
            }
            search::push_order(&mut query, &keys);
            query.push(" LIMIT ").push_bind(i64::from(asked.most) + 1);
            let mut reader = self.metadata.read().await?;
            let rows = query.build().fetch_all(&mut *reader).await?;
            let (rows, next) = search::page_of(&rows, asked.most, &identity, &keys)?;
            Ok(Page { items: get::with_details(&mut reader, rows).await?, next })
        })
    }
}
