//! Scores and reasons against LightGBM itself (its C API, a test-only dependency) and against numbers from Python; texts and
//! folders from strangers.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on ends its test")]

mod artifact;
mod cases;
mod explaining;
mod hostile;
mod lightgbm;
mod python;
mod random;
mod scoring;
mod trained;
