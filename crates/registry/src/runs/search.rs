use super::{Run, Whose, get};
use crate::experiments::push_experiments;
use crate::search::{Page, RUNS, Search, page_of_rows};
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
            let search = Search {
                subject: &RUNS,
                table: "runs",
                filter: &asked.filter,
                order_by: &asked.order_by,
                scope: &format!("{:?} {:?}", asked.experiment_ids, asked.view),
                most: asked.most,
                page_token: asked.page_token.as_deref(),
            };
            let mut reader = self.read_settled(Whose::All).await?;
            let (rows, next) = page_of_rows(
                &mut reader,
                &search,
                |_| &[("start_time", true), ("run_id", false)],
                |query| {
                    push_experiments(query, &asked.experiment_ids);
                    asked.view.push(query);
                },
            )
            .await?;
            Ok(Page { items: get::with_details(&mut reader, &rows).await?, next })
        })
    }
}
