use indexmap::IndexMap;
use karat_core::{Digest, Instant, Name, PredictionId, Value};
use serde::Serialize;

/// One decision, as it leaves.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    pub prediction_id: PredictionId,
    pub model: ModelName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<serde_json::Value>,
    pub as_of: Instant,
    /// The model's inputs by name.
    #[serde(serialize_with = "features_as_json")]
    pub features: IndexMap<String, Value>,
    /// Views in which the key had no visible event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_history: Vec<Name>,
    /// The chance of the second label, 0 to 1.
    pub score: f64,
    pub label: String,
    pub threshold: f64,
    pub reasons: Vec<Reason>,
    pub qa_failures: Vec<QaFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelName {
    pub name: Name,
    /// A string, as MLflow's clients have it.
    pub version: String,
    pub digest: Digest,
}

/// How much one input moved the score, on the model's raw (log-odds) scale: positive towards the second label.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct Reason {
    pub feature: String,
    pub value: serde_json::Value,
    pub contribution: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub text: String,
}

/// Something about a value that a person should know before trusting the decision.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct QaFailure {
    pub feature: String,
    pub value: serde_json::Value,
    /// What was not met, in words: `range 18..100`, `not_null`, `stale_after 70 days`, `job_start_date 3021-09-18 nulled by range`.
    pub check: String,
}

fn features_as_json<S: serde::Serializer>(
    features: &IndexMap<String, Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(features.iter().map(|(name, value)| (name, value.to_json())))
}
