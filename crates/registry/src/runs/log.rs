//! What a run tells while it runs: metrics, params, tags, each batch in one transaction.

use std::collections::BTreeMap;

use karat_core::RunId;
use karat_metadata::{Bind, Bound, Row, WriteTx, query, query_scalar, stored};

use super::{Metric, Whose, start::no_run};
use crate::{Answer, Registry, RegistryError};

impl Registry {
    /// Appends to the full history of the metrics and moves their latest values. Logging the same point twice is
    /// logging it once.
    pub fn log_metrics<'a>(&'a self, run_id: &'a RunId, metrics: &'a [Metric]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, run_id).await?;
            write_metrics(&mut tx, run_id.as_str(), metrics).await?;
            Ok(tx.commit().await?)
        })
    }

    /// A param is written once: the same value again changes nothing, another value is a conflict and nothing is written.
    pub fn log_params<'a>(&'a self, run_id: &'a RunId, params: &'a BTreeMap<String, String>) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, run_id).await?;
            for (key, value) in params {
                let kept = keep_param(&mut tx, run_id.as_str(), key, value).await?;
                if kept != *value {
                    return Err(RegistryError::Conflict(format!(
                        "param `{key}` of run `{run_id}` is `{kept}` already and cannot become `{value}`"
                    )));
                }
            }
            changed(&mut tx, run_id.as_str()).await?;
            Ok(tx.commit().await?)
        })
    }

    /// Sets tags; a tag that was set gets the new value.
    pub fn log_tags<'a>(&'a self, run_id: &'a RunId, tags: &'a BTreeMap<String, String>) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, run_id).await?;
            write_tags(&mut tx, run_id.as_str(), tags).await?;
            Ok(tx.commit().await?)
        })
    }

    /// Every value a metric had, by time, then step.
    pub fn metric_history<'a>(&'a self, run_id: &'a RunId, key: &'a str) -> Answer<'a, Vec<Metric>> {
        Box::pin(async move {
            let rows = query(
                "SELECT key, value, is_nan, timestamp_ms, step FROM metrics WHERE run_id = $1 AND key = $2 \
                 ORDER BY timestamp_ms, step, value",
            )
            .bind(run_id.as_str())
            .bind(key)
            .fetch_all(&mut *self.read_settled(Whose::Runs(&[run_id.as_str()])).await?)
            .await?;
            rows.iter().map(metric_of).collect()
        })
    }
}

/// Says that a run is another than it was: whatever writes what is shown of it says so in the same transaction.
pub(crate) async fn changed(tx: &mut WriteTx, run_id: &str) -> Result<(), RegistryError> {
    query("UPDATE runs SET revision = revision + 1 WHERE run_id = $1").bind(run_id).execute(tx).await?;
    Ok(())
}

/// Keeps a param that is new; the value that there is then.
pub(super) async fn keep_param(
    tx: &mut WriteTx,
    run_id: &str,
    key: &str,
    value: &str,
) -> Result<String, RegistryError> {
    // The update that changes nothing makes RETURNING give the row that was there.
    let kept = query_scalar(
        "INSERT INTO params (run_id, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (run_id, key) DO UPDATE SET value = params.value RETURNING value",
    );
    Ok(kept.bind(run_id).bind(key).bind(value).fetch_one(tx).await?)
}

/// Appends to the history of the metrics and moves their latest values.
pub(super) async fn write_metrics(tx: &mut WriteTx, run_id: &str, metrics: &[Metric]) -> Result<(), RegistryError> {
    write_points(tx, metrics.iter().map(|metric| (run_id, metric))).await?;
    let head = "INSERT INTO latest_metrics (run_id, key, value, is_nan, timestamp_ms, step)";
    let later = "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan, \
                 timestamp_ms = excluded.timestamp_ms, step = excluded.step \
                 WHERE (excluded.step, excluded.timestamp_ms, excluded.value) \
                 > (latest_metrics.step, latest_metrics.timestamp_ms, latest_metrics.value)";
    tx.insert(head, latest(metrics).into_values().map(|metric| bound(run_id, metric)), later).await?;
    changed(tx, run_id).await
}

/// Appends to histories; a point that is there stays.
pub(crate) async fn write_points<'m>(
    tx: &mut WriteTx,
    points: impl Iterator<Item = (&'m str, &'m Metric)>,
) -> Result<u64, RegistryError> {
    let head = "INSERT INTO metrics (run_id, key, value, is_nan, timestamp_ms, step)";
    Ok(tx.insert(head, points.map(|(run_id, metric)| bound(run_id, metric)), "ON CONFLICT DO NOTHING").await?)
}

/// A point as its row has it: NaN is 0, with a word beside it.
pub(crate) fn bound(run_id: &str, metric: &Metric) -> [Bound; 6] {
    [
        run_id.bound(),
        (&metric.key).bound(),
        number(metric).bound(),
        metric.value.is_nan().bound(),
        metric.timestamp_ms.bound(),
        metric.step.bound(),
    ]
}

pub(crate) async fn require(tx: &mut WriteTx, run_id: &RunId) -> Result<(), RegistryError> {
    let found: Option<i64> = query_scalar("SELECT experiment_id FROM runs WHERE run_id = $1")
        .bind(run_id.as_str())
        .fetch_optional(tx)
        .await?;
    found.map(|_| ()).ok_or_else(|| no_run(run_id))
}

pub(crate) async fn write_tags(
    tx: &mut WriteTx,
    run_id: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), RegistryError> {
    let rows = tags.iter().map(|(key, value)| [run_id.bound(), key.bound(), value.bound()]);
    let newest = "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value";
    if tx.insert("INSERT INTO run_tags (run_id, key, value)", rows, newest).await? > 0 {
        changed(tx, run_id).await?;
    }
    Ok(())
}

pub(crate) fn metric_of(row: &Row) -> Result<Metric, RegistryError> {
    let is_nan: bool = row.get("is_nan")?;
    let value: f64 = row.get("value")?;
    Ok(Metric {
        key: stored::text(row, "key")?,
        value: if is_nan { f64::NAN } else { value },
        timestamp_ms: stored::int(row, "timestamp_ms")?,
        step: stored::int(row, "step")?,
    })
}

pub(crate) fn number(metric: &Metric) -> f64 {
    if metric.value.is_nan() { 0.0 } else { metric.value }
}

/// Of each key the point with the greatest (step, time, value); of equal ones the first in the batch.
fn latest(metrics: &[Metric]) -> BTreeMap<&str, &Metric> {
    let order = |metric: &Metric| (metric.step, metric.timestamp_ms);
    let mut latest: BTreeMap<&str, &Metric> = BTreeMap::new();
    for metric in metrics {
        let held = latest.entry(&metric.key).or_insert(metric);
        let later = order(metric).cmp(&order(held)).then(number(metric).total_cmp(&number(held)));
        if later.is_gt() {
            *held = metric;
        }
    }
    latest
}
