//! What the records of one served version have in common. It stands once beside the log; records hold only places in it
//! and values, as Avro's single-object encoding does with the fingerprint of a writer's schema.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use karat_core::{DataType, Digest, Name, VERSION};
use karat_history::HistoryError;
use karat_history::log::{Log, attachment};
use serde::{Deserialize, Serialize};

use crate::{InputOrigin, ServingModel};

/// The newest format written; older ones are still read. Format 2 has several key columns; what has one is written as
/// format 1, which older Karats read.
const FORMAT_VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordSchema {
    format_version: u32,
    pub endpoint: Name,
    /// The number of the release the endpoint came from.
    pub release: u64,
    pub release_digest: Digest,
    pub model: Name,
    pub version: u64,
    pub model_digest: Digest,
    pub karat: String,
    pub threshold: f64,
    /// Of a score under the threshold, and of one from it on.
    pub labels: [String; 2],
    pub views: Vec<SchemaView>,
    pub inputs: Vec<SchemaInput>,
    /// The key columns where there are several; a key of one column needs no name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    pub reasons: Vec<SchemaReason>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SchemaView {
    pub name: Name,
    pub source: Name,
    pub definition: Digest,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SchemaInput {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether it comes with the request.
    pub request: bool,
}

/// What a reason can be about: one input, or a group of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SchemaReason {
    pub feature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub group: bool,
    /// Places among the inputs.
    pub inputs: Vec<usize>,
}

impl RecordSchema {
    fn new(endpoint: &Name, model: &ServingModel) -> RecordSchema {
        let view = |view: &crate::PinnedView| SchemaView {
            name: view.name.clone(),
            source: view.definition.source.name.clone(),
            definition: view.digest.clone(),
        };
        let input = |input: &crate::Input| SchemaInput {
            name: input.name.clone(),
            data_type: input.data_type,
            request: input.origin == InputOrigin::Request,
        };
        let reason = |source: &crate::reasons::ReasonSource| SchemaReason {
            feature: source.name.clone(),
            code: source.code.clone(),
            group: source.is_group,
            inputs: source.inputs.clone(),
        };
        let keys = match model.pinned.keys.as_slice() {
            [_] => Vec::new(),
            several => several.iter().map(|key| key.name.clone()).collect(),
        };
        RecordSchema {
            format_version: if keys.is_empty() { 1 } else { FORMAT_VERSION },
            endpoint: endpoint.clone(),
            release: model.name.release,
            release_digest: model.name.release_digest.clone(),
            model: model.name.model.clone(),
            version: model.name.version,
            model_digest: model.model.digest().clone(),
            karat: VERSION.to_owned(),
            threshold: model.model.threshold(),
            labels: model.labels().clone(),
            views: model.pinned.views.iter().map(view).collect(),
            inputs: model.pinned.inputs.iter().map(input).collect(),
            keys,
            reasons: model.reason_sources().iter().map(reason).collect(),
        }
    }

    /// Refuses a newer format, and places that point nowhere.
    fn parse(bytes: &[u8]) -> Result<RecordSchema, String> {
        let schema: RecordSchema = serde_json::from_slice(bytes)
            .map_err(|error| format!("a schema of predictions is not readable: {error}"))?;
        let newer = schema.format_version > FORMAT_VERSION;
        if newer {
            let found = schema.format_version;
            return Err(format!(
                "a schema of predictions has format {found}, newer than this Karat's {FORMAT_VERSION}"
            ));
        }
        let inputs = schema.inputs.len();
        match schema.reasons.iter().find(|reason| reason.inputs.iter().any(|place| *place >= inputs)) {
            Some(reason) => Err(format!("a schema of predictions has no input that `{}` is about", reason.feature)),
            None => Ok(schema),
        }
    }

    pub fn label(&self, score: f64) -> &str {
        &self.labels[usize::from(score >= self.threshold)]
    }
}

/// A schema's digest, as records name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SchemaId([u8; SchemaId::BYTES]);

impl SchemaId {
    pub const BYTES: usize = 32;

    /// Keeps the schema of what an endpoint will log of a version's decisions beside the log: on disk when this returns.
    pub fn keep(log: &Log, endpoint: &Name, model: &ServingModel) -> Result<SchemaId, HistoryError> {
        let schema = RecordSchema::new(endpoint, model);
        let digest = log.attach(&serde_json::to_vec(&schema).expect("a schema of records serialises to JSON"))?;
        let digits = digest.as_str().as_bytes().as_chunks::<2>().0;
        let mut bytes = [0; SchemaId::BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits) {
            let pair = std::str::from_utf8(pair).expect("a digest is of ASCII digits");
            *byte = u8::from_str_radix(pair, 16).expect("a digest is of hexadecimal digits");
        }
        Ok(SchemaId(bytes))
    }

    pub fn from_bytes(bytes: [u8; SchemaId::BYTES]) -> SchemaId {
        SchemaId(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn digest(&self) -> Digest {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Digest::parse(&digits).expect("32 bytes are 64 digits")
    }
}

/// The schemas beside a log, each read once.
#[derive(Debug)]
pub(super) struct Schemas {
    log: PathBuf,
    known: RwLock<HashMap<SchemaId, Arc<RecordSchema>>>,
}

impl Schemas {
    pub fn beside(log: PathBuf) -> Schemas {
        Schemas { log, known: RwLock::default() }
    }

    pub fn get(&self, id: SchemaId) -> Result<Arc<RecordSchema>, String> {
        if let Some(known) = self.known.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&id) {
            return Ok(known.clone());
        }
        let bytes = attachment(&self.log, &id.digest()).map_err(|error| error.to_string())?;
        let schema = Arc::new(RecordSchema::parse(&bytes)?);
        self.known.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(id, schema.clone());
        Ok(schema)
    }
}
