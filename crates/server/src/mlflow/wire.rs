//! Experiments and runs as MLflow's clients read them.

use std::collections::BTreeMap;

use karat_registry::{DatasetInput, Experiment, Metric, Run, RunModel};
use serde_json::{Map, Value as Json, json};

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

pub fn run(run: &Run) -> Json {
    let mut data = Map::new();
    put(&mut data, "metrics", run.metrics.iter().map(metric).collect());
    put(&mut data, "params", pairs(&run.params));
    put(&mut data, "tags", pairs(&run.tags));
    let mut inputs = Map::new();
    put(&mut inputs, "dataset_inputs", run.inputs.iter().map(dataset_input).collect());
    let read = run.model_inputs.iter().map(|model| json!({"model_id": model.model_id}));
    put(&mut inputs, "model_inputs", read.collect());
    let mut outputs = Map::new();
    let made = |model: &RunModel| json!({"model_id": model.model_id, "step": model.step});
    put(&mut outputs, "model_outputs", run.model_outputs.iter().map(made).collect());
    json!({"info": info(run), "data": data, "inputs": inputs, "outputs": outputs})
}

pub fn info(run: &Run) -> Json {
    let mut info = object(json!({
        "run_id": run.run_id,
        "run_uuid": run.run_id,
        "run_name": run.name,
        "experiment_id": run.experiment_id.to_string(),
        "user_id": run.user,
        "status": run.status.as_str(),
        "start_time": run.start_time_ms,
        "lifecycle_stage": run.lifecycle_stage,
        "artifact_uri": run.artifact_uri,
    }));
    // MLflow reads 0 as not over yet.
    if let Some(end) = run.end_time_ms.filter(|end| *end != 0) {
        info.insert("end_time".to_owned(), end.into());
    }
    Json::Object(info)
}

pub fn metric(metric: &Metric) -> Json {
    json!({
        "key": metric.key,
        "value": karat_core::Value::Float(metric.value).to_json(),
        "timestamp": metric.timestamp_ms,
        "step": metric.step,
    })
}

pub fn metric_of_run(run_id: &str, value: &Metric) -> Json {
    let mut fields = object(metric(value));
    fields.insert("run_id".to_owned(), run_id.into());
    Json::Object(fields)
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
