//! The columns of the table `predictions`, from payloads of any format.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema};
use karat_core::{AsJson, DataType, PredictionId, Value};
use karat_history::log::RecordEncoder;
use serde::{Serialize, Serializer};

use super::packed::{Cell, split, unpack};
use super::reader::{check, key, reasons};
use super::schema::RecordSchema;
use super::{LoggedValue, PredictionRecord, RecordReader};

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

/// Those that would be said once more beside the payload: in the log's Parquet they are not, whoever queries has them made.
const TEXTS: [&str; 3] = ["features", "reasons", "qa_failures"];

/// The columns of the log's Parquet: the payload, and what a record is found by.
fn parquet_columns() -> Arc<ArrowSchema> {
    let columns = prediction_columns();
    let kept = columns.fields().iter().filter(|field| !TEXTS.contains(&field.name().as_str()));
    Arc::new(ArrowSchema::new(kept.cloned().collect::<Vec<_>>()))
}

/// Turns logged payloads into columns.
#[derive(Debug)]
pub struct PredictionEncoder {
    reader: RecordReader,
}

impl PredictionEncoder {
    /// For the payloads of the log in a directory.
    pub fn beside(log: impl Into<PathBuf>) -> PredictionEncoder {
        PredictionEncoder { reader: RecordReader::beside(log) }
    }

    /// The [columns](prediction_columns) people query.
    pub fn table(&self, payloads: &[&[u8]]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        self.columns(payloads, Some(Texts::default()))
    }

    fn columns(
        &self,
        payloads: &[&[u8]],
        texts: Option<Texts>,
    ) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        let mut columns = Columns::new(texts);
        for payload in payloads {
            match split(payload)? {
                None => columns.push_whole(&PredictionRecord::from_json(payload)?),
                Some((id, packed)) => columns.push_packed(&*self.reader.schemas.get(id)?, packed)?,
            }
        }
        Ok(columns.finish(payloads)?)
    }
}

/// The columns of the log's Parquet.
impl RecordEncoder for PredictionEncoder {
    fn encode(&self, payloads: &[&[u8]]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        self.columns(payloads, None)
    }
}

/// One record's cells, but for the key and the [texts](Texts).
struct Row<'r> {
    id: PredictionId,
    at: i64,
    endpoint: &'r str,
    model: &'r str,
    version: u64,
    model_digest: &'r str,
    release: u64,
    as_of: i64,
    score: f64,
    label: &'r str,
    threshold: f64,
}

struct Columns {
    ids: StringBuilder,
    at: TimestampMicrosecondBuilder,
    endpoints: StringBuilder,
    models: StringBuilder,
    versions: Int64Builder,
    model_digests: StringBuilder,
    releases: Int64Builder,
    as_of: TimestampMicrosecondBuilder,
    keys: StringBuilder,
    scores: Float64Builder,
    labels: StringBuilder,
    thresholds: Float64Builder,
    texts: Option<Texts>,
}

/// JSON.
#[derive(Default)]
struct Texts {
    features: StringBuilder,
    reasons: StringBuilder,
    qa_failures: StringBuilder,
    /// The text of a cell under way.
    text: Vec<u8>,
}

impl Columns {
    fn new(texts: Option<Texts>) -> Columns {
        let timestamps = || TimestampMicrosecondBuilder::new().with_data_type(DataType::Timestamp.arrow());
        Columns {
            ids: StringBuilder::new(),
            at: timestamps(),
            endpoints: StringBuilder::new(),
            models: StringBuilder::new(),
            versions: Int64Builder::new(),
            model_digests: StringBuilder::new(),
            releases: Int64Builder::new(),
            as_of: timestamps(),
            keys: StringBuilder::new(),
            scores: Float64Builder::new(),
            labels: StringBuilder::new(),
            thresholds: Float64Builder::new(),
            texts,
        }
    }

    fn push_whole(&mut self, record: &PredictionRecord) {
        self.push(&Row {
            id: record.prediction_id,
            at: record.at.micros(),
            endpoint: &record.endpoint,
            model: &record.model,
            version: record.version,
            model_digest: record.model_digest.as_str(),
            release: record.release,
            as_of: record.as_of.micros(),
            score: record.score,
            label: &record.label,
            threshold: record.threshold,
        });
        self.keys.append_option(record.key.as_ref().map(plain));
        if let Some(texts) = &mut self.texts {
            let features = record.features.iter().map(|(name, value): (_, &LoggedValue)| (name, value.json()));
            json(&mut texts.features, &mut texts.text, &Pairs(features));
            json(&mut texts.reasons, &mut texts.text, &record.reasons);
            json(&mut texts.qa_failures, &mut texts.text, &record.qa_failures);
        }
    }

    fn push_packed(&mut self, schema: &RecordSchema, packed: &[u8]) -> Result<(), String> {
        let packed = unpack(packed)?;
        check(schema, &packed)?;
        self.push(&Row {
            id: packed.id,
            at: packed.at,
            endpoint: &schema.endpoint,
            model: &schema.model,
            version: schema.version,
            model_digest: schema.model_digest.as_str(),
            release: schema.release,
            as_of: packed.as_of,
            score: packed.score,
            label: schema.label(packed.score),
            threshold: schema.threshold,
        });
        let values: Vec<Value> = packed.values.iter().copied().map(Cell::value).collect();
        self.keys.append_option(key(schema, &packed, &values).as_ref().map(plain));
        if let Some(texts) = &mut self.texts {
            let names = schema.inputs.iter().map(|input| &input.name);
            json(&mut texts.features, &mut texts.text, &Pairs(names.zip(values.iter().map(AsJson))));
            let reasons: Vec<_> = reasons(schema, &packed, &values).collect();
            json(&mut texts.reasons, &mut texts.text, &reasons);
            texts.qa_failures.append_value(if packed.qa_failures.is_empty() { "[]" } else { &packed.qa_failures });
        }
        Ok(())
    }

    fn push(&mut self, row: &Row<'_>) {
        display(&mut self.ids, &row.id);
        self.at.append_value(row.at);
        self.endpoints.append_value(row.endpoint);
        self.models.append_value(row.model);
        self.versions.append_value(row.version as i64);
        self.model_digests.append_value(row.model_digest);
        self.releases.append_value(row.release as i64);
        self.as_of.append_value(row.as_of);
        self.scores.append_value(row.score);
        self.labels.append_value(row.label);
        self.thresholds.append_value(row.threshold);
    }

    fn finish(mut self, payloads: &[&[u8]]) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.at.finish()),
            Arc::new(self.endpoints.finish()),
            Arc::new(self.models.finish()),
            Arc::new(self.versions.finish()),
            Arc::new(self.model_digests.finish()),
            Arc::new(self.releases.finish()),
            Arc::new(self.as_of.finish()),
            Arc::new(self.keys.finish()),
            Arc::new(self.scores.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(self.thresholds.finish()),
        ];
        let schema = match &mut self.texts {
            None => parquet_columns(),
            Some(Texts { features, reasons, qa_failures, .. }) => {
                columns.extend([features, reasons, qa_failures].map(|column| Arc::new(column.finish()) as ArrayRef));
                prediction_columns()
            }
        };
        columns.push(Arc::new(BinaryArray::from_iter_values(payloads)));
        RecordBatch::try_new(schema, columns)
    }
}

fn display(column: &mut StringBuilder, value: &impl std::fmt::Display) {
    use std::fmt::Write;
    write!(column, "{value}").expect("a column takes all text");
    column.append_value("");
}

/// `buffer` is what the text is written to first.
fn json(column: &mut StringBuilder, buffer: &mut Vec<u8>, value: &impl Serialize) {
    buffer.clear();
    serde_json::to_writer(&mut *buffer, value).expect("logged parts serialise to JSON");
    column.append_value(std::str::from_utf8(buffer).expect("JSON is UTF-8"));
}

/// An object of names and values, in their order.
struct Pairs<I>(I);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)> + Clone> Serialize for Pairs<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// Text without its quotes; everything else as JSON.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
