//! A model as MLflow 3 logs it: a folder of files under an id of its own, with what runs measured of it.

mod manage;
mod search;

use std::collections::BTreeMap;

use karat_metadata::{Connection, QueryBuilder, Row, WriteTx, query, stored};

pub use manage::NewLoggedModel;
pub(crate) use manage::{read_one, write_params, write_tags};
pub use search::LoggedModelSearch;

use crate::{Metric, RegistryError};

#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModel {
    pub model_id: String,
    pub experiment_id: i64,
    pub name: String,
    pub artifact_location: String,
    /// Empty where nothing was said, as the run.
    pub model_type: String,
    pub source_run_id: String,
    pub status: LoggedModelStatus,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub metrics: Vec<ModelMetric>,
}

/// What a run measured of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetric {
    pub model_id: String,
    pub run_id: String,
    pub metric: Metric,
    /// Empty where nothing is said.
    pub dataset_name: String,
    pub dataset_digest: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedModelStatus {
    Pending,
    Ready,
    UploadFailed,
}

impl LoggedModelStatus {
    pub fn parse(word: &str) -> Option<LoggedModelStatus> {
        use LoggedModelStatus::*;
        [Pending, Ready, UploadFailed].into_iter().find(|status| status.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            LoggedModelStatus::Pending => "PENDING",
            LoggedModelStatus::Ready => "READY",
            LoggedModelStatus::UploadFailed => "UPLOAD_FAILED",
        }
    }
}

/// A value that was kept before under the same time and step stays.
pub(crate) async fn write_metrics(
    tx: &mut WriteTx,
    run_id: &str,
    metrics: &[ModelMetric],
) -> Result<(), RegistryError> {
    for one in metrics {
        let is_nan = one.metric.value.is_nan();
        let written = query(
            "INSERT INTO logged_model_metrics \
             (model_id, run_id, key, timestamp_ms, step, value, is_nan, dataset_name, dataset_digest) \
             SELECT model_id, $2, $3, $4, $5, $6, $7, $8, $9 FROM logged_models WHERE model_id = $1 \
             ON CONFLICT (model_id, key, timestamp_ms, step, run_id) DO UPDATE SET key = excluded.key",
        )
        .bind(&one.model_id)
        .bind(run_id)
        .bind(&one.metric.key)
        .bind(one.metric.timestamp_ms)
        .bind(one.metric.step)
        .bind(if is_nan { 0.0 } else { one.metric.value })
        .bind(is_nan)
        .bind(&one.dataset_name)
        .bind(&one.dataset_digest)
        .execute(tx)
        .await?;
        if written == 0 {
            return Err(no_model(&one.model_id));
        }
    }
    Ok(())
}

fn no_model(model_id: &str) -> RegistryError {
    RegistryError::NotFound(format!("Logged model with ID '{model_id}' not found."))
}

async fn with_details(connection: &mut Connection, rows: &[Row]) -> Result<Vec<LoggedModel>, RegistryError> {
    let mut models = rows.iter().map(model_of).collect::<Result<Vec<_>, _>>()?;
    let places: BTreeMap<String, usize> =
        models.iter().enumerate().map(|(place, model)| (model.model_id.clone(), place)).collect();
    for (table, kind) in
        [("logged_model_params", Kind::Param), ("logged_model_tags", Kind::Tag), ("logged_model_metrics", Kind::Metric)]
    {
        if places.is_empty() {
            break;
        }
        let mut query = QueryBuilder::new(connection.dialect(), format!("SELECT * FROM {table} WHERE model_id IN ("));
        let mut ids = query.separated(", ");
        for model_id in places.keys() {
            ids.push_bind(model_id);
        }
        query.push(") ORDER BY key");
        for row in query.build().fetch_all(&mut *connection).await? {
            let model = &mut models[places[&stored::text(&row, "model_id")?]];
            match kind {
                Kind::Param => drop(model.params.insert(row.get("key")?, row.get("value")?)),
                Kind::Tag => drop(model.tags.insert(row.get("key")?, row.get("value")?)),
                Kind::Metric => model.metrics.push(ModelMetric {
                    model_id: model.model_id.clone(),
                    run_id: stored::text(&row, "run_id")?,
                    metric: crate::runs::metric_of(&row)?,
                    dataset_name: stored::text(&row, "dataset_name")?,
                    dataset_digest: stored::text(&row, "dataset_digest")?,
                }),
            }
        }
    }
    Ok(models)
}

#[derive(Clone, Copy)]
enum Kind {
    Param,
    Tag,
    Metric,
}

fn model_of(row: &Row) -> Result<LoggedModel, RegistryError> {
    Ok(LoggedModel {
        model_id: stored::text(row, "model_id")?,
        experiment_id: stored::int(row, "experiment_id")?,
        name: stored::text(row, "name")?,
        artifact_location: stored::text(row, "artifact_location")?,
        model_type: stored::text(row, "model_type")?,
        source_run_id: stored::text(row, "source_run_id")?,
        status: stored::word(row, "status", LoggedModelStatus::parse)?,
        creation_time_ms: stored::int(row, "creation_time_ms")?,
        last_update_time_ms: stored::int(row, "last_update_time_ms")?,
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
        metrics: Vec::new(),
    })
}
