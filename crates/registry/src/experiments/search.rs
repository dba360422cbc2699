use sqlx::{QueryBuilder, Sqlite};

use super::{Experiment, Lifecycle, experiment_of};
use crate::search::{self, EXPERIMENTS, Page, PageToken, parse_filter, parse_order};
use crate::{Answer, Registry, RegistryError};

/// Which stages of life are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    Active,
    Deleted,
    All,
}

impl View {
    pub(crate) fn push(self, query: &mut QueryBuilder<Sqlite>) {
        match self {
            View::Active => query.push(" AND r.lifecycle_stage = ").push_bind(Lifecycle::Active.as_str()),
            View::Deleted => query.push(" AND r.lifecycle_stage = ").push_bind(Lifecycle::Deleted.as_str()),
            View::All => query,
        };
    }
}

/// What experiments to find, in MLflow's search language.
#[derive(Debug, Clone, Default)]
pub struct ExperimentSearch {
    pub filter: String,
    /// The newest first where nothing is said.
    pub order_by: Vec<String>,
    pub view: View,
    pub most: u32,
    pub page_token: Option<String>,
}

impl Registry {
    pub fn search_experiments<'a>(&'a self, asked: &'a ExperimentSearch) -> Answer<'a, Page<Experiment>> {
        Box::pin(async move {
            let filter = parse_filter(&asked.filter, &EXPERIMENTS)?;
            let order = parse_order(&asked.order_by, &EXPERIMENTS)?;
            let last: &[_] = match order.is_empty() {
                true => &[("creation_time", true), ("experiment_id", false)],
                false => &[("experiment_id", true)],
            };
            let mut query = QueryBuilder::<Sqlite>::new("");
            let keys = search::push_keys(&mut query, &EXPERIMENTS, "experiments", &order, last);
            query.push(" WHERE TRUE");
            asked.view.push(&mut query);
            search::push_filter(&mut query, &EXPERIMENTS, &filter);
            let identity = format!("{:?} {:?} {:?}", asked.filter, asked.order_by, asked.view);
            if let Some(token) = &asked.page_token {
                search::push_condition(&mut query, &keys, &PageToken::read(token, &identity, &keys)?);
            }
            search::push_order(&mut query, &keys);
            query.push(" LIMIT ").push_bind(i64::from(asked.most) + 1);
            let mut reader = self.metadata.read().await?;
            let rows = query.build().fetch_all(&mut *reader).await?;
            let (rows, next) = search::page_of(&rows, asked.most, &identity, &keys)?;
            let mut items = Vec::with_capacity(rows.len());
            for row in rows {
                items.push(experiment_of(&mut reader, row).await?);
            }
            Ok(Page { items, next })
        })
    }
}

impl From<search::SearchError> for RegistryError {
    fn from(error: search::SearchError) -> RegistryError {
        RegistryError::Invalid(error.to_string())
    }
}
