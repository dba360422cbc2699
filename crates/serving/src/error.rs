use std::time::Duration;

use karat_core::{ErrorKind, OnlineError, Window};
use karat_features::FeatureError;
use karat_history::HistoryError;
use karat_model::ModelError;

/// Why an endpoint gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The body is no JSON, or not clear; the message says where.
    #[error("{0}")]
    Malformed(String),
    /// One field of the request is wrong; the message says what to write instead.
    #[error("{message}")]
    Field { field: String, message: String },
    #[error("no {kind} is called `{name}`: {hint}")]
    NotFound { kind: &'static str, name: String, hint: String },
    #[error("feature view {view} has no feature `{feature}`: {hint}")]
    UnknownFeature { view: String, feature: String, hint: String },
    #[error("the features of {view} are read by `{key}`, and only {} came", listed(.given))]
    MissingKey { view: String, key: String, given: Vec<String> },
    #[error("no history for {subject}: the endpoint refuses unknown keys (`unknown_key: reject`)")]
    UnknownKey { subject: String },
    #[error(
        "feature {feature} of {subject} fails its check `{check}`, and no decision is made on it (`on_failure: refuse`): \
         correct what it is computed from, or decide otherwise"
    )]
    CheckFailed { feature: String, subject: String, check: String },
    #[error(
        "model {model} has no version under the alias `{alias}` yet: approve one with `karat models approve {model} --as {alias} --why \"...\"`"
    )]
    NoVersion { model: String, alias: String },
    /// A service gave no answer, and nothing stands in for it.
    #[error("{lookup} could not be looked up for {subject}, and nothing is decided without it: {problem}")]
    LookupFailed { lookup: String, subject: String, problem: String },
    #[error("the online store has no state for view {view}: run `karat features materialize`")]
    NotMaterialized { view: String },
    #[error("endpoint {endpoint} has no version to answer with, as it could not be loaded: {problem}")]
    NotLoaded { endpoint: String, problem: String },
    /// Nobody waits for the answer any more.
    #[error("{decided} of {asked} were decided when the client went away")]
    Abandoned { decided: usize, asked: usize },
    /// Trying again after `retry_after` may help: others were there first.
    #[error("{problem}: try again in {} s", .retry_after.as_secs().max(1))]
    Busy { problem: String, retry_after: Duration },
    /// More was asked for than fits into the time for one request.
    #[error(
        "{decided} of {asked} were decided in the {deadline} an answer may take (`limits.deadline`): send fewer at once"
    )]
    TooMany { decided: usize, asked: usize, deadline: Window },
    #[error("what is stored for this endpoint does not fit together: {0}")]
    Inconsistent(String),
    #[error(transparent)]
    Feature(#[from] FeatureError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Online(#[from] OnlineError),
    #[error("the prediction log: {0}")]
    Log(#[from] HistoryError),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no key".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

impl ServingError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ServingError::Malformed(_)
            | ServingError::Field { .. }
            | ServingError::UnknownFeature { .. }
            | ServingError::MissingKey { .. }
            | ServingError::TooMany { .. } => ErrorKind::Invalid,
            ServingError::CheckFailed { .. } => ErrorKind::Refused,
            ServingError::Busy { .. } | ServingError::Abandoned { .. } | ServingError::LookupFailed { .. } => {
                ErrorKind::Unavailable
            }
            ServingError::NotFound { .. } | ServingError::UnknownKey { .. } => ErrorKind::NotFound,
            ServingError::NoVersion { .. } | ServingError::NotLoaded { .. } | ServingError::NotMaterialized { .. } => {
                ErrorKind::Unavailable
            }
            ServingError::Inconsistent(_) => ErrorKind::Corrupt,
            ServingError::Feature(error) => error.kind(),
            ServingError::Model(error) => error.kind(),
            ServingError::Online(error) => error.kind,
            ServingError::Log(error) => error.kind(),
        }
    }

    /// The field of the request that is at fault, where it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            ServingError::Field { field, .. } => Some(field),
            _ => None,
        }
    }
}
