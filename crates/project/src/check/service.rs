use std::collections::HashSet;

use super::model_features::check_feature;
use super::scope::Scope;
use crate::kind::Kind;
use crate::spec::{FeatureService, ModelFeatures};
use crate::yaml::{Aim, path_key};

/// What it names is there, each once.
pub(super) fn check(scope: &mut Scope<'_>, service: &FeatureService) {
    let mut whole = HashSet::new();
    let mut single = HashSet::new();
    for (index, chosen) in service.features.iter().enumerate() {
        let path = format!("features[{index}]");
        match chosen {
            ModelFeatures::All(view) => {
                scope.reference(Kind::FeatureView, view, &path, Aim::Value);
                if !whole.insert(view) || single.iter().any(|(of, _)| *of == view) {
                    scope.at(&path, format!("features of `{view}` are listed twice"));
                }
            }
            ModelFeatures::Some(list) => {
                for (view, features) in &list.0 {
                    let path = format!("{path}.{}", path_key(view));
                    scope.reference(Kind::FeatureView, view, &path, Aim::Key);
                    for (index, feature) in features.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        check_feature(scope, view, feature, &path);
                        if !single.insert((view, feature)) || whole.contains(view) {
                            scope.at(&path, format!("`{feature}` of `{view}` is listed twice"));
                        }
                    }
                }
            }
        }
    }
    if service.features.is_empty() && scope.is_sound() {
        scope.at_key("features", "a feature service needs features");
    }
}
