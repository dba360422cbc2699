use indexmap::IndexMap;
use karat_core::{DataType, Name, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spine::Spine;

/// What is learned from what, and when it may be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub task: Task,
    pub spine: Spine,
    pub features: Vec<ModelFeatures>,
    /// Fields that come with a request; in training they are columns of the spine's source.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", with = "super::ordered")]
    #[schemars(with = "IndexMap<String, DataType>")]
    pub request: IndexMap<String, DataType>,
    pub split: Split,
    pub estimator: Estimator,
    /// Monotone constraints by feature.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub monotone: IndexMap<String, Direction>,
    #[serde(default)]
    pub threshold: Threshold,
    /// Names of the two labels, for a score under the threshold and from it on. Default `[false, true]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<[String; 2]>,
    /// Columns of the spine's source that make up an applicant's profile; measures are also taken over test rows whose
    /// profile no training row has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<String>,
    /// Words and codes of reasons by feature, beyond the words the views declare; or of a group of features, under a
    /// name of its own, whose contributions are added up to one reason.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub reasons: IndexMap<String, Reason>,
    /// Conditions such as `auc >= 0.9` or `auc >= champion.auc`, on the test part's measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    #[serde(default)]
    pub approval: Approval,
    /// The experiment its runs belong to. Default: the model's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    #[serde(default = "default_seed")]
    pub seed: u32,
}

pub(crate) fn default_seed() -> u32 {
    42
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Binary,
}

/// All features of a view, or some of them: `payment_history`, or `applicant: [age, flag_own_car]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelFeatures {
    All(Name),
    Some(FeatureList),
}

/// One view's name and the features taken from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FeatureList(pub IndexMap<Name, Vec<String>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub by: SplitBy,
    /// The column that groups rows, under `by: group`. Default: the entity's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub validation: SplitPart,
    pub test: SplitPart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// The last calendar months of as_of are the test part, those before them validation.
    Time,
    Random,
    /// No group stands in two parts.
    Group,
}

/// A length of time (`by: time`) or a share of rows or groups (`by: random|group`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SplitPart {
    Share(f64),
    Window(Window),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    Lightgbm(LightGbm),
}

/// Parameters of LightGBM, under their own names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LightGbm {
    pub learning_rate: f64,
    pub num_leaves: u32,
    /// Trees at most.
    pub rounds: u32,
    /// Stop when the validation part has not improved for this many rounds; 0 never stops early.
    pub early_stopping: u32,
    /// What early stopping watches: `auc` or `binary_logloss`.
    pub metric: String,
    pub min_data_in_leaf: u32,
    pub max_depth: i32,
    pub feature_fraction: f64,
    pub bagging_fraction: f64,
    pub bagging_freq: u32,
    pub lambda_l1: f64,
    pub lambda_l2: f64,
    pub min_gain_to_split: f64,
    pub max_bin: u32,
    pub cat_smooth: f64,
    pub cat_l2: f64,
    pub min_data_per_group: u32,
}

impl Default for LightGbm {
    fn default() -> LightGbm {
        LightGbm {
            learning_rate: 0.05,
            num_leaves: 31,
            rounds: 1000,
            early_stopping: 50,
            metric: "auc".to_owned(),
            min_data_in_leaf: 20,
            max_depth: -1,
            feature_fraction: 1.0,
            bagging_fraction: 1.0,
            bagging_freq: 0,
            lambda_l1: 0.0,
            lambda_l2: 0.0,
            min_gain_to_split: 0.0,
            max_bin: 255,
            cat_smooth: 10.0,
            cat_l2: 10.0,
            min_data_per_group: 100,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Increasing,
    Decreasing,
}

/// How the threshold is chosen, on the validation part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// The score that maximises this measure; the lowest such score on ties.
    Maximize(Goal),
    /// This score.
    Value(f64),
    /// The highest score that still catches this share of the positives.
    RecallAtLeast(f64),
    /// The lowest score at which this share of the flagged are positives.
    PrecisionAtLeast(f64),
}

impl Default for Threshold {
    fn default() -> Threshold {
        Threshold::Maximize(Goal::Ks)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    Ks,
    F1,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The features of a group; empty where the reason is one feature's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// A person approves a version before an alias may point at it.
    Required,
    /// The same, and it is not who trained it.
    FourEyes,
    #[default]
    None,
}
