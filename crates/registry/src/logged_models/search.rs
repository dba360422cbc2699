use super::{LoggedModel, with_details};
use crate::experiments::push_experiments;
use crate::search::{Columns, LOGGED_MODELS, Page, Search, page_of_rows};
use crate::{Answer, Registry, View};

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
            let search = Search {
                subject: &LOGGED_MODELS,
                table: "logged_models",
                columns: Columns::All,
                filter: &asked.filter,
                order_by: &asked.order_by,
                scope: &format!("{:?}", asked.experiment_ids),
                most: asked.most,
                page_token: asked.page_token.as_deref(),
            };
            let last = |_| -> &'static [_] { &[("creation_timestamp_ms", true), ("model_id", false)] };
            let mut reader = self.metadata.read().await?;
            let (rows, next) = page_of_rows(&mut reader, &search, last, |query| {
                push_experiments(query, &asked.experiment_ids);
                View::Active.push(query);
            })
            .await?;
            Ok(Page { items: with_details(&mut reader, &rows).await?, next })
        })
    }
}
