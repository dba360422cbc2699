use karat_model::{Monotone, Signature, Transform};
use karat_project::spec::LightGbm;

use crate::lightgbm::Parameters;

/// LightGBM's parameters under its own names, all that can change the trees and nothing else.
///
/// `deterministic` and `force_col_wise` make the trees independent of the number of threads; early stopping is ours, so
/// LightGBM computes no metric.
pub(super) fn parameters(estimator: &LightGbm, signature: &Signature, seed: u32) -> Parameters {
    let categorical: Vec<usize> = (0..signature.inputs.len())
        .filter(|index| matches!(signature.inputs[*index].transform, Transform::Categories(_)))
        .collect();
    let monotone: Vec<i8> = signature.inputs.iter().map(|input| direction(input.monotone)).collect();
    let monotone = if monotone.iter().all(|direction| *direction == 0) { Vec::new() } else { monotone };
    Parameters::new()
        .with("objective", "binary")
        .with("boosting", "gbdt")
        .with("learning_rate", estimator.learning_rate)
        .with("num_leaves", estimator.num_leaves)
        .with("min_data_in_leaf", estimator.min_data_in_leaf)
        .with("max_depth", estimator.max_depth)
        .with("feature_fraction", estimator.feature_fraction)
        .with("bagging_fraction", estimator.bagging_fraction)
        .with("bagging_freq", estimator.bagging_freq)
        .with("lambda_l1", estimator.lambda_l1)
        .with("lambda_l2", estimator.lambda_l2)
        .with("min_gain_to_split", estimator.min_gain_to_split)
        .with("max_bin", estimator.max_bin)
        .with("cat_smooth", estimator.cat_smooth)
        .with("cat_l2", estimator.cat_l2)
        .with("min_data_per_group", estimator.min_data_per_group)
        .with_list("categorical_feature", &categorical)
        .with_list("monotone_constraints", &monotone)
        // LightGBM's seed is a signed 32-bit number.
        .with("seed", seed & 0x7fff_ffff)
        .with("deterministic", true)
        .with("force_col_wise", true)
        .with("metric", "none")
        .with("verbosity", -1)
}

fn direction(monotone: Monotone) -> i8 {
    match monotone {
        Monotone::None => 0,
        Monotone::Increasing => 1,
        Monotone::Decreasing => -1,
    }
}
