//! Splits, measures and training, against scikit-learn, scipy, Python's LightGBM and brute force.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod data;
mod identical;
mod lightgbm;
mod measures;
mod split;
mod train;
mod train_errors;
