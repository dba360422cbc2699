//! Runs as they are read: the row, and everything logged to it.

use std::collections::{BTreeMap, HashMap};

use karat_core::RunId;
use karat_metadata::{
    Cells, Connection, Dialect, MetadataError, Query, QueryBuilder, Row, query, query_scalar, stored,
};

use super::{DatasetInput, Metric, Run, RunFilter, RunModel, RunStatus, Whose};
use crate::{Answer, Lifecycle, Registry, RegistryError};

/// Runs whose details are fetched together.
pub(super) const CHUNK: usize = 500;

impl Registry {
    /// A run by its id or by a beginning of it that no other run has.
    pub fn run<'a>(&'a self, id_or_prefix: &'a str) -> Answer<'a, Run> {
        Box::pin(async move {
            let prefix = id_or_prefix.trim().to_ascii_lowercase();
            if prefix.is_empty() || prefix.len() > 32 || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(RegistryError::Invalid(format!(
                    "`{id_or_prefix}` is not the id of a run: expected its 32 hexadecimal digits, or the first of them"
                )));
            }
            let mut reader = self.metadata.read().await?;
            let ids: Vec<String> = query_scalar(
                "SELECT run_id FROM runs WHERE substr(run_id, 1, length($1)) = $1 ORDER BY run_id DESC LIMIT 4",
            )
            .bind(&prefix)
            .fetch_all(&mut reader)
            .await?;
            let run_id = match ids.as_slice() {
                [] => return Err(RegistryError::NotFound(format!("there is no run `{id_or_prefix}`"))),
                [id] => run_id(id)?,
                several => {
                    return Err(RegistryError::Invalid(format!(
                        "`{id_or_prefix}` begins the ids of several runs ({}{}): give more digits",
                        several[..several.len().min(3)].join(", "),
                        if several.len() > 3 { ", …" } else { "" },
                    )));
                }
            };
            drop(reader);
            let mut reader = self.read_settled(Whose::Runs(&[run_id.as_str()])).await?;
            by_id(&mut reader, run_id.as_str()).await?.ok_or_else(|| super::start::no_run(&run_id))
        })
    }

    /// The newest first.
    pub fn runs<'a>(&'a self, filter: &'a RunFilter) -> Answer<'a, Vec<Run>> {
        Box::pin(async move {
            let mut reader = self.read_settled(Whose::All).await?;
            let rows = query(
                "SELECT * FROM runs WHERE lifecycle_stage = 'active' AND ($1 IS NULL OR experiment_id = $1) \
                 AND ($2 IS NULL OR status = $2) ORDER BY start_time_ms DESC, run_id DESC LIMIT $3",
            )
            .bind(filter.experiment_id)
            .bind(filter.status.map(RunStatus::as_str))
            .bind(filter.limit.map_or(i64::MAX, i64::from))
            .fetch_all(&mut reader)
            .await?;
            with_details(&mut reader, &rows).await
        })
    }
}

pub(crate) async fn by_id(connection: &mut Connection, run_id: &str) -> Result<Option<Run>, RegistryError> {
    let rows = query("SELECT * FROM runs WHERE run_id = $1").bind(run_id).fetch_all(&mut *connection).await?;
    Ok(with_details(connection, &rows).await?.pop())
}

pub(super) async fn with_details(connection: &mut Connection, rows: &[Row]) -> Result<Vec<Run>, RegistryError> {
    let mut runs = rows.iter().map(run_of).collect::<Result<Vec<Run>, RegistryError>>()?;
    for runs in runs.chunks_mut(CHUNK) {
        add_details(connection, runs).await?;
    }
    Ok(runs)
}

async fn add_details(connection: &mut Connection, runs: &mut [Run]) -> Result<(), RegistryError> {
    let ids: Vec<String> = runs.iter().map(|run| run.run_id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut of_runs = async |select: &'static str, order: &'static str, see: See| {
        let query = select_of(connection.dialect(), select, &ids, order);
        query.each(connection, |cells| see(&mut runs[places[cells.text(0)?]], &cells)).await
    };
    of_runs(
        "SELECT run_id, key, value, is_nan, timestamp_ms, step FROM latest_metrics",
        "run_id, key",
        |run, cells| {
            let value = if cells.bool(3)? { f64::NAN } else { cells.float(2)? };
            let (key, timestamp_ms, step) = (cells.text(1)?.to_owned(), cells.int(4)?, cells.int(5)?);
            run.metrics.push(Metric { key, value, timestamp_ms, step });
            Ok(())
        },
    )
    .await?;
    of_runs("SELECT run_id, key, value FROM params", "run_id, key", |run, cells| {
        run.params.insert(cells.text(1)?.to_owned(), cells.text(2)?.to_owned());
        Ok(())
    })
    .await?;
    of_runs("SELECT run_id, key, value FROM run_tags", "run_id, key", |run, cells| {
        run.tags.insert(cells.text(1)?.to_owned(), cells.text(2)?.to_owned());
        Ok(())
    })
    .await?;
    of_runs(INPUTS, "d.id", |run, cells| {
        let text = |column| cells.text(column).map(str::to_owned);
        run.inputs.push(DatasetInput {
            name: text(3)?,
            digest: text(4)?,
            source_type: text(5)?,
            source: text(6)?,
            schema: text(7)?,
            profile: text(8)?,
            context: text(1)?,
            tags: serde_json::from_str(cells.text(2)?).unwrap_or_default(),
        });
        Ok(())
    })
    .await?;
    of_runs("SELECT run_id, direction, model_id, step FROM run_models", "model_id", |run, cells| {
        let models = match cells.text(1)? {
            "input" => &mut run.model_inputs,
            _ => &mut run.model_outputs,
        };
        models.push(RunModel { model_id: cells.text(2)?.to_owned(), step: cells.int(3)? });
        Ok(())
    })
    .await
}

/// Takes a row of its details into a run.
type See = fn(&mut Run, &Cells<'_>) -> Result<(), RegistryError>;

const INPUTS: &str = "SELECT i.run_id, i.context, i.tags, d.name, d.digest, d.source_type, d.source, d.schema, d.profile \
                      FROM run_inputs i JOIN datasets d ON d.id = i.dataset_id";

/// The rows of `select` that belong to these runs.
fn select_of(dialect: Dialect, select: &'static str, ids: &[&str], order: &'static str) -> Query {
    rows_of(dialect, select, ids).push(" ORDER BY ").push(order).build()
}

pub(super) fn rows_of(dialect: Dialect, select: &'static str, ids: &[&str]) -> QueryBuilder {
    let mut query = QueryBuilder::new(dialect, select);
    query.push(" WHERE run_id IN (");
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    query.push(")");
    query
}

fn run_of(row: &Row) -> Result<Run, RegistryError> {
    Ok(Run {
        run_id: run_id(&stored::text(row, "run_id")?)?,
        experiment_id: stored::int(row, "experiment_id")?,
        name: stored::text(row, "name")?,
        user: stored::text(row, "user_name")?,
        status: stored::word(row, "status", RunStatus::parse)?,
        start_time_ms: stored::int(row, "start_time_ms")?,
        end_time_ms: row.get("end_time_ms")?,
        lifecycle_stage: stored::word(row, "lifecycle_stage", Lifecycle::parse)?,
        artifact_uri: stored::text(row, "artifact_uri")?,
        metrics: Vec::new(),
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
        inputs: Vec::new(),
        model_inputs: Vec::new(),
        model_outputs: Vec::new(),
    })
}

pub(super) fn run_id(text: &str) -> Result<RunId, RegistryError> {
    RunId::parse(text).ok_or_else(|| MetadataError::Corrupt(format!("`{text}` is not the id of a run")).into())
}
