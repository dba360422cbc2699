use karat_core::RunId;
use karat_metadata::{Connection, QueryBuilder, Row, stored};

use super::{Run, Whose, get};
use crate::experiments::push_experiments;
use crate::search::{Columns, Page, RUNS, Search, page_of_rows};
use crate::{Answer, Registry, RegistryError, View};

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

/// A run as it was at a time: who has read a run of this revision need not read it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRevision {
    pub run_id: RunId,
    /// Another one, and greater, after whatever was changed of the run or logged to it.
    pub revision: i64,
}

impl Registry {
    /// A page of runs. The next page begins after this one's last run, whatever was added meanwhile.
    pub fn search_runs<'a>(&'a self, asked: &'a RunSearch) -> Answer<'a, Page<Run>> {
        Box::pin(async move {
            let mut reader = self.read_settled(Whose::All).await?;
            let (rows, next) = found(&mut reader, asked, Columns::All).await?;
            Ok(Page { items: get::with_details(&mut reader, &rows).await?, next })
        })
    }

    /// The page that [`search_runs`](Self::search_runs) would give, of the runs only which.
    pub fn find_runs<'a>(&'a self, asked: &'a RunSearch) -> Answer<'a, Page<RunRevision>> {
        Box::pin(async move {
            let mut reader = self.read_settled(Whose::All).await?;
            let (rows, next) = found(&mut reader, asked, Columns::Of("r.run_id, r.revision")).await?;
            Ok(Page { items: rows.iter().map(revision).collect::<Result<_, _>>()?, next })
        })
    }

    /// Those of these runs that there are, each with a revision that it is at least as new as. In no order.
    pub fn runs_by_ids<'a>(&'a self, ids: &'a [&'a str]) -> Answer<'a, Vec<(RunRevision, Run)>> {
        Box::pin(async move {
            let mut reader = self.read_settled(Whose::Runs(ids)).await?;
            let mut runs = Vec::with_capacity(ids.len());
            for ids in ids.chunks(get::CHUNK) {
                let rows =
                    get::rows_of(reader.dialect(), "SELECT * FROM runs", ids).build().fetch_all(&mut reader).await?;
                let revisions = rows.iter().map(revision).collect::<Result<Vec<_>, _>>()?;
                runs.extend(revisions.into_iter().zip(get::with_details(&mut reader, &rows).await?));
            }
            Ok(runs)
        })
    }
}

fn revision(row: &Row) -> Result<RunRevision, RegistryError> {
    Ok(RunRevision { run_id: get::run_id(&stored::text(row, "run_id")?)?, revision: row.get("revision")? })
}

async fn found(
    reader: &mut Connection,
    asked: &RunSearch,
    columns: Columns,
) -> Result<(Vec<Row>, Option<String>), RegistryError> {
    let search = Search {
        subject: &RUNS,
        table: "runs",
        columns,
        filter: &asked.filter,
        order_by: &asked.order_by,
        scope: &format!("{:?} {:?}", asked.experiment_ids, asked.view),
        most: asked.most,
        page_token: asked.page_token.as_deref(),
    };
    let narrow = |query: &mut QueryBuilder| {
        push_experiments(query, &asked.experiment_ids);
        asked.view.push(query);
    };
    page_of_rows(reader, &search, |_| &[("start_time", true), ("run_id", false)], narrow).await
}
