//! The artifact folder, as named bytes: who calls decides where they lie.

use std::collections::BTreeMap;

use crate::ModelError;
use crate::model::document::{self, Document};
use crate::model::{Model, ModelParts, Signature};

/// Signature, threshold, labels, reason words, digest.
pub const MODEL_FILE: &str = "model.json";
/// The trees in LightGBM's own text: `lightgbm.Booster(model_file="trees.txt")` opens it.
pub const TREES_FILE: &str = "trees.txt";
/// Where the model comes from: written and read by the caller, in no digest.
pub const LINEAGE_FILE: &str = "lineage.json";
/// The feature definitions pinned at training: opaque here.
pub const FEATURES_FILE: &str = "features.json";
pub const FORMAT_VERSION: u32 = document::VERSION;

impl Model {
    /// `model.json` and `trees.txt`: equal models give equal bytes.
    pub fn to_files(&self) -> BTreeMap<String, Vec<u8>> {
        let document = Document {
            format_version: FORMAT_VERSION,
            digest: self.digest.clone(),
            objective: self.trees.objective().name().to_owned(),
            threshold: self.parts.threshold,
            labels: self.parts.labels.clone(),
            inputs: self.parts.signature.inputs.clone(),
        };
        BTreeMap::from([
            (MODEL_FILE.to_owned(), document.write()),
            (TREES_FILE.to_owned(), self.parts.trees.clone().into_bytes()),
        ])
    }

    /// Reads a folder anyone may have written. `file` gives a file's bytes, `None` where there is none. What was changed
    /// since it was written is refused.
    pub fn from_files(file: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Model, ModelError> {
        let document = Document::read(&file(MODEL_FILE).ok_or(ModelError::MissingFile(MODEL_FILE))?)?;
        let trees = file(TREES_FILE).ok_or(ModelError::MissingFile(TREES_FILE))?;
        let trees = String::from_utf8(trees)
            .map_err(|_| ModelError::Unsupported("`trees.txt` is not UTF-8: it is not a LightGBM model".to_owned()))?;
        let stored = document.digest;
        let model = Model::new(ModelParts {
            signature: Signature { inputs: document.inputs },
            labels: document.labels,
            threshold: document.threshold,
            trees,
        })?;
        if *model.digest() != stored {
            return Err(ModelError::DigestMismatch { stored, actual: model.digest().clone() });
        }
        if document.objective != model.trees().objective().name() {
            let problem = format!("its objective is `{}`, its trees' another", document.objective);
            return Err(ModelError::Document(problem));
        }
        Ok(model)
    }
}
