//! Whole histories of metrics: told alike by their summary, written in pieces.

use karat_core::RunId;
use karat_metadata::stored;

use super::of_ids;
use crate::runs::{Whose, number, write_points};
use crate::{Answer, Metric, Registry};

/// What a history is told by: numbers that come out the same in any order of its points. Never compared with NaN.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct History {
    pub points: u64,
    /// Sums of remainders, which stay in the range of numbers.
    pub steps: i64,
    pub times: i64,
    pub nans: i64,
    pub least: f64,
    pub greatest: f64,
}

/// Sums are of remainders by this.
const MODULUS: i64 = 1_000_003;

/// The query of summaries of several runs; of our tables and of MLflow's.
pub(super) fn summary(run: &str, time: &str) -> String {
    format!(
        "SELECT {run}, COUNT(*) AS points, CAST(SUM(step % {MODULUS}) AS BIGINT) AS steps, \
         CAST(SUM({time} % {MODULUS}) AS BIGINT) AS times, \
         CAST(SUM(CASE WHEN is_nan THEN 1 ELSE 0 END) AS BIGINT) AS nans, MIN(value) AS least, MAX(value) AS greatest \
         FROM metrics WHERE {run} IN (IDS) GROUP BY {run}"
    )
}

impl History {
    /// Takes a point in, as the summary of a table does.
    pub fn add(&mut self, metric: &Metric) {
        let value = number(metric);
        (self.least, self.greatest) = match self.points {
            0 => (value, value),
            _ => (self.least.min(value), self.greatest.max(value)),
        };
        self.points += 1;
        self.steps += metric.step % MODULUS;
        self.times += metric.timestamp_ms % MODULUS;
        self.nans += i64::from(metric.value.is_nan());
    }
}

impl Registry {
    /// What is here of the runs' histories, in the order of the runs.
    pub fn histories<'a>(&'a self, runs: &'a [&'a RunId]) -> Answer<'a, Vec<History>> {
        Box::pin(async move {
            let mut histories = vec![History::default(); runs.len()];
            if runs.is_empty() {
                return Ok(histories);
            }
            let ids: Vec<&str> = runs.iter().map(|run| run.as_str()).collect();
            let mut reader = self.read_settled(Whose::Runs(&ids)).await?;
            let sql = summary("run_id", "timestamp_ms");
            let query = of_ids(reader.dialect(), &sql, runs.iter().map(|run| run.as_str()));
            for row in query.fetch_all(&mut reader).await? {
                let id = stored::text(&row, "run_id")?;
                let Some(place) = runs.iter().position(|run| run.as_str() == id) else { continue };
                histories[place] = History {
                    points: stored::count(&row, "points")?,
                    steps: row.get("steps")?,
                    times: row.get("times")?,
                    nans: row.get("nans")?,
                    least: row.get("least")?,
                    greatest: row.get("greatest")?,
                };
            }
            Ok(histories)
        })
    }

    /// Adds points to histories, in one transaction; those that are there stay. The latest values are the run's own affair.
    pub fn import_points<'a>(&'a self, points: &'a [(RunId, Metric)]) -> Answer<'a, u64> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let written = write_points(&mut tx, points.iter().map(|(run, metric)| (run.as_str(), metric))).await?;
            tx.commit().await?;
            Ok(written)
        })
    }
}
