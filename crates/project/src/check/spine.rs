use karat_core::{Column, DataType, Name, Window};

use super::columns::{Columns, Reading};
use super::entity;
use super::scope::Scope;
use crate::kind::Kind;
use crate::spec::{EventLabel, Label, Model, SplitBy};
use crate::suggest::ticked;
use crate::yaml::Aim;

/// Where the rows come from, their time, and what came of them.
pub(super) fn check(scope: &mut Scope<'_>, model: &Model, columns: &Columns<'_>) {
    let spine = &model.spine;
    if let Some(source) = scope.draft.sources.get(&spine.source).filter(|source| !source.keep) {
        let message = format!("source `{}` says `keep: false`, and training sets derive from history", source.name);
        scope.at_with_help("spine.source", message, "keep the source");
    }
    let path = |scope: &Scope<'_>, place| entity::path_of(scope, "spine.", place);
    entity::check_keys(scope, &spine.entities, columns, &path, &|_, key, found| wrong_type(key, &spine.source, found));
    check_as_of(scope, model);
    if let Some(as_of) = &spine.as_of {
        columns.require_time(scope, as_of, Reading::Kept, "spine.as_of");
    }
    if let Some(label_time) = &spine.label_time {
        columns.require_time(scope, label_time, Reading::Kept, "spine.label_time");
    }
    match &spine.label {
        Label::Column(column) => check_label_column(scope, column, columns),
        Label::Events(label) => check_event_label(scope, model, label),
    }
    if spine.keep.is_some() && spine.as_of.is_none() {
        scope.at_key("spine.keep", "`keep` goes by `as_of`: rows without a time have no first and no last");
    }
}

fn check_label_column(scope: &mut Scope<'_>, column: &str, columns: &Columns<'_>) {
    let label = columns.require(scope, column, Reading::Kept, "spine.label");
    if let Some(label) = label.filter(|label| !matches!(label, DataType::Bool | DataType::Int)) {
        let message =
            format!("a binary label is a bool column, or an int column of 0 and 1; `{column}` is of type {label}");
        scope.at_with_help("spine.label", message, "compute one in the source's `prepare`");
    }
}

fn check_event_label(scope: &mut Scope<'_>, model: &Model, label: &EventLabel) {
    scope.reference(Kind::Source, &label.source, "spine.label.source", Aim::Value);
    check_events(scope, model, label);
    if model.spine.as_of.is_none() {
        scope.at("spine.label", "later events are those after `as_of`, and this spine has none");
    }
    if model.spine.label_time.is_some() {
        let message =
            "a label of later events is known when `observe` and `collect` are over: it needs no `label_time`";
        scope.at_key_with_help("spine.label_time", message, "leave it out");
    }
    let given: Vec<&str> = label.aggregates().map(|(key, ..)| key).collect();
    if let [_, others @ ..] = given.as_slice() {
        let message = format!("a label has one of `count`, `sum` and `max`: this one has {}", ticked(&given));
        for other in others {
            scope.at_key(&format!("spine.label.{other}"), message.clone());
        }
    }
    let counts = matches!(given.as_slice(), [] | ["count"]);
    match label.at_least {
        None if !counts => {
            let message = "missing key `at_least`: how large it must be for the label to be true";
            scope.at_key("spine.label", message);
        }
        Some(least) if counts && least <= 0.0 => {
            scope.at("spine.label.at_least", format!("any count is at least {least}: the label would always be true"));
        }
        _ => {}
    }
    if matches!(label.observe, Window::Fixed(0) | Window::Months(0)) {
        scope.at("spine.label.observe", "a window of no length holds no event");
    }
}

/// The label's source is kept, has the entities' keys, and its rows have a time.
fn check_events(scope: &mut Scope<'_>, model: &Model, label: &EventLabel) {
    let draft = scope.draft;
    let Some(source) = draft.sources.get(&label.source) else { return };
    if !source.keep {
        let message = format!("source `{}` says `keep: false`, and training sets derive from history", source.name);
        scope.at_with_help("spine.label.source", message, "keep the source");
    }
    if source.event_time.is_none() && scope.is_source_sound(&label.source) {
        let message = format!("the rows of source `{}` have no time: it says no `event_time`", source.name);
        scope.at("spine.label.source", message);
    }
    const WITHIN: &str = "spine.label.";
    for (place, entity) in label.entities.iter().enumerate() {
        if !model.spine.entities.contains(entity) {
            let path = entity::path_of(scope, WITHIN, place);
            let spine = ticked(&model.spine.entities);
            scope
                .at(&path, format!("the events are of entities of the spine, {spine}, and `{entity}` is none of them"));
        }
    }
    let path = |scope: &Scope<'_>, place: usize| match label.entities.is_empty() {
        true => "spine.label.source".to_owned(),
        false => entity::path_of(scope, WITHIN, place),
    };
    let columns = Columns::of(draft, source);
    let entities = model.spine.label_entities(label);
    entity::check_keys(scope, entities, &columns, &path, &|_, key, found| wrong_type(key, &source.name, found));
}

fn wrong_type(key: &Column, source: &Name, found: DataType) -> String {
    format!("the key `{}` is of type {}, and in source `{source}` of type {found}", key.name, key.data_type)
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
