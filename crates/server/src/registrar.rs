use std::fmt::Debug;

use axum::http::StatusCode;
use futures::future::BoxFuture;
use karat_core::{ErrorKind, RunId};

use crate::error::Problem;

/// Measures what runs have logged, and registers it. That takes a training set, for which there is no room beside decisions:
/// who knows how to start such a job does.
pub trait Registrar: Send + Sync + Debug {
    /// Goes on to its end whether or not anybody waits for it; the same again gives the same version.
    fn register(&self, logged: LoggedRun) -> BoxFuture<'static, Result<RegisteredRun, RegistrarError>>;
}

/// A run whose trees somebody wants to be a version.
#[derive(Debug, Clone)]
pub struct LoggedRun {
    pub model: String,
    pub run_id: RunId,
    pub path: Option<String>,
    pub who: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredRun {
    pub version: u64,
    /// Or it was there, from the same trees.
    pub is_new: bool,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistrarError {
    #[error("another run is being measured, and one is at a time: try again later")]
    Busy,
    #[error("{message}")]
    Failed { kind: ErrorKind, message: String },
}

impl From<RegistrarError> for Problem {
    fn from(error: RegistrarError) -> Problem {
        let detail = error.to_string();
        let kind = match error {
            RegistrarError::Busy => return Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).after(1),
            RegistrarError::Failed { kind, .. } => kind,
        };
        match kind {
            ErrorKind::Invalid => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail),
            ErrorKind::NotFound => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            ErrorKind::Refused => Problem::new(StatusCode::CONFLICT, "refused", detail),
            ErrorKind::Conflict | ErrorKind::Unavailable => {
                let words = "runs cannot be measured right now: the server's log says why; try again";
                tracing::warn!("a run was not measured: {detail}");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words).after(5)
            }
            ErrorKind::Corrupt | ErrorKind::Internal => Problem::internal(detail),
        }
    }
}
