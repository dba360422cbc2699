//! MLflow's JSON as its server writes it, read as our nouns: what is not there is empty, whole numbers may come as text, and
//! so do the numbers that JSON has none of.

use std::collections::BTreeMap;

use karat_core::RunId;
use karat_registry::import::{ImportLoggedModel, ImportModel, ImportRun, ImportVersion, LeftOut};
use karat_registry::{
    DatasetInput, Experiment, Lifecycle, LoggedModel, LoggedModelStatus, Metric, ModelMetric, Run, RunModel, RunStatus,
    Stage,
};
use serde_json::Value as Json;

pub fn text(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

pub fn int(json: &Json) -> i64 {
    optional_int(json).unwrap_or_default()
}

pub fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn optional_int(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_f64().map(|number| number as i64)).or_else(|| json.as_str()?.parse().ok())
}

fn float(json: &Json) -> f64 {
    json.as_f64().or_else(|| json.as_str()?.parse().ok()).unwrap_or_default()
}

fn pairs(json: &Json) -> BTreeMap<String, String> {
    list(json).map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
}

fn stage(json: &Json) -> Lifecycle {
    if json == "deleted" { Lifecycle::Deleted } else { Lifecycle::Active }
}

pub fn experiment(json: &Json) -> Experiment {
    Experiment {
        id: int(&json["experiment_id"]),
        name: text(&json["name"]),
        artifact_location: text(&json["artifact_location"]),
        lifecycle_stage: stage(&json["lifecycle_stage"]),
        creation_time_ms: int(&json["creation_time"]),
        last_update_time_ms: int(&json["last_update_time"]),
        tags: pairs(&json["tags"]),
    }
}

/// `now_ms`: when a run was deleted is not told; it counts from now on.
pub fn run(json: &Json, now_ms: i64) -> Result<ImportRun, LeftOut> {
    let (info, data) = (&json["info"], &json["data"]);
    let id = text(&info["run_id"]);
    let mut metrics: Vec<Metric> = list(&data["metrics"]).map(metric).collect();
    metrics.sort_by(|a, b| a.key.cmp(&b.key));
    let lifecycle_stage = stage(&info["lifecycle_stage"]);
    let run = Run {
        run_id: RunId::parse(&id).unwrap_or_else(RunId::new),
        experiment_id: int(&info["experiment_id"]),
        name: text(&info["run_name"]),
        user: text(&info["user_id"]),
        status: RunStatus::parse(&text(&info["status"])).unwrap_or(RunStatus::Scheduled),
        start_time_ms: int(&info["start_time"]),
        end_time_ms: optional_int(&info["end_time"]),
        lifecycle_stage,
        artifact_uri: text(&info["artifact_uri"]),
        metrics,
        params: pairs(&data["params"]),
        tags: pairs(&data["tags"]),
        inputs: list(&json["inputs"]["dataset_inputs"]).map(input).collect(),
        model_inputs: list(&json["inputs"]["model_inputs"]).map(model_link).collect(),
        model_outputs: list(&json["outputs"]["model_outputs"]).map(model_link).collect(),
    };
    let known = run.run_id.as_str() == id;
    let run =
        ImportRun { run, deleted_time_ms: (lifecycle_stage == Lifecycle::Deleted).then_some(now_ms), history: None };
    match known {
        true => Ok(run),
        false => Err(LeftOut {
            what: format!("run {id}"),
            why: "its id is not one of 32 hexadecimal digits".to_owned(),
            counts: run.counts(),
        }),
    }
}

pub fn metric(json: &Json) -> Metric {
    Metric {
        key: text(&json["key"]),
        value: float(&json["value"]),
        timestamp_ms: int(&json["timestamp"]),
        step: int(&json["step"]),
    }
}

fn input(json: &Json) -> DatasetInput {
    let dataset = &json["dataset"];
    let mut tags = pairs(&json["tags"]);
    DatasetInput {
        name: text(&dataset["name"]),
        digest: text(&dataset["digest"]),
        source_type: text(&dataset["source_type"]),
        source: text(&dataset["source"]),
        schema: text(&dataset["schema"]),
        profile: text(&dataset["profile"]),
        context: tags.remove("mlflow.data.context").unwrap_or_default(),
        tags,
    }
}

fn model_link(json: &Json) -> RunModel {
    RunModel { model_id: text(&json["model_id"]), step: int(&json["step"]) }
}

pub fn logged_model(json: &Json) -> ImportLoggedModel {
    let (info, data) = (&json["info"], &json["data"]);
    let model_id = text(&info["model_id"]);
    let measured = |one: &Json| ModelMetric {
        model_id: model_id.clone(),
        run_id: text(&one["run_id"]),
        metric: metric(one),
        dataset_name: text(&one["dataset_name"]),
        dataset_digest: text(&one["dataset_digest"]),
    };
    let model = LoggedModel {
        experiment_id: int(&info["experiment_id"]),
        name: text(&info["name"]),
        artifact_location: text(&info["artifact_uri"]),
        model_type: text(&info["model_type"]),
        source_run_id: text(&info["source_run_id"]),
        status: match text(&info["status"]).as_str() {
            "LOGGED_MODEL_READY" => LoggedModelStatus::Ready,
            "LOGGED_MODEL_UPLOAD_FAILED" => LoggedModelStatus::UploadFailed,
            _ => LoggedModelStatus::Pending,
        },
        creation_time_ms: int(&info["creation_timestamp_ms"]),
        last_update_time_ms: int(&info["last_updated_timestamp_ms"]),
        params: pairs(&data["params"]),
        tags: pairs(&info["tags"]),
        metrics: list(&data["metrics"]).map(measured).collect(),
        model_id,
    };
    ImportLoggedModel { model, deleted: false }
}

/// Without its versions.
pub fn model(json: &Json) -> ImportModel {
    let alias = |one: &Json| (text(&one["alias"]), int(&one["version"]).unsigned_abs());
    ImportModel {
        name: text(&json["name"]),
        description: text(&json["description"]),
        creation_time_ms: int(&json["creation_timestamp"]),
        last_update_time_ms: int(&json["last_updated_timestamp"]),
        tags: pairs(&json["tags"]),
        aliases: list(&json["aliases"]).map(alias).collect(),
        versions: Vec::new(),
    }
}

pub fn version(json: &Json) -> ImportVersion {
    ImportVersion {
        version: int(&json["version"]).unsigned_abs(),
        description: text(&json["description"]),
        source: text(&json["source"]),
        storage_location: String::new(),
        run_id: text(&json["run_id"]),
        run_link: text(&json["run_link"]),
        stage: Stage::parse(&text(&json["current_stage"])).unwrap_or(Stage::None),
        status: text(&json["status"]),
        deleted: false,
        tags: pairs(&json["tags"]),
        creation_time_ms: int(&json["creation_timestamp"]),
        last_update_time_ms: int(&json["last_updated_timestamp"]),
    }
}
