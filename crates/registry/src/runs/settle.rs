//! Metrics land as they were logged, a row for each batch, and are moved in order to where they are read when somebody
//! reads or enough have come: what a batch of a hundred values touches is one page then instead of a hundred.

use std::collections::BTreeMap;

use karat_metadata::{Connection, MetadataError, QueryBuilder, ReadConnection, WriteTx, query, stored};

use super::Metric;
use super::log::write_metrics;
use crate::{Registry, RegistryError};

/// Whose batches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'r> {
    All,
    Runs(&'r [&'r str]),
}

/// Batches read at once.
const PAGE: i64 = 1_000;

impl Registry {
    /// A reader to whom all that was logged is where it is read.
    pub(crate) async fn read_settled(&self, whose: Whose<'_>) -> Result<ReadConnection, RegistryError> {
        let mut reader = self.metadata.read().await?;
        if !waiting(&mut reader, whose).await? {
            return Ok(reader);
        }
        drop(reader);
        let mut tx = self.metadata.begin().await?;
        settle(&mut tx, whose).await?;
        tx.commit().await?;
        Ok(self.metadata.read().await?)
    }
}

/// Keeps a batch as it came.
pub(super) async fn keep(tx: &mut WriteTx, run_id: &str, metrics: &[Metric]) -> Result<(), RegistryError> {
    if metrics.is_empty() {
        return Ok(());
    }
    let points: Vec<_> =
        metrics.iter().map(|metric| (&metric.key, metric.value.to_bits(), metric.timestamp_ms, metric.step)).collect();
    query("INSERT INTO metric_batches (run_id, points) VALUES ($1, $2)")
        .bind(run_id)
        .bind(serde_json::to_string(&points).map_err(|error| MetadataError::Corrupt(error.to_string()))?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Moves batches to histories and latest values; what was moved before changes nothing.
pub(crate) async fn settle(tx: &mut WriteTx, whose: Whose<'_>) -> Result<(), RegistryError> {
    loop {
        let mut select = QueryBuilder::new(tx.dialect(), "SELECT id, run_id, points FROM metric_batches");
        push_whose(&mut select, whose);
        let rows = select.push(" ORDER BY run_id, id LIMIT ").push_bind(PAGE).build().fetch_all(tx).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        let (last_run, last_id): (String, i64) = (last.get("run_id")?, last.get("id")?);
        let mut by_run: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
        for row in &rows {
            by_run.entry(row.get("run_id")?).or_default().extend(points(&stored::text(row, "points")?)?);
        }
        for (run_id, metrics) in &mut by_run {
            // In the order of their key, each page of the history is written once.
            metrics.sort_by(|a, b| (&a.key, a.timestamp_ms, a.step).cmp(&(&b.key, b.timestamp_ms, b.step)));
            write_metrics(tx, run_id, metrics).await?;
        }
        let mut delete = QueryBuilder::new(tx.dialect(), "DELETE FROM metric_batches");
        push_whose(&mut delete, whose);
        delete.push(" AND (run_id, id) <= (").push_bind(last_run).push(", ").push_bind(last_id).push(")");
        delete.build().execute(tx).await?;
    }
}

async fn waiting(connection: &mut Connection, whose: Whose<'_>) -> Result<bool, RegistryError> {
    let mut exists = QueryBuilder::new(connection.dialect(), "SELECT id FROM metric_batches");
    push_whose(&mut exists, whose);
    Ok(exists.push(" LIMIT 1").build().fetch_optional(connection).await?.is_some())
}

fn push_whose(query: &mut QueryBuilder, whose: Whose<'_>) {
    match whose {
        Whose::All => query.push(" WHERE TRUE"),
        Whose::Runs([]) => query.push(" WHERE FALSE"),
        Whose::Runs(runs) => {
            query.push(" WHERE run_id IN (");
            let mut ids = query.separated(", ");
            for run_id in runs {
                ids.push_bind(*run_id);
            }
            query.push(")")
        }
    };
}

fn points(text: &str) -> Result<impl Iterator<Item = Metric>, RegistryError> {
    let points: Vec<(String, u64, i64, i64)> = serde_json::from_str(text)
        .map_err(|error| MetadataError::Corrupt(format!("a batch of metrics cannot be read: {error}")))?;
    Ok(points.into_iter().map(|(key, bits, timestamp_ms, step)| Metric {
        key,
        value: f64::from_bits(bits),
        timestamp_ms,
        step,
    }))
}
