//! A prediction as the log keeps it: enough to say later what was known, what was computed from it, and with what.

mod columns;
mod packed;
mod reader;
mod schema;

use indexmap::IndexMap;
use karat_core::{DataType, Digest, Instant, Name, PredictionId, Value};
use serde::{Deserialize, Serialize};

use crate::reasons::Explained;
use crate::{QaFailure, Reason};
pub use columns::{PredictionEncoder, prediction_columns};
pub(crate) use packed::write;
pub use reader::RecordReader;
pub(crate) use schema::SchemaId;

/// Of a record as JSON: what is shown, and what the log held before records were packed.
const FORMAT_VERSION: u32 = 1;

/// A record with all its names, whatever the log keeps of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    pub format_version: u32,
    pub prediction_id: PredictionId,
    /// When it was answered, by the server's clock.
    pub at: Instant,
    pub endpoint: Name,
    /// The number of the release the endpoint came from.
    pub release: u64,
    pub release_digest: Digest,
    pub model: Name,
    pub version: u64,
    pub model_digest: Digest,
    pub karat: String,
    pub as_of: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<serde_json::Value>,
    /// Whether the caller sent the features: then no history stands behind them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sent: bool,
    /// The newest commit seen of each source.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub commits: IndexMap<Name, u64>,
    /// By view, the commit of its source that its state stood at: views of one source are not built at one moment.
    /// Records of before say it by source only.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub view_commits: IndexMap<Name, u64>,
    /// The views' definitions.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub definitions: IndexMap<Name, Digest>,
    /// The request-time fields.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub fields: IndexMap<String, LoggedValue>,
    /// Every input of the model, in its order; floats are printed so that they read back to the same bits.
    pub features: IndexMap<String, LoggedValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_history: Vec<Name>,
    pub score: f64,
    pub label: String,
    pub threshold: f64,
    pub reasons: Vec<Reason>,
    /// Which reasons the answer was to carry; records of before say nothing, and carry all they could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qa_failures: Vec<QaFailure>,
}

/// A value beside its type, so that it reads back as what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedValue {
    #[serde(rename = "t")]
    data_type: DataType,
    #[serde(rename = "v", default)]
    value: serde_json::Value,
}

impl LoggedValue {
    pub fn new(value: &Value, data_type: DataType) -> LoggedValue {
        LoggedValue { data_type, value: value.to_json() }
    }

    /// The value; an error names what was logged instead.
    pub fn value(&self) -> Result<Value, karat_core::ValueError> {
        Value::from_json(&self.value, self.data_type)
    }

    pub fn json(&self) -> &serde_json::Value {
        &self.value
    }
}

impl PredictionRecord {
    /// The commit of `source` that the view's state stood at.
    pub fn commit_of(&self, view: &str, source: &str) -> Option<u64> {
        self.view_commits.get(view).or_else(|| self.commits.get(source)).copied()
    }

    /// A record on its own, as it is shown, and as logs of before hold it.
    pub fn from_json(payload: &[u8]) -> Result<PredictionRecord, String> {
        let record: PredictionRecord =
            serde_json::from_slice(payload).map_err(|e| format!("a logged prediction is not readable: {e}"))?;
        if record.format_version > FORMAT_VERSION {
            return Err(format!(
                "prediction {} has format {}, newer than this Karat's {FORMAT_VERSION}",
                record.prediction_id, record.format_version
            ));
        }
        Ok(record)
    }
}
