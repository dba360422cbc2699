//! Splits, fits and evaluates: from rows with features, labels and times to a fitted model and what it is worth.
//!
//! Invariant: decides nothing about registration, opens no store and no socket; whatever is learned from data is learned
//! from the training part alone, and nothing that scores has seen the test part.

mod data;
mod encode;
mod error;
mod evaluation;
mod fit;
pub mod lightgbm;
pub mod measures;
pub mod split;
mod threshold;

pub use data::{LeftOut, TrainingData};
pub use error::{LightGbmError, TrainingError};
pub use evaluation::{Evaluation, PartEvaluation};
pub use fit::{
    Durations, Explanation, FeatureWeight, FitOptions, Importance, Progress, Round, Trained, adopt,
    threads_from_environment, train,
};
pub use threshold::choose_threshold;
