use karat_core::DataType;

use super::columns::{Columns, Reading};
use super::scope::Scope;
use crate::kind::Kind;
use crate::spec::{Model, SplitBy, Threshold};
use crate::yaml::Aim;

/// The spine, the profile, the threshold, the labels and the gates.
pub(super) fn check(scope: &mut Scope<'_>, model: &Model) {
    scope.reference(Kind::Source, &model.spine.source, "spine.source", Aim::Value);
    scope.reference(Kind::Entity, &model.spine.entity, "spine.entity", Aim::Value);
    if let Some(columns) = Columns::named(scope.draft, &model.spine.source) {
        check_spine(scope, model, &columns);
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

fn check_spine(scope: &mut Scope<'_>, model: &Model, columns: &Columns<'_>) {
    let spine = &model.spine;
    if let Some(source) = scope.draft.sources.get(&spine.source).filter(|source| !source.keep) {
        let message = format!("source `{}` says `keep: false`, and training sets derive from history", source.name);
        scope.at_with_help("spine.source", message, "keep the source");
    }
    if let Some(entity) = scope.draft.entities.get(&spine.entity) {
        let data_type = columns.require(scope, &entity.key, Reading::Kept, "spine.entity");
        if let Some(data_type) = data_type.filter(|data_type| *data_type != entity.key_type) {
            let (key, wanted) = (&entity.key, entity.key_type);
            scope.at(
                "spine.entity",
                format!("the key `{key}` is of type {wanted}, and in source `{}` of type {data_type}", spine.source),
            );
        }
    }
    check_as_of(scope, model);
    if let Some(as_of) = &spine.as_of {
        columns.require_time(scope, as_of, Reading::Kept, "spine.as_of");
    }
    if let Some(label_time) = &spine.label_time {
        columns.require_time(scope, label_time, Reading::Kept, "spine.label_time");
    }
    let label = columns.require(scope, &spine.label, Reading::Kept, "spine.label");
    if let Some(label) = label.filter(|label| !matches!(label, DataType::Bool | DataType::Int)) {
        let message = format!(
            "a binary label is a bool column, or an int column of 0 and 1; `{}` is of type {label}",
            spine.label
        );
        scope.at_with_help("spine.label", message, "compute one in the source's `prepare`");
    }
}

/// Rows without a time are those of a source without one, and then nothing else of the model may ask for it.
fn check_as_of(scope: &mut Scope<'_>, model: &Model) {
    let spine = &model.spine;
    if spine.as_of.is_some() || !scope.is_sound() {
        return;
    }
    let source = scope.draft.sources.get(&spine.source);
    if let Some(event_time) = source.and_then(|source| source.event_time.as_deref()) {
        let message = format!("missing key `as_of`: the rows of source `{}` have a time", spine.source);
        scope.at_key_with_help(
            "spine",
            message,
            format!("say when each row's decision was made: `as_of: {event_time}`"),
        );
        return;
    }
    if spine.label_time.is_some() {
        scope.at_key(
            "spine.label_time",
            "`label_time` needs `as_of`: an outcome is known after a decision, and this spine has no time",
        );
    }
    if model.split.by == SplitBy::Time {
        let help = "name the column of the decision's time, or split `by: random` or `by: group`";
        scope.at_with_help("split.by", "a split by time needs the spine's `as_of`", help);
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
