//! A fitted model, ready to score: what training hands over and serving loads.

mod document;
mod encode;
mod files;
mod predict;
mod signature;

use std::fmt;

use karat_core::Digest;

pub use files::{FEATURES_FILE, FORMAT_VERSION, LINEAGE_FILE, MODEL_FILE, TREES_FILE};
pub use predict::Contribution;
pub use signature::{Input, Label, Monotone, Signature, Transform};

use crate::{Explainer, Interleaved, ModelError, Objective, TreeScorer, Trees};
use encode::Encoder;

/// What a model is made of. [`Model::new`] checks that it fits together.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelParts {
    pub signature: Signature,
    /// What a score below the threshold means, and what one at or above it does.
    pub labels: [Label; 2],
    /// The score from which the second label is given.
    pub threshold: f64,
    /// LightGBM's text, kept as it is.
    pub trees: String,
}

/// A binary model: signature, transforms, trees, threshold and labels. Immutable; share it in an `Arc`.
pub struct Model {
    parts: ModelParts,
    trees: Trees,
    digest: Digest,
    encoders: Vec<Encoder>,
    scorer: Box<dyn TreeScorer>,
    explainer: Explainer,
}

impl Model {
    pub fn new(parts: ModelParts) -> Result<Model, ModelError> {
        let trees = Trees::parse(&parts.trees)?;
        if !matches!(trees.objective(), Objective::Binary { .. }) {
            let name = trees.objective().name();
            return Err(ModelError::Unsupported(format!(
                "the objective is {name}; this version of Karat serves binary"
            )));
        }
        parts.signature.check(trees.features())?;
        if parts.labels[0] == parts.labels[1] {
            return Err(ModelError::Signature(format!("both labels are {}", parts.labels[0])));
        }
        if !(0.0..=1.0).contains(&parts.threshold) {
            return Err(ModelError::Threshold(parts.threshold));
        }
        let explainer = Explainer::new(&trees)?;
        let scorer = Box::new(Interleaved::new(&trees));
        let encoders = parts.signature.inputs.iter().map(|input| Encoder::new(&input.transform)).collect();
        let digest = document::digest(&parts, &trees);
        Ok(Model { parts, trees, digest, encoders, scorer, explainer })
    }

    /// Covers what can change a score or a label, and nothing else: not the reason words, not lineage, not the training
    /// parameters LightGBM echoes at the end of its text.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    pub fn signature(&self) -> &Signature {
        &self.parts.signature
    }

    pub fn labels(&self) -> &[Label; 2] {
        &self.parts.labels
    }

    pub fn threshold(&self) -> f64 {
        self.parts.threshold
    }

    pub fn parts(&self) -> &ModelParts {
        &self.parts
    }

    pub fn trees(&self) -> &Trees {
        &self.trees
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inputs, trees) = (self.parts.signature.inputs.len(), self.trees.trees().len());
        write!(f, "Model({:?}, {inputs} inputs, {trees} trees)", self.digest)
    }
}
