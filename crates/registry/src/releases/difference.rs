use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// How one resource differs between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// As the manifest words it: `sources`, `models`…; also a part without names of its own, such as `config`.
    pub kind: String,
    /// Empty for a part without names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub what: What,
    /// Of a changed resource, the places that differ: `features.age`, `estimator.lightgbm.rounds`, `gates[1]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    Added,
    Changed,
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.what {
            What::Added => '+',
            What::Changed => '~',
            What::Removed => '-',
        };
        write!(f, "{sign} {}", self.kind)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        match self.fields.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.fields.join(", ")),
        }
    }
}

/// The parts of a manifest that hold resources by name; every other part is compared as one.
const NAMED: [&str; 7] = ["sources", "entities", "views", "models", "endpoints", "pipelines", "monitors"];

/// What leads from one manifest to another, sorted by kind and name. A manifest is an object whose parts in [`NAMED`] are
/// objects by name; `Json::Null` stands for no release yet.
pub fn difference(old: &Json, new: &Json) -> Vec<Change> {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let mut changes = Vec::new();
    for kind in keys(old, new) {
        let (before, after) = (old.get(kind), new.get(kind));
        match NAMED.contains(&kind) {
            true => {
                let before = before.and_then(Json::as_object).unwrap_or(&empty);
                let after = after.and_then(Json::as_object).unwrap_or(&empty);
                changes.extend(
                    keys(before, after)
                        .into_iter()
                        .filter_map(|name| compare(kind, name, before.get(name), after.get(name))),
                );
            }
            false => changes.extend(compare(kind, "", before, after)),
        }
    }
    changes
}

fn keys<'a>(old: &'a Map<String, Json>, new: &'a Map<String, Json>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

fn compare(kind: &str, name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<Change> {
    let mut fields = Vec::new();
    let what = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => What::Added,
        (Some(_), None) => What::Removed,
        (Some(old), Some(new)) if old == new => return None,
        (Some(old), Some(new)) => {
            places(String::new(), old, new, &mut fields);
            What::Changed
        }
    };
    Some(Change { kind: kind.to_owned(), name: name.to_owned(), what, fields })
}

/// The deepest places that differ. Lists of different length differ as a whole.
fn places(path: String, old: &Json, new: &Json, found: &mut Vec<String>) {
    match (old, new) {
        _ if old == new => {}
        (Json::Object(old), Json::Object(new)) => {
            for key in keys(old, new) {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                places(path, old.get(key).unwrap_or(&Json::Null), new.get(key).unwrap_or(&Json::Null), found);
            }
        }
        (Json::Array(old), Json::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                places(format!("{path}[{index}]"), old, new, found);
            }
        }
        _ => found.push(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_added_changed_and_removed() {
        let old = json!({
            "config": {"name": "credit", "server": {"port": 8000}},
            "sources": {"loans": {"keys": ["id"], "delivery": "full"}, "credit": {}},
            "models": {"m": {"gates": ["auc >= 0.9", "ks > 1"], "estimator": {"lightgbm": {"rounds": 10}}}},
        });
        let new = json!({
            "config": {"name": "credit", "server": {"port": 9000}},
            "sources": {"loans": {"keys": ["id", "month"]}, "applications": {}},
            "models": {"m": {"gates": ["auc >= 0.9", "ks > 2"], "estimator": {"lightgbm": {"rounds": 20}}}},
        });
        let printed: Vec<String> = difference(&old, &new).iter().map(Change::to_string).collect();
        assert_eq!(
            printed,
            [
                "~ config: server.port",
                "~ models m: estimator.lightgbm.rounds, gates[1]",
                "+ sources applications",
                "- sources credit",
                "~ sources loans: delivery, keys",
            ]
        );
        assert!(difference(&old, &old).is_empty());
    }

    #[test]
    fn the_first_release_adds_everything() {
        let changes = difference(&Json::Null, &json!({"config": {}, "views": {"a": {}, "b": {}}}));
        assert!(changes.iter().all(|change| change.what == What::Added && change.fields.is_empty()));
        assert_eq!(changes.len(), 3);
    }
}
