use karat_core::{ErrorKind, OnlineError};
use karat_features::FeatureError;
use karat_history::HistoryError;
use karat_model::ModelError;

/// Why an endpoint gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// One field of the request is wrong; the message says what to write instead.
    #[error("{message}")]
    Field { field: String, message: String },
    #[error("no {kind} is called `{name}`: {hint}")]
    NotFound { kind: &'static str, name: String, hint: String },
    #[error("no history for {entity} {key}: the endpoint refuses unknown keys (`unknown_key: reject`)")]
    UnknownKey { entity: String, key: String },
    #[error(
        "model {model} has no version under the alias `{alias}` yet: approve one with `karat models approve {model} --as {alias} --why \"...\"`"
    )]
    NoVersion { model: String, alias: String },
    #[error("the online store has no state for view {view}: run `karat features materialize`")]
    NotMaterialized { view: String },
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

impl ServingError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            ServingError::Field { .. } => ErrorKind::Invalid,
            ServingError::NotFound { .. } | ServingError::UnknownKey { .. } => ErrorKind::NotFound,
            ServingError::NoVersion { .. } | ServingError::NotMaterialized { .. } => ErrorKind::Unavailable,
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
