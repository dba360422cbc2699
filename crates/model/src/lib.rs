//! A fitted model as data: signature and transforms, tree scoring, TreeSHAP reasons, and the files that hold them.
//!
//! Invariant: never trains, never links LightGBM's library, never touches a file or the network: callers hand bytes in and out.

#![deny(unsafe_code)]

mod error;
mod explain;
mod model;
mod scoring;
mod trees;

pub use error::{ModelError, Place};
pub use explain::Explainer;
pub use model::{
    Contribution, FEATURES_FILE, FORMAT_VERSION, Input, LINEAGE_FILE, Label, MODEL_FILE, Model, ModelParts, Monotone,
    Signature, TREES_FILE, Transform,
};
pub use scoring::{Interleaved, TreeScorer};
pub use trees::{Child, Leaf, Missing, Objective, Split, Test, Tree, Trees, ZERO};
