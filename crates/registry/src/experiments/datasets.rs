use karat_metadata::{QueryBuilder, stored};

use super::push_experiments;
use crate::{Answer, Registry};

/// More are not listed.
const MOST: usize = 1_000;

/// A data set that runs of an experiment have read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    pub experiment_id: i64,
    pub name: String,
    pub digest: String,
    /// What for; empty where a client said nothing.
    pub context: String,
}

impl Registry {
    /// The data sets that runs of these experiments have read, each once for each context; at most a thousand.
    pub fn datasets<'a>(&'a self, experiment_ids: &'a [i64]) -> Answer<'a, Vec<DatasetSummary>> {
        Box::pin(async move {
            let mut query = QueryBuilder::new(
                self.metadata.dialect(),
                "SELECT DISTINCT r.experiment_id, r.name, r.digest, i.context FROM datasets r \
                 JOIN run_inputs i ON i.dataset_id = r.id WHERE ",
            );
            push_experiments(&mut query, experiment_ids);
            query.push(format_args!(" ORDER BY r.experiment_id, r.name, r.digest, i.context LIMIT {MOST}"));
            let rows = query.build().fetch_all(&mut *self.metadata.read().await?).await?;
            let summary = |row| {
                Ok(DatasetSummary {
                    experiment_id: stored::int(row, "experiment_id")?,
                    name: stored::text(row, "name")?,
                    digest: stored::text(row, "digest")?,
                    context: stored::text(row, "context")?,
                })
            };
            rows.iter().map(summary).collect()
        })
    }
}
