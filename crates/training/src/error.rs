use karat_core::ErrorKind;

use crate::measures::MeasureError;
use crate::split::Part;

/// What LightGBM itself said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("LightGBM: {message}")]
pub struct LightGbmError {
    pub message: String,
}

/// Why nothing was trained. Every message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error("{what} has {found} rows, the features have {expected}")]
    LengthMismatch { what: &'static str, found: usize, expected: usize },
    #[error("the model has no features: list at least one under `features`")]
    NoFeatures,
    #[error(
        "row {row} has no as_of: drop such rows from the spine's source, or check `as_of` for nulls in its contract"
    )]
    NoAsOf { row: usize },
    #[error(
        "the label is {found} in row {row}: a binary label is a bool, or a number that is 0 or 1 (null: not known)"
    )]
    BadLabel { row: usize, found: String },
    #[error("the label has type {0}: a binary label is a bool, or a number that is 0 or 1")]
    LabelType(String),
    #[error("feature `{feature}` has type {found}, which no estimator reads: turn it into a number with an expression")]
    FeatureType { feature: String, found: String },
    #[error("two features are called `{0}`: rename one in its view")]
    DuplicateFeature(String),
    #[error("no row has a label: nothing can be learned yet")]
    NoLabels,
    #[error(
        "the {part} part has {rows} rows, and training needs {needed}: shorten the other parts, bring more data{hint}"
    )]
    TooFewRows { part: Part, rows: usize, needed: usize, hint: String },
    #[error(
        "all {rows} labels of the {part} part are {label}: both labels must occur in every part; choose another length for it under `split`"
    )]
    OneLabel { part: Part, rows: usize, label: bool },
    #[error("`split.{part}` is a share, but `by: time` needs a length of time such as `6 months`")]
    ShareByTime { part: Part },
    #[error("`split.{part}` is a length of time, but `by: {by}` needs a share such as 0.2")]
    WindowByShare { part: Part, by: &'static str },
    #[error(
        "the shares of validation ({validation}) and test ({test}) must be above 0 and leave something to train on"
    )]
    Shares { validation: f64, test: f64 },
    #[error("`by: {by}` needs {needs}")]
    NothingToSplitBy { by: &'static str, needs: &'static str },
    #[error("`monotone` names `{name}`, which is no feature of the model{}", did_you_mean(.suggestion))]
    UnknownMonotone { name: String, suggestion: Option<String> },
    #[error("`monotone` names `{0}`, a text feature: categories have no order to be monotone in")]
    MonotoneText(String),
    #[error("the estimator's metric `{0}` is unknown: choose `auc` or `binary_logloss`")]
    UnknownMetric(String),
    #[error("the estimator's `rounds` is 0: at least one tree is needed")]
    NoRounds,
    #[error("the threshold rule asks for {rule} of {wanted}, which is not a share between 0 and 1")]
    BadShare { rule: &'static str, wanted: f64 },
    #[error("the threshold {0} is no score: scores are probabilities between 0 and 1")]
    BadThreshold(f64),
    #[error(
        "no threshold reaches a precision of {wanted} on the validation part; the best is {best:.4}: lower `precision_at_least`"
    )]
    PrecisionOutOfReach { wanted: f64, best: f64 },
    #[error("these trees cannot be a version of the model: {0}")]
    Foreign(String),
    #[error(transparent)]
    LightGbm(#[from] LightGbmError),
    #[error("the fitted model cannot be read back: {0}")]
    Model(#[from] karat_model::ModelError),
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error("the features cannot be read: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!(": did you mean `{name}`?")).unwrap_or_default()
}

impl TrainingError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            TrainingError::LengthMismatch { .. } | TrainingError::Model(_) | TrainingError::Arrow(_) => {
                ErrorKind::Internal
            }
            TrainingError::NoLabels
            | TrainingError::TooFewRows { .. }
            | TrainingError::OneLabel { .. }
            | TrainingError::Measure(_)
            | TrainingError::PrecisionOutOfReach { .. }
            | TrainingError::Foreign(_) => ErrorKind::Refused,
            TrainingError::NoFeatures
            | TrainingError::NoAsOf { .. }
            | TrainingError::BadLabel { .. }
            | TrainingError::LabelType(_)
            | TrainingError::FeatureType { .. }
            | TrainingError::DuplicateFeature(_)
            | TrainingError::ShareByTime { .. }
            | TrainingError::WindowByShare { .. }
            | TrainingError::Shares { .. }
            | TrainingError::NothingToSplitBy { .. }
            | TrainingError::UnknownMonotone { .. }
            | TrainingError::MonotoneText(_)
            | TrainingError::UnknownMetric(_)
            | TrainingError::NoRounds
            | TrainingError::BadShare { .. }
            | TrainingError::BadThreshold(_)
            | TrainingError::LightGbm(_) => ErrorKind::Invalid,
        }
    }
}
