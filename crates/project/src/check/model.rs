use super::columns::{Columns, Reading};
use super::scope::Scope;
use super::{entity, spine};
use crate::kind::Kind;
use crate::spec::{Model, Threshold};
use crate::yaml::Aim;

/// The profile, the threshold, the labels and the gates, and the spine.
pub(super) fn check(scope: &mut Scope<'_>, model: &Model) {
    scope.reference(Kind::Source, &model.spine.source, "spine.source", Aim::Value);
    entity::check_names(scope, &model.spine.entities, "spine.");
    if let Some(columns) = Columns::named(scope.draft, &model.spine.source) {
        spine::check(scope, model, &columns);
        for (index, column) in model.profile.iter().enumerate() {
            columns.require(scope, column, Reading::Kept, &format!("profile[{index}]"));
        }
    }
    check_threshold(scope, model);
    if let Some([low, high]) = &model.labels
        && low == high
    {
        scope.at("labels[1]", format!("both labels are called `{low}`"));
    }
    for (index, _) in model.gates.iter().enumerate().filter(|(_, gate)| gate.trim().is_empty()) {
        scope.at_with_help(&format!("gates[{index}]"), "an empty gate", "write a condition such as `auc >= 0.9`");
    }
    if model.experiment.as_ref().is_some_and(|experiment| experiment.trim().is_empty()) {
        scope.at("experiment", "an experiment has a name");
    }
}

fn check_threshold(scope: &mut Scope<'_>, model: &Model) {
    let (key, number) = match model.threshold {
        Threshold::Maximize(_) => return,
        Threshold::Value(number) => ("value", number),
        Threshold::RecallAtLeast(number) => ("recall_at_least", number),
        Threshold::PrecisionAtLeast(number) => ("precision_at_least", number),
    };
    if !(0.0..=1.0).contains(&number) {
        scope.at(&format!("threshold.{key}"), format!("`{key}` lies between 0 and 1, and {number} does not"));
    }
}
