use super::scope::Scope;
use crate::spec::{Estimator, Model};

/// Parameters that LightGBM would refuse, or quietly change.
pub(super) fn check(scope: &mut Scope<'_>, model: &Model) {
    let Estimator::Lightgbm(parameters) = &model.estimator;
    let mut check = |key: &str, holds: bool, rule: &str| {
        if !holds {
            scope.at(&format!("estimator.lightgbm.{key}"), format!("`{key}` {rule}"));
        }
    };
    let fraction = |value: f64| value > 0.0 && value <= 1.0;
    check("learning_rate", parameters.learning_rate > 0.0, "must be above 0");
    check("num_leaves", (2..=131_072).contains(&parameters.num_leaves), "must lie between 2 and 131072");
    check("rounds", parameters.rounds >= 1, "must be at least 1");
    check("max_bin", parameters.max_bin >= 2, "must be at least 2");
    check("feature_fraction", fraction(parameters.feature_fraction), "must be above 0, and at most 1");
    check("bagging_fraction", fraction(parameters.bagging_fraction), "must be above 0, and at most 1");
    check("min_data_per_group", parameters.min_data_per_group >= 1, "must be at least 1");
    for (key, value) in [
        ("lambda_l1", parameters.lambda_l1),
        ("lambda_l2", parameters.lambda_l2),
        ("min_gain_to_split", parameters.min_gain_to_split),
        ("cat_smooth", parameters.cat_smooth),
        ("cat_l2", parameters.cat_l2),
    ] {
        check(key, value >= 0.0, "must not be negative");
    }
    let bagged = parameters.bagging_fraction < 1.0 && parameters.bagging_freq == 0;
    check("bagging_fraction", !bagged, "has no effect without `bagging_freq`: write `bagging_freq: 1`");
}
