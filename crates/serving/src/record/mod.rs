//! A prediction as the log keeps it: enough to say later what was known, what was computed from it, and with what.

mod write;

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema};
use indexmap::IndexMap;
use karat_core::{DataType, Digest, Instant, Name, PredictionId, Value};
use karat_history::log::RecordEncoder;
use serde::{Deserialize, Serialize};

use crate::reasons::Explained;
use crate::{QaFailure, Reason};
pub(crate) use write::write;

/// The newest format written; older ones are still read.
pub const FORMAT_VERSION: u32 = 1;

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

    pub fn from_payload(payload: &[u8]) -> Result<PredictionRecord, String> {
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

/// Columns of the table `predictions`, as `karat query` sees it.
pub fn prediction_columns() -> Arc<ArrowSchema> {
    let timestamp = || DataType::Timestamp.arrow();
    Arc::new(ArrowSchema::new(vec![
        Field::new("prediction_id", ArrowType::Utf8, false),
        Field::new("at", timestamp(), false),
        Field::new("endpoint", ArrowType::Utf8, false),
        Field::new("model", ArrowType::Utf8, false),
        Field::new("version", ArrowType::Int64, false),
        Field::new("model_digest", ArrowType::Utf8, false),
        Field::new("release", ArrowType::Int64, false),
        Field::new("as_of", timestamp(), false),
        Field::new("key", ArrowType::Utf8, true),
        Field::new("score", ArrowType::Float64, false),
        Field::new("label", ArrowType::Utf8, false),
        Field::new("threshold", ArrowType::Float64, false),
        Field::new("features", ArrowType::Utf8, false),
        Field::new("reasons", ArrowType::Utf8, false),
        Field::new("qa_failures", ArrowType::Utf8, false),
        Field::new("payload", ArrowType::Binary, false),
    ]))
}

/// Turns logged payloads into the columns people query.
#[derive(Debug, Clone, Copy, Default)]
pub struct PredictionEncoder;

impl RecordEncoder for PredictionEncoder {
    fn encode(&self, payloads: &[&[u8]]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        let records = payloads.iter().map(|payload| PredictionRecord::from_payload(payload));
        let records: Vec<PredictionRecord> = records.collect::<Result<_, _>>()?;
        let text = |of: &dyn Fn(&PredictionRecord) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(records.iter().map(of)))
        };
        let values = |of: &dyn Fn(&PredictionRecord) -> Value, data_type| {
            Value::to_array(&records.iter().map(of).collect::<Vec<_>>(), data_type)
        };
        let columns: Vec<ArrayRef> = vec![
            text(&|r| r.prediction_id.to_string()),
            values(&|r| Value::Timestamp(r.at), DataType::Timestamp),
            text(&|r| r.endpoint.to_string()),
            text(&|r| r.model.to_string()),
            values(&|r| Value::Int(r.version as i64), DataType::Int),
            text(&|r| r.model_digest.to_string()),
            values(&|r| Value::Int(r.release as i64), DataType::Int),
            values(&|r| Value::Timestamp(r.as_of), DataType::Timestamp),
            Arc::new(records.iter().map(|r| r.key.as_ref().map(plain)).collect::<StringArray>()),
            Arc::new(Float64Array::from_iter_values(records.iter().map(|r| r.score))),
            text(&|r| r.label.clone()),
            Arc::new(Float64Array::from_iter_values(records.iter().map(|r| r.threshold))),
            text(&|r| json(&r.features.iter().map(|(name, value)| (name, value.json())).collect::<IndexMap<_, _>>())),
            text(&|r| json(&r.reasons)),
            text(&|r| json(&r.qa_failures)),
            Arc::new(BinaryArray::from_iter_values(payloads)),
        ];
        Ok(RecordBatch::try_new(prediction_columns(), columns)?)
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("logged parts serialise to JSON")
}

/// Text without its quotes; everything else as JSON.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
