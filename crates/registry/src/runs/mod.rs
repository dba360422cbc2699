//! A run is one training, with everything it was given and everything it measured.

mod batch;
mod finish;
mod get;
mod history;
mod inputs;
mod log;
mod manage;
mod search;
mod settle;
mod start;

use std::collections::BTreeMap;
use std::fmt;

use karat_core::{Instant, RunId};
use serde::{Serialize, Serializer};

use crate::Lifecycle;

pub use batch::Batch;
pub(crate) use batch::Queue;
pub(crate) use get::by_id;
pub(crate) use inputs::write_dataset;
pub(crate) use log::{bound, metric_of, number, require, write_points, write_tags};
pub(crate) use manage::write_models;
pub use manage::{NewRun, RunUpdate};
pub use search::{RunRevision, RunSearch};
pub(crate) use settle::{Whose, settle};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub run_id: RunId,
    pub experiment_id: i64,
    pub name: String,
    pub user: String,
    pub status: RunStatus,
    pub start_time_ms: i64,
    pub end_time_ms: Option<i64>,
    pub lifecycle_stage: Lifecycle,
    pub artifact_uri: String,
    /// The latest of each key, in the order of keys: greatest step, then time, then value.
    pub metrics: Vec<Metric>,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub inputs: Vec<DatasetInput>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_inputs: Vec<RunModel>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_outputs: Vec<RunModel>,
}

/// A logged model that a run read or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunModel {
    pub model_id: String,
    pub step: i64,
}

impl Run {
    /// The latest value of each metric, as gates want them.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        self.metrics.iter().map(|metric| (metric.key.clone(), metric.value)).collect()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunDraft {
    pub run_id: RunId,
    pub experiment_id: i64,
    pub name: String,
    pub user: String,
    pub artifact_uri: String,
    pub start: Instant,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    pub key: String,
    #[serde(serialize_with = "any_float")]
    pub value: f64,
    pub timestamp_ms: i64,
    pub step: i64,
}

/// Data a run read; the same (experiment, name, digest) is kept once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetInput {
    pub name: String,
    pub digest: String,
    pub source_type: String,
    pub source: String,
    /// JSON, as MLflow's clients show it; may be empty.
    pub schema: String,
    /// JSON, counts and the like; may be empty.
    pub profile: String,
    /// What it was for: `training`, `validation`, `test`…
    pub context: String,
    /// What else was said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Which runs to list; `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub experiment_id: Option<i64>,
    pub status: Option<RunStatus>,
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    pub fn parse(word: &str) -> Option<RunStatus> {
        use RunStatus::*;
        [Running, Scheduled, Finished, Failed, Killed].into_iter().find(|status| status.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "RUNNING",
            RunStatus::Scheduled => "SCHEDULED",
            RunStatus::Finished => "FINISHED",
            RunStatus::Failed => "FAILED",
            RunStatus::Killed => "KILLED",
        }
    }

    pub fn is_over(self) -> bool {
        matches!(self, RunStatus::Finished | RunStatus::Failed | RunStatus::Killed)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// NaN and the infinities as text, which JSON has no numbers for.
fn any_float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    karat_core::Value::Float(*value).to_json().serialize(serializer)
}
