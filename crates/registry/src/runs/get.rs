//! Runs as they are read: the row, and everything logged to it.

use std::collections::BTreeMap;

use karat_core::RunId;
use karat_metadata::{Connection, MetadataError, QueryBuilder, Row, query, query_scalar, stored};

use super::{DatasetInput, Run, RunFilter, RunModel, RunStatus, Whose, log};
use crate::{Answer, Lifecycle, Registry, RegistryError};

const LATEST: &str = "SELECT run_id, key, value, is_nan, timestamp_ms, step FROM latest_metrics WHERE";
/// Runs whose details are fetched together.
const CHUNK: usize = 500;

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
        let places: BTreeMap<String, usize> =
            runs.iter().enumerate().map(|(place, run)| (run.run_id.to_string(), place)).collect();
        for (place, row) in details(connection, &places, LATEST, "run_id, key").await? {
            runs[place].metrics.push(log::metric_of(&row)?);
        }
        for (place, row) in
            details(connection, &places, "SELECT run_id, key, value FROM params WHERE", "run_id, key").await?
        {
            runs[place].params.insert(row.get("key")?, row.get("value")?);
        }
        for (place, row) in
            details(connection, &places, "SELECT run_id, key, value FROM run_tags WHERE", "run_id, key").await?
        {
            runs[place].tags.insert(row.get("key")?, row.get("value")?);
        }
        let inputs =
            "SELECT i.run_id, i.context, i.tags, d.* FROM run_inputs i JOIN datasets d ON d.id = i.dataset_id WHERE";
        for (place, row) in details(connection, &places, inputs, "d.id").await? {
            runs[place].inputs.push(input_of(&row)?);
        }
        for (place, row) in details(connection, &places, "SELECT * FROM run_models WHERE", "model_id").await? {
            let model = RunModel { model_id: row.get("model_id")?, step: row.get("step")? };
            match stored::text(&row, "direction")?.as_str() {
                "input" => runs[place].model_inputs.push(model),
                _ => runs[place].model_outputs.push(model),
            }
        }
    }
    Ok(runs)
}

/// The rows of `select` that belong to these runs, each with its run's place.
async fn details(
    connection: &mut Connection,
    places: &BTreeMap<String, usize>,
    select: &'static str,
    order: &'static str,
) -> Result<Vec<(usize, Row)>, RegistryError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::new(connection.dialect(), format!("{select} run_id IN ("));
    let mut ids = query.separated(", ");
    for run_id in places.keys() {
        ids.push_bind(run_id);
    }
    let rows = query.push(") ORDER BY ").push(order).build().fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((places[&stored::text(&row, "run_id")?], row))).collect()
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

fn input_of(row: &Row) -> Result<DatasetInput, RegistryError> {
    Ok(DatasetInput {
        name: stored::text(row, "name")?,
        digest: stored::text(row, "digest")?,
        source_type: stored::text(row, "source_type")?,
        source: stored::text(row, "source")?,
        schema: stored::text(row, "schema")?,
        profile: stored::text(row, "profile")?,
        context: stored::text(row, "context")?,
        tags: serde_json::from_value(stored::json(row, "tags")?).unwrap_or_default(),
    })
}

fn run_id(text: &str) -> Result<RunId, RegistryError> {
    RunId::parse(text).ok_or_else(|| MetadataError::Corrupt(format!("`{text}` is not the id of a run")).into())
}
