//! Experiments and runs as MLflow's clients read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use karat_registry::{DatasetInput, Experiment, Lifecycle, Metric, Run, RunModel};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::messages::Message;

/// The tag that says what an input is for.
pub const CONTEXT_TAG: &str = "mlflow.data.context";

pub fn experiment(experiment: &Experiment) -> Json {
    let mut fields = object(json!({
        "experiment_id": experiment.id.to_string(),
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": experiment.lifecycle_stage,
        "creation_time": experiment.creation_time_ms,
        "last_update_time": experiment.last_update_time_ms,
        "workspace": "default",
    }));
    put(&mut fields, "tags", pairs(&experiment.tags));
    Json::Object(fields)
}

/// A run as its message: written from what was read, with no tree of JSON in between, for searches answer thousands.
#[derive(Serialize)]
pub struct RunMessage<'r> {
    info: RunInfo<'r>,
    data: RunData<'r>,
    inputs: RunInputs<'r>,
    outputs: RunOutputs<'r>,
}

#[derive(Serialize)]
pub struct RunInfo<'r> {
    run_id: &'r str,
    run_uuid: &'r str,
    run_name: &'r str,
    experiment_id: String,
    user_id: &'r str,
    status: &'r str,
    start_time: i64,
    /// MLflow reads 0 as not over yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    lifecycle_stage: Lifecycle,
    artifact_uri: &'r str,
}

#[derive(Serialize)]
struct RunData<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricMessage<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'r>>,
}

#[derive(Serialize)]
struct RunInputs<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelMessage<'r>>,
}

#[derive(Serialize)]
struct RunOutputs<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelMessage<'r>>,
}

#[derive(Serialize)]
struct ModelMessage<'r> {
    model_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
}

#[derive(Serialize)]
struct Pair<'r> {
    key: &'r str,
    value: &'r str,
}

/// A value of a metric, of a run where the answer is about several.
#[derive(Serialize)]
pub struct MetricMessage<'r> {
    key: &'r str,
    #[serde(serialize_with = "any_float")]
    value: f64,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'r str>,
}

impl<'r> From<&'r Run> for RunMessage<'r> {
    fn from(run: &'r Run) -> RunMessage<'r> {
        let pairs = |map: &'r BTreeMap<String, String>| map.iter().map(|(key, value)| Pair { key, value }).collect();
        let read = |model: &'r RunModel| ModelMessage { model_id: &model.model_id, step: None };
        let made = |model: &'r RunModel| ModelMessage { model_id: &model.model_id, step: Some(model.step) };
        RunMessage {
            info: run.into(),
            data: RunData {
                metrics: run.metrics.iter().map(MetricMessage::from).collect(),
                params: pairs(&run.params),
                tags: pairs(&run.tags),
            },
            inputs: RunInputs {
                dataset_inputs: run.inputs.iter().map(dataset_input).collect(),
                model_inputs: run.model_inputs.iter().map(read).collect(),
            },
            outputs: RunOutputs { model_outputs: run.model_outputs.iter().map(made).collect() },
        }
    }
}

impl<'r> From<&'r Run> for RunInfo<'r> {
    fn from(run: &'r Run) -> RunInfo<'r> {
        RunInfo {
            run_id: run.run_id.as_str(),
            run_uuid: run.run_id.as_str(),
            run_name: &run.name,
            experiment_id: run.experiment_id.to_string(),
            user_id: &run.user,
            status: run.status.as_str(),
            start_time: run.start_time_ms,
            end_time: run.end_time_ms.filter(|end| *end != 0),
            lifecycle_stage: run.lifecycle_stage,
            artifact_uri: &run.artifact_uri,
        }
    }
}

impl<'r> From<&'r Metric> for MetricMessage<'r> {
    fn from(metric: &'r Metric) -> MetricMessage<'r> {
        let Metric { key, value, timestamp_ms, step } = metric;
        MetricMessage { key, value: *value, timestamp: *timestamp_ms, step: *step, run_id: None }
    }
}

impl<'r> MetricMessage<'r> {
    pub fn of_run(run_id: &'r str, metric: &'r Metric) -> MetricMessage<'r> {
        MetricMessage { run_id: Some(run_id), ..metric.into() }
    }
}

/// A page of runs.
pub struct Runs {
    pub runs: Vec<Arc<Message>>,
    pub next_page_token: Option<String>,
}

impl Runs {
    /// The runs' own JSON, put together.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let length: usize = self.runs.iter().map(|run| run.json.len() + 1).sum();
        let mut json = Vec::with_capacity(length + 2_048);
        json.push(b'{');
        for (number, run) in self.runs.iter().enumerate() {
            json.extend_from_slice(if number == 0 { b"\"runs\":[" } else { b"," });
            json.extend_from_slice(&run.json);
        }
        if !self.runs.is_empty() {
            json.push(b']');
        }
        if let Some(token) = &self.next_page_token {
            json.extend_from_slice(if self.runs.is_empty() { b"" } else { b"," });
            json.extend_from_slice(b"\"next_page_token\":");
            serde_json::to_writer(&mut json, token)?;
        }
        json.push(b'}');
        Ok(json)
    }
}

/// A page of a metric's history.
#[derive(Serialize)]
pub struct History {
    #[serde(serialize_with = "metrics", skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Values of a metric in several runs.
#[derive(Serialize)]
pub struct Histories {
    #[serde(serialize_with = "metrics_of_runs")]
    pub metrics: Vec<(String, Metric)>,
}

fn metrics<S: Serializer>(metrics: &[Metric], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(metrics.iter().map(MetricMessage::from))
}

fn metrics_of_runs<S: Serializer>(values: &[(String, Metric)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|(run_id, metric)| MetricMessage::of_run(run_id, metric)))
}

/// NaN and the infinities are words, as protobuf writes them.
fn any_float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value.is_finite() {
        true => serializer.serialize_f64(*value),
        false => karat_core::Value::Float(*value).to_json().serialize(serializer),
    }
}

fn dataset_input(input: &DatasetInput) -> Json {
    let mut dataset = object(json!({
        "name": input.name, "digest": input.digest, "source_type": input.source_type, "source": input.source,
    }));
    for (name, text) in [("schema", &input.schema), ("profile", &input.profile)] {
        if !text.is_empty() {
            dataset.insert(name.to_owned(), text.as_str().into());
        }
    }
    let mut tags = Vec::new();
    if !input.context.is_empty() {
        tags.push(json!({"key": CONTEXT_TAG, "value": input.context}));
    }
    tags.extend(pairs(&input.tags));
    let mut fields = object(json!({"dataset": dataset}));
    put(&mut fields, "tags", tags);
    Json::Object(fields)
}

pub fn pairs(map: &BTreeMap<String, String>) -> Vec<Json> {
    map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// Empty lists are left out.
pub fn put(fields: &mut Map<String, Json>, name: &str, items: Vec<Json>) {
    if !items.is_empty() {
        fields.insert(name.to_owned(), Json::Array(items));
    }
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(fields) => fields,
        _ => unreachable!("written as an object"),
    }
}
