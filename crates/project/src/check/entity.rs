use std::collections::HashSet;

use karat_core::{DataType, Name};

use super::columns::{Columns, Reading};
use super::scope::Scope;
use crate::kind::Kind;
use crate::spec::{Entity, key_columns};
use crate::yaml::{Aim, path_key};

pub(super) fn check(scope: &mut Scope<'_>, entity: &Entity) {
    let mut seen = HashSet::new();
    for (place, key) in entity.keys.iter().enumerate() {
        let (path, word) = match scope.is_written("key") {
            true => ("key".to_owned(), "key"),
            false if scope.is_written("keys[0]") => (format!("keys[{place}]"), "key column"),
            false => (format!("keys.{}", path_key(&key.name)), "key column"),
        };
        if key.name.trim().is_empty() {
            scope.at(&path, "an entity's key is a column");
        } else if key.name.starts_with('_') {
            scope.at(&path, format!("{word} `{}` begins with `_`, as only Karat's own columns do", key.name));
        } else if key.name == "as_of" {
            scope.at(&path, "`as_of` is the instant features are read at, not a key");
        } else if !seen.insert(&key.name) {
            scope.at(&path, format!("`{}` is listed twice", key.name));
        }
        if matches!(key.data_type, DataType::Float | DataType::Bool) {
            let path = if scope.is_written("type") { "type".to_owned() } else { path };
            let message = format!("a key of type {} identifies nothing", key.data_type);
            scope.at_with_help(&path, message, "use int, text or date");
        }
    }
}

/// Where the file names the entity of this place: `within` is empty, or ends in a dot.
pub(super) fn path_of(scope: &Scope<'_>, within: &str, place: usize) -> String {
    let several = format!("{within}entities");
    if scope.is_written(&several) { format!("{several}[{place}]") } else { format!("{within}entity") }
}

/// That they are there, each once.
pub(super) fn check_names(scope: &mut Scope<'_>, entities: &[Name], within: &str) {
    for (place, entity) in entities.iter().enumerate() {
        let path = path_of(scope, within, place);
        scope.reference(Kind::Entity, entity, &path, Aim::Value);
        if entities[..place].contains(entity) {
            scope.at(&path, format!("entity `{entity}` is listed twice"));
        }
    }
}

/// The entities' keys are columns of a source, of the same types.
pub(super) fn check_keys(
    scope: &mut Scope<'_>,
    entities: &[Name],
    columns: &Columns<'_>,
    path: &dyn Fn(&Scope<'_>, usize) -> String,
    wrong_type: &dyn Fn(&Entity, &karat_core::Column, DataType) -> String,
) {
    let draft = scope.draft;
    for (place, name) in entities.iter().enumerate() {
        let Some(entity) = draft.entities.get(name) else { continue };
        let path = path(scope, place);
        for key in &entity.keys {
            let found = columns.require(scope, &key.name, Reading::Kept, &path);
            if let Some(found) = found.filter(|found| *found != key.data_type) {
                scope.at(&path, wrong_type(entity, key, found));
            }
        }
    }
}

/// The names of the entities' key columns, as far as the entities are there.
pub(super) fn key_names(scope: &Scope<'_>, entities: &[Name]) -> Vec<String> {
    let known = entities.iter().filter_map(|name| scope.draft.entities.get(name));
    key_columns(known).into_iter().map(|column| column.name).collect()
}
