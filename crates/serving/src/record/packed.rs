//! A record as its bytes: [`MARK`], the digest of its schema, and the rest in postcard's wire format. Format 1, which is
//! still read, is JSON, and begins with `{`.

use std::borrow::Cow;

use karat_core::{Instant, PredictionId, Value};
use karat_history::HistoryError;
use karat_history::log::Records;
use serde::{Deserialize, Serialize};

use super::schema::SchemaId;
use crate::decision::{Decided, DecisionView};
use crate::reasons::Explained;

const MARK: u8 = 2;
const HEAD: usize = 1 + SchemaId::BYTES;

/// What a record of a dozen features takes.
const USUAL_BYTES: usize = 384;

/// What is a decision's own. The order of fields and variants is the format.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Packed<'r> {
    pub id: PredictionId,
    /// Microseconds since 1970, as all times here.
    pub at: i64,
    pub as_of: i64,
    /// Where the schema has no key columns of its own.
    #[serde(borrow)]
    pub key: Option<Cell<'r>>,
    /// Whether the caller sent the features.
    pub sent: bool,
    /// By view of the schema, where views were read: the commit seen, and whether it held no visible event of the key.
    pub views: Vec<(u64, bool)>,
    /// By input of the schema, then by its key columns: nulls, where no key was sent.
    #[serde(borrow)]
    pub values: Vec<Cell<'r>>,
    pub score: f64,
    pub explained: Explained,
    #[serde(borrow)]
    pub reasons: Vec<PackedReason<'r>>,
    /// JSON; empty where nothing failed.
    #[serde(borrow)]
    pub qa_failures: Cow<'r, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Cell<'r> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'r str),
    Date(i32),
    Timestamp(i64),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PackedReason<'r> {
    /// Place among the schema's reasons.
    pub source: usize,
    pub contribution: f64,
    /// As the answer had it: another Karat may word it otherwise.
    #[serde(borrow)]
    pub text: Cow<'r, str>,
}

impl<'r> Cell<'r> {
    fn of(value: &'r Value) -> Cell<'r> {
        match value {
            Value::Null => Cell::Null,
            Value::Bool(bool) => Cell::Bool(*bool),
            Value::Int(int) => Cell::Int(*int),
            Value::Float(float) => Cell::Float(*float),
            Value::Text(text) => Cell::Text(text),
            Value::Date(days) => Cell::Date(*days),
            Value::Timestamp(instant) => Cell::Timestamp(instant.micros()),
            Value::List(_) => unreachable!("no model takes a list, and none is asked for"),
        }
    }

    pub fn value(self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Bool(bool) => Value::Bool(bool),
            Cell::Int(int) => Value::Int(int),
            Cell::Float(float) => Value::Float(float),
            Cell::Text(text) => Value::text(text),
            Cell::Date(days) => Value::Date(days),
            Cell::Timestamp(micros) => Value::Timestamp(Instant::from_micros(micros)),
        }
    }
}

impl<'r> Packed<'r> {
    fn of(view: DecisionView<'r>) -> Packed<'r> {
        let DecisionView { decided, decision } = view;
        let reasons = decision.reasons.iter().zip(view.reasons()).map(|(because, reason)| PackedReason {
            source: because.source,
            contribution: because.contribution,
            text: reason.text().to_string().into(),
        });
        let keys = view.model().pinned.keys.len();
        let several = keys > 1;
        let none = || std::iter::repeat_n(&Value::Null, keys);
        let more = match (several, &decision.key) {
            (false, _) => Vec::new(),
            (true, Some(key)) => key.iter().collect(),
            (true, None) => none().collect(),
        };
        let qa_failures = match decision.qa_failures.as_slice() {
            [] => Cow::Borrowed(""),
            failures => serde_json::to_string(failures).expect("failed checks serialise to JSON").into(),
        };
        Packed {
            id: decision.id,
            at: decided.at.micros(),
            as_of: decided.as_of.micros(),
            key: decision.key.as_deref().filter(|_| !several).and_then(<[Value]>::first).map(Cell::of),
            sent: decision.sent,
            views: decision.views.clone(),
            values: decision.values.iter().chain(more).map(Cell::of).collect(),
            score: decision.score,
            explained: decision.explained,
            reasons: reasons.collect(),
            qa_failures,
        }
    }

    fn write(&self, schema: SchemaId, bytes: &mut Vec<u8>) {
        bytes.push(MARK);
        bytes.extend_from_slice(schema.as_bytes());
        postcard::to_io(self, bytes).expect("memory takes every record");
    }
}

/// The records of one answer's decisions, one after the other.
pub(crate) fn write(schema: SchemaId, decided: &Decided) -> Result<Records, HistoryError> {
    let mut records = Records::with_capacity(USUAL_BYTES * decided.len());
    for view in decided.iter() {
        records.push(|bytes| Packed::of(view).write(schema, bytes))?;
    }
    Ok(records)
}

/// A payload's schema and its packed part; `None` for one of format 1.
pub(super) fn split(payload: &[u8]) -> Result<Option<(SchemaId, &[u8])>, String> {
    match payload {
        [b'{', ..] => Ok(None),
        [MARK, rest @ ..] => match rest.split_first_chunk() {
            Some((id, packed)) => Ok(Some((SchemaId::from_bytes(*id), packed))),
            None => Err("a logged prediction is cut short".to_owned()),
        },
        [format, ..] => Err(format!("a logged prediction has format {format}, this Karat knows up to {MARK}")),
        [] => Err("a logged prediction is empty".to_owned()),
    }
}

pub(super) fn unpack(packed: &[u8]) -> Result<Packed<'_>, String> {
    match postcard::take_from_bytes(packed) {
        Ok((packed, [])) => Ok(packed),
        Ok((_, rest)) => Err(format!("a logged prediction is not readable: {} bytes follow it", rest.len())),
        Err(error) => Err(format!("a logged prediction is not readable: {error}")),
    }
}

/// Whether the payload, if it is a packed one, has the id: most payloads need not be unpacked to find one.
pub(super) fn has_id(payload: &[u8], id: PredictionId) -> bool {
    let wanted = postcard::to_stdvec(&id).expect("memory takes every id");
    payload.get(HEAD..).is_some_and(|packed| packed.starts_with(&wanted))
}
