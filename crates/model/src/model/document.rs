//! `model.json`, and the digest over what scores.

use karat_core::{DataType, Digest};
use serde::{Deserialize, Serialize};

use crate::model::{Input, Label, ModelParts, Transform};
use crate::{ModelError, Trees};

/// Format 1 of `model.json`. A change that an older reader would misread takes the next number.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub format_version: u32,
    pub digest: Digest,
    pub objective: String,
    pub threshold: f64,
    pub labels: [Label; 2],
    pub inputs: Vec<Input>,
}

/// Read before the rest, so that a newer document fails for what it is, not for a field we do not know.
#[derive(Debug, Deserialize)]
struct Version {
    format_version: u32,
}

impl Document {
    pub(super) fn read(bytes: &[u8]) -> Result<Document, ModelError> {
        let unreadable = |error: serde_json::Error| ModelError::Document(error.to_string());
        let version: Version = serde_json::from_slice(bytes).map_err(unreadable)?;
        match version.format_version {
            VERSION => {}
            0 => return Err(ModelError::Document("there is no format 0".to_owned())),
            found => return Err(ModelError::NewerFormat { found, newest: VERSION }),
        }
        let document: Document = serde_json::from_slice(bytes).map_err(unreadable)?;
        if Digest::parse(document.digest.as_str()).is_none() {
            return Err(ModelError::Document("its digest is not 64 hexadecimal digits".to_owned()));
        }
        Ok(document)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a checked model serialises");
        bytes.push(b'\n');
        bytes
    }
}

/// The scoring content, in the one form that is digested. Its field names and order of inputs never change: model digests
/// stand in prediction logs and approvals.
#[derive(Serialize)]
struct Scoring<'a> {
    inputs: Vec<ScoringInput<'a>>,
    labels: &'a [Label; 2],
    objective: &'a str,
    threshold_bits: u64,
    trees: Digest,
}

#[derive(Serialize)]
struct ScoringInput<'a> {
    name: &'a str,
    data_type: DataType,
    transform: &'a Transform,
}

pub(super) fn digest(parts: &ModelParts, trees: &Trees) -> Digest {
    let inputs = parts.signature.inputs.iter();
    Digest::of_json(&Scoring {
        inputs: inputs
            .map(|input| ScoringInput { name: &input.name, data_type: input.data_type, transform: &input.transform })
            .collect(),
        labels: &parts.labels,
        objective: trees.objective().name(),
        threshold_bits: parts.threshold.to_bits(),
        trees: Digest::of(Trees::scoring_part(&parts.trees)),
    })
}
