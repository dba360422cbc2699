use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// How one resource differs between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// As the manifest words it: `Source`, `Model`…; also a part of it that holds no resources, such as `project`.
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

/// The part of a manifest that holds resources, by kind and name; every other part is compared as one.
const RESOURCES: &str = "resources";

/// What leads from one manifest to another, sorted by kind and name; first what is no resource. `Json::Null` stands for no
/// release yet.
pub fn difference(old: &Json, new: &Json) -> Vec<Change> {
    let (old, new) = (object(Some(old)), object(Some(new)));
    let parts = keys(old, new).into_iter().filter(|part| *part != RESOURCES);
    let mut changes: Vec<Change> = parts.filter_map(|part| compare(part, "", old.get(part), new.get(part))).collect();
    let (old, new) = (object(old.get(RESOURCES)), object(new.get(RESOURCES)));
    for kind in keys(old, new) {
        let (old, new) = (object(old.get(kind)), object(new.get(kind)));
        let names = keys(old, new).into_iter();
        changes.extend(names.filter_map(|name| compare(kind, name, old.get(name), new.get(name))));
    }
    changes
}

/// What is no object has no keys.
fn object(json: Option<&Json>) -> &Map<String, Json> {
    static EMPTY: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);
    json.and_then(Json::as_object).unwrap_or(&EMPTY)
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
            "format_version": 1,
            "project": {"name": "credit", "description": "x"},
            "resources": {
                "Source": {"loans": {"keys": ["id"], "delivery": "full"}, "credit": {}},
                "Model": {"m": {"gates": ["auc >= 0.9", "ks > 1"], "estimator": {"lightgbm": {"rounds": 10}}}},
            },
        });
        let new = json!({
            "format_version": 1,
            "project": {"name": "credit"},
            "resources": {
                "Source": {"loans": {"keys": ["id", "month"]}, "applications": {}},
                "Model": {"m": {"gates": ["auc >= 0.9", "ks > 2"], "estimator": {"lightgbm": {"rounds": 20}}}},
            },
        });
        let printed: Vec<String> = difference(&old, &new).iter().map(Change::to_string).collect();
        assert_eq!(
            printed,
            [
                "~ project: description",
                "~ Model m: estimator.lightgbm.rounds, gates[1]",
                "+ Source applications",
                "- Source credit",
                "~ Source loans: delivery, keys",
            ]
        );
        assert!(difference(&old, &old).is_empty());
    }

    #[test]
    fn the_first_release_adds_everything() {
        let changes =
            difference(&Json::Null, &json!({"project": {}, "resources": {"FeatureView": {"a": {}, "b": {}}}}));
        assert!(changes.iter().all(|change| change.what == What::Added && change.fields.is_empty()));
        assert_eq!(changes.len(), 3);
    }
}
