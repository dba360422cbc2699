use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karat_core::ErrorKind;
use karat_history::files::FilesError;
use karat_registry::RegistryError;
use serde_json::json;
use tokio::task::JoinError;

use crate::error::{Problem, RETRY_SECONDS};
use crate::observe::Failed;

/// An error as MLflow's clients read it.
#[derive(Debug)]
pub struct MlflowError {
    code: Code,
    message: String,
    /// What the message hides.
    hidden: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    InvalidParameterValue,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
    PermissionDenied,
    RequestLimitExceeded,
    NotImplemented,
    TemporarilyUnavailable,
    InternalError,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Code::InvalidParameterValue => "INVALID_PARAMETER_VALUE",
            Code::ResourceAlreadyExists => "RESOURCE_ALREADY_EXISTS",
            Code::ResourceDoesNotExist => "RESOURCE_DOES_NOT_EXIST",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::RequestLimitExceeded => "REQUEST_LIMIT_EXCEEDED",
            Code::NotImplemented => "NOT_IMPLEMENTED",
            Code::TemporarilyUnavailable => "TEMPORARILY_UNAVAILABLE",
            Code::InternalError => "INTERNAL_ERROR",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Code::InvalidParameterValue | Code::ResourceAlreadyExists => StatusCode::BAD_REQUEST,
            Code::ResourceDoesNotExist => StatusCode::NOT_FOUND,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::RequestLimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            Code::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl MlflowError {
    pub fn new(code: Code, message: impl Into<String>) -> MlflowError {
        MlflowError { code, message: message.into(), hidden: None }
    }

    pub fn invalid(message: impl Into<String>) -> MlflowError {
        MlflowError::new(Code::InvalidParameterValue, message)
    }

    pub fn internal(hidden: impl Into<String>) -> MlflowError {
        let message = "something went wrong here; the server's log says what";
        MlflowError { hidden: Some(hidden.into()), ..MlflowError::new(Code::InternalError, message) }
    }

    /// As it is written, where another status than the usual tells more.
    pub fn json(&self) -> Json<serde_json::Value> {
        Json(json!({"error_code": self.code.as_str(), "message": self.message}))
    }

    fn unavailable(hidden: impl Into<String>) -> MlflowError {
        let message = "experiments and runs cannot be read or written right now: try again";
        MlflowError { hidden: Some(hidden.into()), ..MlflowError::new(Code::TemporarilyUnavailable, message) }
    }
}

impl From<RegistryError> for MlflowError {
    fn from(error: RegistryError) -> MlflowError {
        match &error {
            // MLflow answers some of these with 500, which its clients send again and again.
            RegistryError::Invalid(message) | RegistryError::Refused(message) => MlflowError::invalid(message),
            RegistryError::NotFound(message) => MlflowError::new(Code::ResourceDoesNotExist, message),
            RegistryError::Conflict(message) => MlflowError::new(Code::ResourceAlreadyExists, message),
            RegistryError::Metadata(failed) => match failed.kind() {
                ErrorKind::Unavailable | ErrorKind::Conflict => MlflowError::unavailable(error.to_string()),
                ErrorKind::Invalid => {
                    MlflowError::invalid("a text is longer, or another, than can be kept: shorten it")
                }
                _ => MlflowError::internal(error.to_string()),
            },
        }
    }
}

/// Of work on another thread that did not come to its end.
impl From<JoinError> for MlflowError {
    fn from(failed: JoinError) -> MlflowError {
        MlflowError::internal(failed.to_string())
    }
}

impl From<FilesError> for MlflowError {
    fn from(error: FilesError) -> MlflowError {
        let told = error.to_string();
        match error {
            FilesError::Path { problem, .. } => MlflowError::invalid(format!("Invalid path: {problem}")),
            FilesError::LeadsOut { .. } => {
                MlflowError::invalid("Invalid path: a link there leads out of the artifacts")
            }
            FilesError::Clash { .. } => {
                MlflowError::invalid("Invalid path: it names a folder where a file is, or the other way round")
            }
            FilesError::Missing { path } => {
                MlflowError::new(Code::ResourceDoesNotExist, format!("No such artifact: '{path}'"))
            }
            FilesError::IsFolder { path } => {
                MlflowError::invalid(format!("Artifact path refers to a directory, not a file: '{path}'"))
            }
            // What only the server's own people can mend is nothing to be sent again and again.
            FilesError::NoBucket { place } => {
                let message = format!(
                    "{place}: there is no such bucket. Whoever runs this server makes it, or names another (`stores.artifacts`)"
                );
                MlflowError { hidden: Some(told), ..MlflowError::new(Code::ResourceDoesNotExist, message) }
            }
            FilesError::Denied { place, .. } => {
                let message = format!(
                    "{place} lets this server neither read nor write: whoever runs it sees to its credentials and their \
                     permissions"
                );
                MlflowError { hidden: Some(told), ..MlflowError::new(Code::PermissionDenied, message) }
            }
            FilesError::Away { .. } => {
                let message = "artifacts cannot be read or written right now: try again";
                MlflowError { hidden: Some(told), ..MlflowError::new(Code::TemporarilyUnavailable, message) }
            }
            FilesError::Location { .. } | FilesError::Refused { .. } | FilesError::Io { .. } => {
                MlflowError::internal(format!("artifacts: {told}"))
            }
        }
    }
}

/// Of a body that did not come as it should.
impl From<Problem> for MlflowError {
    fn from(problem: Problem) -> MlflowError {
        let code = match problem.status {
            408 | 503 => Code::TemporarilyUnavailable,
            429 => Code::RequestLimitExceeded,
            500.. => return MlflowError::internal(problem.detail),
            _ => Code::InvalidParameterValue,
        };
        MlflowError::new(code, problem.detail)
    }
}

impl IntoResponse for MlflowError {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), self.json()).into_response();
        if self.code == Code::TemporarilyUnavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        if let Some(hidden) = self.hidden {
            response.extensions_mut().insert(Failed(hidden));
        }
        response
    }
}
