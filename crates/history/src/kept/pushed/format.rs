//! The records of a push log. A newer format is refused.
//!
//! The head: `0 | JSON`. A group: `1 | number | instant | rows, eight little-endian bytes each | length of the counts, four |
//! counts as JSON | an Arrow IPC stream without its schema`, which is the head's. Rows have the declared columns, the hidden
//! ones, and the partition.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use karat_core::{Instant, Schema, hidden};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::PushHead;
use crate::HistoryError;

const FORMAT_VERSION: u32 = 1;
const HEAD: u8 = 0;
const GROUP: u8 = 1;
const GROUP_BYTES: usize = 1 + 3 * 8 + 4;

/// The column that says where a row belongs.
pub(super) const PARTITION: &str = "_partition";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::kept) struct Head {
    format_version: u32,
    pub partitions: u32,
    #[serde(flatten)]
    pub of: PushHead,
}

/// Rows under one number, still encoded.
#[derive(Debug, Clone)]
pub(in crate::kept) struct Group {
    pub number: u64,
    pub at: Instant,
    pub rows: u64,
    pub counts: Json,
    pub head: Arc<Head>,
    payload: Vec<u8>,
    begins: usize,
}

pub(super) enum Record {
    Head(Head),
    Group(Group),
}

impl Head {
    pub fn new(of: PushHead, partitions: u32) -> Head {
        Head { format_version: FORMAT_VERSION, partitions, of }
    }

    pub(super) fn to_payload(&self) -> Vec<u8> {
        let mut payload = vec![HEAD];
        serde_json::to_writer(&mut payload, self).expect("a head is plain data");
        payload
    }
}

/// Rows as the log keeps them: texts in place of dictionaries.
pub(super) fn schema(columns: &Schema) -> SchemaRef {
    let hidden = hidden::fields().into_iter().map(|field| match field.name().as_str() {
        hidden::FILE => field.with_data_type(DataType::Utf8),
        _ => field,
    });
    let partition = Field::new(PARTITION, DataType::UInt32, false);
    let fields: Vec<Field> = columns.arrow_fields().into_iter().chain(hidden).chain([partition]).collect();
    Arc::new(ArrowSchema::new(fields))
}

/// A group's payload. `rows` are in the order of `schema`, less the partition.
pub(super) fn encode(
    schema: &SchemaRef,
    number: u64,
    at: Instant,
    counts: &Json,
    rows: &RecordBatch,
    partitions: &[u32],
) -> Result<Vec<u8>, ArrowError> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (column, field) in rows.columns().iter().zip(schema.fields()) {
        columns.push(match column.data_type() == field.data_type() {
            true => column.clone(),
            false => cast(column, field.data_type())?,
        });
    }
    columns.push(Arc::new(UInt32Array::from_iter_values(partitions.iter().copied())));
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    let counts = counts.to_string();
    let mut payload = Vec::with_capacity(GROUP_BYTES + counts.len());
    payload.push(GROUP);
    payload.extend(number.to_le_bytes());
    payload.extend(at.micros().to_le_bytes());
    payload.extend((batch.num_rows() as u64).to_le_bytes());
    payload.extend((counts.len() as u32).to_le_bytes());
    payload.extend(counts.as_bytes());
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    let schema_bytes = writer.get_ref().len();
    writer.write(&batch)?;
    payload.extend_from_slice(&writer.into_inner()?[schema_bytes..]);
    Ok(payload)
}

/// `place` names the log in errors; `head` is the one read before.
pub(super) fn decode(place: &str, payload: Vec<u8>, head: Option<&Arc<Head>>) -> Result<Record, HistoryError> {
    let wrong = |problem: &str| HistoryError::corrupt(place, problem);
    match payload.first() {
        Some(&HEAD) => {
            let json: Json = serde_json::from_slice(&payload[1..]).map_err(|_| wrong("its head is unreadable"))?;
            match json.get("format_version").and_then(Json::as_u64).and_then(|found| u32::try_from(found).ok()) {
                Some(found) if found > FORMAT_VERSION => {
                    Err(HistoryError::Newer { path: place.to_owned(), found, known: FORMAT_VERSION })
                }
                _ => Head::deserialize(json).map(Record::Head).map_err(|_| wrong("its head is unreadable")),
            }
        }
        Some(&GROUP) => {
            let head = head.ok_or_else(|| wrong("rows come before its head"))?.clone();
            let word = |at: usize| payload.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            let length = payload.get(25..GROUP_BYTES).and_then(|bytes| bytes.try_into().ok());
            let (Some(number), Some(at), Some(rows), Some(length)) = (word(1), word(9), word(17), length) else {
                return Err(wrong("a group is cut short"));
            };
            let begins = GROUP_BYTES + u32::from_le_bytes(length) as usize;
            let counts = payload.get(GROUP_BYTES..begins).and_then(|counts| serde_json::from_slice(counts).ok());
            let counts = counts.ok_or_else(|| wrong("the counts of a group are unreadable"))?;
            let (number, rows) = (u64::from_le_bytes(number), u64::from_le_bytes(rows));
            let at = Instant::from_micros(i64::from_le_bytes(at));
            Ok(Record::Group(Group { number, at, rows, counts, head, payload, begins }))
        }
        _ => Err(wrong("a record is of no known kind")),
    }
}

impl Group {
    /// The rows with the columns of [`schema`].
    pub fn decode(&self) -> Result<RecordBatch, HistoryError> {
        let wrong =
            |error: ArrowError| HistoryError::corrupt(format!("what was pushed under number {}", self.number), error);
        let schema = schema(&self.head.of.columns);
        let mut stream = StreamWriter::try_new(Vec::new(), &schema).map_err(wrong)?.get_ref().clone();
        stream.extend_from_slice(&self.payload[self.begins..]);
        let mut reader = StreamReader::try_new(Cursor::new(stream), None).map_err(wrong)?;
        match reader.next() {
            Some(batch) => batch.map_err(wrong),
            None => Ok(RecordBatch::new_empty(schema)),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.payload.len() as u64
    }
}
