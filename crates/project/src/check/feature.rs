use karat_core::Window;

use super::scope::Scope;
use crate::spec::{Feature, FeatureCheck, OnFailure};
use crate::yaml::path_key;

/// Names that mean something else beside features.
const TAKEN: [(&str, &str); 2] = [
    ("as_of", "`as_of` is the instant features are read at"),
    ("no_history", "`no_history` says that a key has no visible events"),
];

pub(super) fn check(scope: &mut Scope<'_>, name: &str, feature: &Feature, keys: &[String]) {
    let path = format!("features.{}", path_key(name));
    check_name(scope, name, &path, keys);
    if matches!(feature.rows.window, Some(Window::Fixed(0) | Window::Months(0))) {
        scope.at(&format!("{path}.window"), "a window of no length holds no event");
    }
    if feature.is_list() && !feature.checks.is_empty() {
        scope.at_key_with_help(
            &format!("{path}.checks"),
            format!("`{name}` is a list, and a check looks at a single value"),
            "check a feature of its own, such as `{last: column}` or `{max: column, last: 5}`",
        );
        return;
    }
    for (index, check) in feature.checks.iter().enumerate() {
        let path = format!("{path}.checks[{index}]");
        match check {
            FeatureCheck::NotNull { on_failure: OnFailure::Null } => {
                let message = "where `not_null` fails there is no value: `on_failure: null` would change nothing";
                scope.at_with_help(&format!("{path}.on_failure"), message, "write `refuse`, or `{substitute: value}`");
            }
            FeatureCheck::NotNull { .. } => {}
            FeatureCheck::Range { min: None, max: None, .. } => {
                scope.at_key(&path, "a `range` check needs `min`, `max` or both");
            }
            FeatureCheck::Range { min: Some(min), max: Some(max), .. } if min > max => {
                scope.at(&format!("{path}.max"), format!("`max` {max} is less than `min` {min}"));
            }
            FeatureCheck::Range { .. } => {}
            FeatureCheck::Allowed { values, .. } if values.is_empty() => {
                scope.at(&format!("{path}.values"), "an `allowed` check with no values allows nothing");
            }
            FeatureCheck::Allowed { .. } => {}
        }
    }
}

fn check_name(scope: &mut Scope<'_>, name: &str, path: &str, keys: &[String]) {
    let letter_first = name.starts_with(char::is_alphabetic);
    let clean = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !letter_first || !clean || name.chars().count() > 63 {
        let message =
            format!("`{name}` is no feature's name: a letter, then letters, digits, `_` or `-`, at most 63 characters");
        scope.at_key(path, message);
    } else if keys.iter().any(|key| key == name) {
        let what = if keys.len() == 1 { "the entity's key" } else { "of the key" };
        scope.at_key(path, format!("`{name}` is {what}: it stands beside the features, never among them"));
    } else if let Some((_, why)) = TAKEN.iter().find(|(taken, _)| *taken == name) {
        scope.at_key(path, format!("{why}: a feature needs another name"));
    }
}
