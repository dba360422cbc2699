use std::collections::HashMap;

use karat_core::Name;

use super::columns::{Columns, Reading};
use super::entity;
use super::scope::{Scope, keys_in};
use crate::kind::{Kind, ResourceRef};
use crate::spec::{Aggregate, Feature, FeatureKind, FeatureView, Model, ModelFeatures};
use crate::suggest::{did_you_mean, ticked};
use crate::yaml::{Aim, path_key};

/// What the model sees: features of views and fields of requests, each under a name of its own, none of them an id.
pub(super) fn check(scope: &mut Scope<'_>, model: &Model) {
    let mut inputs = Inputs::of(scope, model);
    for (index, chosen) in model.features.iter().enumerate() {
        let path = format!("features[{index}]");
        match chosen {
            ModelFeatures::All(view) => {
                scope.reference(Kind::FeatureView, view, &path, Aim::Value);
                check_entities(scope, model, view, &path);
                for feature in inputs.features_of(scope, view) {
                    inputs.add(scope, model, Some(view), &feature, &path);
                }
            }
            ModelFeatures::Some(list) => {
                for (view, features) in &list.0 {
                    let path = format!("{path}.{}", path_key(view));
                    scope.reference(Kind::FeatureView, view, &path, Aim::Key);
                    check_entities(scope, model, view, &path);
                    for (index, feature) in features.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        inputs.incomplete |= !scope.draft.views.contains_key(view);
                        check_feature(scope, view, feature, &path);
                        inputs.add(scope, model, Some(view), feature, &path);
                    }
                }
            }
        }
    }
    check_request(scope, model, &mut inputs);
    if inputs.names.is_empty() && !inputs.incomplete && scope.is_sound() {
        scope.at_key("features", "a model needs features, or fields of the request");
    }
    for name in model.monotone.keys() {
        inputs.check_known(scope, name, &format!("monotone.{}", path_key(name)), Aim::Key);
    }
    check_reasons(scope, model, &inputs);
}

/// A reason is a feature's, or a group's under a name that no feature has; a feature is in one group at most.
fn check_reasons(scope: &mut Scope<'_>, model: &Model, inputs: &Inputs) {
    let mut grouped: HashMap<&str, &str> = HashMap::new();
    for (name, reason) in &model.reasons {
        let path = format!("reasons.{}", path_key(name));
        if reason.features.is_empty() {
            inputs.check_known(scope, name, &path, Aim::Key);
            continue;
        }
        if inputs.names.contains_key(name) {
            let message = format!("`{name}` is a feature of the model: a group of features has a name of its own");
            scope.at_key(&path, message);
        }
        for (index, feature) in reason.features.iter().enumerate() {
            let path = format!("{path}.features[{index}]");
            inputs.check_known(scope, feature, &path, Aim::Value);
            if let Some(other) = grouped.insert(feature, name) {
                scope.at(&path, format!("`{feature}` is in the group `{other}` already: it would count twice"));
            }
        }
    }
}

/// Every entity that the view describes is one of the spine's.
fn check_entities(scope: &mut Scope<'_>, model: &Model, view: &Name, path: &str) {
    // An entity that is not there is reported where it is named.
    let known = scope.draft.names(Kind::Entity);
    let is_known = |name: &&Name| known.iter().any(|known| *known == name.as_str());
    let Some(view) = scope.draft.views.get(view) else { return };
    let spine = &model.spine.entities;
    if !spine.iter().all(|entity| is_known(&entity)) {
        return;
    }
    let foreign: Vec<&Name> = view.entities.iter().filter(is_known).filter(|entity| !spine.contains(entity)).collect();
    if foreign.is_empty() {
        return;
    }
    let what = if foreign.len() == 1 { "entity" } else { "entities" };
    let message =
        format!("view `{}` describes {what} {}, and the spine is about {}", view.name, ticked(&foreign), ticked(spine));
    let all: Vec<&str> = spine.iter().chain(foreign).map(Name::as_str).collect();
    let help = format!(
        "a spine whose rows have the keys of all of them says `entities: [{}]` in place of `entity`",
        all.join(", ")
    );
    scope.at_key_with_help(path, message, help);
}

fn check_request(scope: &mut Scope<'_>, model: &Model, inputs: &mut Inputs) {
    let columns = Columns::named(scope.draft, &model.spine.source);
    for (name, data_type) in &model.request {
        let path = format!("request.{}", path_key(name));
        if let Some(columns) = &columns
            && let Some(declared) = columns.require(scope, name, Reading::Kept, &path)
            && declared != *data_type
        {
            scope
                .at(&path, format!("in training `{name}` is a column of `{}`, of type {declared}", model.spine.source));
        }
        inputs.add(scope, model, None, name, &path);
        if Some(name) == model.spine.as_of.as_ref() {
            scope.at_key(&path, format!("`{name}` is the spine's as_of: a request names it as `as_of`"));
        }
    }
}

/// The names in the view's file, decoded or not.
fn features_of(scope: &Scope<'_>, view: &Name) -> Vec<String> {
    let node = scope.draft.nodes.get(&ResourceRef::new(Kind::FeatureView, view.clone()));
    keys_in(node, "features").into_iter().map(str::to_owned).collect()
}

/// Reports a feature that the view, if it could be read, has not.
pub(super) fn check_feature(scope: &mut Scope<'_>, view: &Name, feature: &str, path: &str) {
    let features = features_of(scope, view);
    if features.iter().any(|known| known == feature) || !scope.draft.views.contains_key(view) {
        return;
    }
    let help = did_you_mean(feature, features.iter().map(String::as_str), || format!("it has {}", ticked(&features)));
    scope.at_with_help(path, format!("view `{view}` has no feature `{feature}`"), help);
}

/// Reports a feature whose value is a list.
fn check_list(scope: &mut Scope<'_>, view: &Name, name: &str, path: &str) {
    let draft = scope.draft;
    let Some(view) = draft.views.get(view) else { return };
    if !view.features.get(name).is_some_and(Feature::is_list) {
        return;
    }
    let others = view.features.iter().filter(|(_, feature)| !feature.is_list());
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    let remedy = match others.as_slice() {
        [] => "leave the view out".to_owned(),
        others => format!("name the features it takes (`{}: [{}]`)", view.name, others.join(", ")),
    };
    let help = format!("{remedy}, and tell it of the same events by aggregates, such as `{{mean: column, last: 5}}`");
    scope.at_key_with_help(
        path,
        format!("`{name}` of view `{}` is a list, and a model takes single values", view.name),
        help,
    );
}

/// The model's inputs by name, with where each comes from.
struct Inputs {
    names: HashMap<String, String>,
    /// Whether a view is missing or broken, so that unknown names may be its.
    incomplete: bool,
    /// The key columns of the spine's entities.
    keys: Vec<String>,
}

impl Inputs {
    fn of(scope: &Scope<'_>, model: &Model) -> Inputs {
        let keys = entity::key_names(scope, &model.spine.entities);
        Inputs { names: HashMap::new(), incomplete: false, keys }
    }

    fn features_of(&mut self, scope: &Scope<'_>, view: &Name) -> Vec<String> {
        self.incomplete |= !scope.draft.views.contains_key(view);
        features_of(scope, view)
    }

    /// Takes an input's name, of a view's feature or (without a view) of a request's field.
    fn add(&mut self, scope: &mut Scope<'_>, model: &Model, view: Option<&Name>, name: &str, path: &str) {
        let from = match view {
            Some(view) => format!("view `{view}`"),
            None => "the request".to_owned(),
        };
        if name == model.spine.label.name() {
            scope.at_key(
                path,
                format!("`{name}` of {from} is named like the label: the training set has one column of that name"),
            );
        } else if self.keys.iter().any(|key| key == name) && view.is_none() {
            let what = if self.keys.len() == 1 { "the entity's key" } else { "of the key" };
            scope.at_key(path, format!("`{name}` is {what}: every request names it, and an id is never a feature"));
        } else if let Some(key) = self.id_behind(scope, model, view, name) {
            scope.at_key_with_help(
                path,
                format!(
                    "`{name}` of {from} is the id `{key}`: a model would learn who the rows are, not what they are like"
                ),
                "count ids (`distinct`, `count`), never show them to a model",
            );
        }
        if let Some(view) = view {
            check_list(scope, view, name, path);
        }
        if let Some(first) = self.names.insert(name.to_owned(), from.clone()) {
            let message = match first == from {
                true => format!("`{name}` of {from} is listed twice"),
                false => format!("`{name}` is a name of both {first} and {from}: a model needs to tell them apart"),
            };
            scope.at_key(path, message);
        }
    }

    /// The key column whose values the input shows, if it does.
    fn id_behind(&self, scope: &Scope<'_>, model: &Model, view: Option<&Name>, name: &str) -> Option<String> {
        let draft = scope.draft;
        let view: Option<&FeatureView> = view.and_then(|view| draft.views.get(view));
        let source = draft.sources.get(view.map_or(&model.spine.source, |view| &view.source))?;
        let keys = self.keys.iter().map(String::as_str);
        let ids = source.keys.iter().map(String::as_str).chain(source.event_id.as_deref()).chain(keys);
        let shown = match view {
            Some(view) => shown_column(view.features.get(name)?)?,
            None => name.to_owned(),
        };
        // A period may be part of a compound key; it is a time, not an id.
        let is_time = |id: &&str| source.event_time.as_deref() == Some(*id);
        ids.filter(|id| !is_time(id)).find(|id| *id == shown).map(str::to_owned)
    }

    fn check_known(&self, scope: &mut Scope<'_>, name: &str, path: &str, aim: Aim) {
        if self.incomplete || self.names.contains_key(name) {
            return;
        }
        let help = did_you_mean(name, self.names.keys().map(String::as_str), || {
            "it names features of the model, or fields of its requests".to_owned()
        });
        let message = format!("the model has no feature `{name}`");
        match aim {
            Aim::Key => scope.at_key_with_help(path, message, help),
            Aim::Value => scope.at_with_help(path, message, help),
        }
    }
}

/// The column whose values a feature shows as they are.
fn shown_column(feature: &Feature) -> Option<String> {
    let sql = match &feature.kind {
        FeatureKind::Expression { sql } => sql,
        FeatureKind::Aggregate {
            aggregate:
                Aggregate::Sum
                | Aggregate::Mean
                | Aggregate::Min
                | Aggregate::Max
                | Aggregate::Quantile(_)
                | Aggregate::First
                | Aggregate::Last,
            of: Some(of),
        } => of,
        FeatureKind::Aggregate { .. } => return None,
    };
    let trimmed = sql.trim();
    let unquoted = trimmed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(trimmed);
    Some(unquoted.to_owned())
}
