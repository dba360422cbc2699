use super::{Experiment, Lifecycle, experiment_of};
use crate::search::{self, Columns, EXPERIMENTS, Page, Search, page_of_rows};
use crate::{Answer, Registry, RegistryError};
use karat_metadata::QueryBuilder;

/// Which stages of life are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    Active,
    Deleted,
    All,
}

impl View {
    pub(crate) fn push(self, query: &mut QueryBuilder) {
        match self {
            View::Active => query.push(" AND r.lifecycle_stage = ").push_bind(Lifecycle::Active.as_str()),
            View::Deleted => query.push(" AND r.lifecycle_stage = ").push_bind(Lifecycle::Deleted.as_str()),
            View::All => query,
        };
    }
}

/// Rows of these experiments.
pub(crate) fn push_experiments(query: &mut QueryBuilder, experiment_ids: &[i64]) {
    if experiment_ids.is_empty() {
        // An empty list is none in PostgreSQL.
        query.push("FALSE");
        return;
    }
    query.push("r.experiment_id IN (");
    let mut ids = query.separated(", ");
    for id in experiment_ids {
        ids.push_bind(*id);
    }
    query.push(")");
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
            let search = Search {
                subject: &EXPERIMENTS,
                table: "experiments",
                columns: Columns::All,
                filter: &asked.filter,
                order_by: &asked.order_by,
                scope: &format!("{:?}", asked.view),
                most: asked.most,
                page_token: asked.page_token.as_deref(),
            };
            let last = |ordered| -> &'static [_] {
                if ordered { &[("experiment_id", true)] } else { &[("creation_time", true), ("experiment_id", false)] }
            };
            let mut reader = self.metadata.read().await?;
            let (rows, next) = page_of_rows(&mut reader, &search, last, |query| {
                query.push("TRUE");
                asked.view.push(query);
            })
            .await?;
            let mut items = Vec::with_capacity(rows.len());
            for row in &rows {
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
