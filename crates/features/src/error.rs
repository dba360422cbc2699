use std::fmt;

use karat_core::{ErrorKind, Instant, Window};

use crate::expression::ExpressionError;

/// Why values were not computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    #[error(
        "the online state keeps single events since {horizon} only{needs}: ask the history, or a later time (`online_horizon` in the view)"
    )]
    BeforeHorizon { horizon: Instant, needs: Needs },
    #[error("feature `{feature}`: {error}")]
    Feature { feature: String, error: ExpressionError },
    #[error("while projecting events: {0}")]
    Projection(ExpressionError),
    #[error("the batch does not fit the view: {0}")]
    Batch(String),
    #[error("the state is not what was written ({0}): materialize the view again")]
    Corrupt(&'static str),
    #[error("too much for one pass: {0}")]
    TooMuch(&'static str),
}

/// What single events from before the horizon are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To know what there was at an earlier time, or to correct it.
    Earlier,
    /// To take away those that a window has left behind.
    Window { window: Window, start: Instant },
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Needs::Earlier => Ok(()),
            Needs::Window { window, start } => write!(f, ", and a window of {window} reaches back to {start}"),
        }
    }
}

impl FeatureError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            FeatureError::BeforeHorizon { .. } => ErrorKind::Refused,
            FeatureError::Feature { .. } | FeatureError::Projection(_) => ErrorKind::Invalid,
            FeatureError::Batch(_) => ErrorKind::Internal,
            FeatureError::Corrupt(_) => ErrorKind::Corrupt,
            FeatureError::TooMuch(_) => ErrorKind::Refused,
        }
    }
}
