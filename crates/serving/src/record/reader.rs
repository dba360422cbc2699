//! Logged payloads read back, with the schemas they were written by.

use std::path::PathBuf;

use indexmap::IndexMap;
use karat_core::{Instant, Name, PredictionId, Value};

use super::packed::{Cell, Packed, has_id, split, unpack};
use super::schema::{RecordSchema, SchemaInput, SchemaReason, Schemas};
use super::{FORMAT_VERSION, LoggedValue, PredictionRecord};
use crate::Reason;

/// Reads the payloads of the prediction log in a directory.
#[derive(Debug)]
pub struct RecordReader {
    pub(super) schemas: Schemas,
}

impl RecordReader {
    pub fn beside(log: impl Into<PathBuf>) -> RecordReader {
        RecordReader { schemas: Schemas::beside(log.into()) }
    }

    pub fn read(&self, payload: &[u8]) -> Result<PredictionRecord, String> {
        match split(payload)? {
            None => PredictionRecord::from_json(payload),
            Some((id, packed)) => expand(&*self.schemas.get(id)?, unpack(packed)?),
        }
    }

    /// The record, if it is the one of this id.
    pub fn read_if(&self, payload: &[u8], id: PredictionId) -> Result<Option<PredictionRecord>, String> {
        let may_be = match split(payload)? {
            Some(_) => has_id(payload, id),
            None => contains(payload, id.to_string().as_bytes()),
        };
        if !may_be {
            return Ok(None);
        }
        Ok(Some(self.read(payload)?).filter(|record| record.prediction_id == id))
    }

    /// Whether the record is of a decision by this version.
    pub fn is_by(&self, payload: &[u8], model: &str, version: u64) -> Result<bool, String> {
        match split(payload)? {
            Some((id, _)) => {
                let schema = self.schemas.get(id)?;
                Ok(schema.version == version && schema.model.as_str() == model)
            }
            None if !contains(payload, model.as_bytes()) => Ok(false),
            None => {
                let record = PredictionRecord::from_json(payload)?;
                Ok(record.version == version && record.model.as_str() == model)
            }
        }
    }
}

fn contains(payload: &[u8], part: &[u8]) -> bool {
    payload.windows(part.len()).any(|window| window == part)
}

/// Refuses a record that does not have what its schema says.
pub(super) fn check(schema: &RecordSchema, packed: &Packed<'_>) -> Result<(), String> {
    let views = packed.views.is_empty() || packed.views.len() == schema.views.len();
    let reasons = packed.reasons.iter().all(|reason| reason.source < schema.reasons.len());
    if !views || !reasons || packed.values.len() != schema.inputs.len() + schema.keys.len() {
        return Err(format!("prediction {} does not fit the schema it names", packed.id));
    }
    Ok(())
}

fn expand(schema: &RecordSchema, packed: Packed<'_>) -> Result<PredictionRecord, String> {
    check(schema, &packed)?;
    let views = || schema.views.iter().zip(&packed.views);
    let mut commits: IndexMap<Name, u64> = IndexMap::new();
    for (view, (commit, _)) in views() {
        let newest = commits.entry(view.source.clone()).or_default();
        *newest = (*newest).max(*commit);
    }
    let values: Vec<Value> = packed.values.iter().copied().map(Cell::value).collect();
    let key = key(schema, &packed, &values);
    let inputs = || schema.inputs.iter().zip(&values);
    let logged =
        |(input, value): (&SchemaInput, &Value)| (input.name.clone(), LoggedValue::new(value, input.data_type));
    let qa_failures = match packed.qa_failures.as_ref() {
        "" => Vec::new(),
        json => serde_json::from_str(json).map_err(|error| format!("prediction {}: {error}", packed.id))?,
    };
    Ok(PredictionRecord {
        format_version: FORMAT_VERSION,
        prediction_id: packed.id,
        at: Instant::from_micros(packed.at),
        endpoint: schema.endpoint.clone(),
        release: schema.release,
        release_digest: schema.release_digest.clone(),
        model: schema.model.clone(),
        version: schema.version,
        model_digest: schema.model_digest.clone(),
        karat: schema.karat.clone(),
        as_of: Instant::from_micros(packed.as_of),
        key,
        sent: packed.sent,
        commits,
        view_commits: views().map(|(view, (commit, _))| (view.name.clone(), *commit)).collect(),
        // Where the caller sent the features, no view was read.
        definitions: views().map(|(view, _)| (view.name.clone(), view.definition.clone())).collect(),
        fields: inputs().filter(|(input, _)| input.request).map(logged).collect(),
        features: inputs().map(logged).collect(),
        no_history: views().filter(|(_, (_, none))| *none).map(|(view, _)| view.name.clone()).collect(),
        score: packed.score,
        label: schema.label(packed.score).to_owned(),
        threshold: schema.threshold,
        reasons: reasons(schema, &packed, &values).collect(),
        explained: Some(packed.explained),
        qa_failures,
    })
}

/// The key of a checked record.
pub(super) fn key(schema: &RecordSchema, packed: &Packed<'_>, values: &[Value]) -> Option<serde_json::Value> {
    if schema.keys.is_empty() {
        return packed.key.map(|key| key.value().to_json());
    }
    let values = &values[schema.inputs.len()..];
    let named = schema.keys.iter().zip(values).map(|(name, value)| (name.clone(), value.to_json()));
    (!values.iter().all(Value::is_null)).then(|| named.collect())
}

/// The reasons of a checked record.
pub(super) fn reasons<'r>(
    schema: &'r RecordSchema,
    packed: &'r Packed<'_>,
    values: &'r [Value],
) -> impl Iterator<Item = Reason> + 'r {
    packed.reasons.iter().map(|reason| {
        let source = &schema.reasons[reason.source];
        Reason {
            feature: source.feature.clone(),
            value: reason_value(schema, source, values),
            contribution: reason.contribution,
            code: source.code.clone(),
            text: reason.text.to_string(),
        }
    })
}

/// As [`crate::ReasonValue`] has it.
fn reason_value(schema: &RecordSchema, source: &SchemaReason, values: &[Value]) -> serde_json::Value {
    match source.inputs.as_slice() {
        [place] if !source.group => values[*place].to_json(),
        places => places.iter().map(|place| (schema.inputs[*place].name.clone(), values[*place].to_json())).collect(),
    }
}
