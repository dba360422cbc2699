use indexmap::IndexMap;
use karat_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelFeatures;

/// Features that are read together under one name, of views of any entities: what Feast's clients ask for as
/// `feature_service`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureService {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub tags: IndexMap<String, String>,
    /// Views, or features of them: `- payment_history`, `- applicant: [age, flag_own_car]`.
    pub features: Vec<ModelFeatures>,
}
