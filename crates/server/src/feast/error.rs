use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use karat_core::ErrorKind;
use karat_serving::ServingError;
use serde_json::json;

use crate::error::Problem;

/// An error as Feast's clients read it: a JSON string, which holds JSON where the error is one of `feast.errors`.
#[derive(Debug)]
pub enum FeastError {
    /// A class of `feast.errors`, and its message.
    Known {
        status: StatusCode,
        class: &'static str,
        message: String,
    },
    Other {
        status: StatusCode,
        message: String,
    },
    /// Everything that is no business of Feast's.
    Problem(Problem),
}

impl FeastError {
    pub fn invalid(message: impl Into<String>) -> FeastError {
        FeastError::Other { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.into() }
    }
}

impl From<ServingError> for FeastError {
    fn from(error: ServingError) -> FeastError {
        let class = match &error {
            ServingError::NotFound { kind: "feature view", .. } => Some("FeatureViewNotFoundException"),
            ServingError::NotFound { kind: "feature service", .. } => Some("FeatureServiceNotFoundException"),
            _ => None,
        };
        match (class, error.kind()) {
            (Some(class), _) => FeastError::Known { status: StatusCode::NOT_FOUND, class, message: error.to_string() },
            (None, ErrorKind::Invalid) => FeastError::invalid(error.to_string()),
            (None, _) => FeastError::Problem(error.into()),
        }
    }
}

impl From<Problem> for FeastError {
    fn from(problem: Problem) -> FeastError {
        FeastError::Problem(problem)
    }
}

impl IntoResponse for FeastError {
    fn into_response(self) -> Response {
        match self {
            FeastError::Known { status, class, message } => {
                let detail = json!({"module": "feast.errors", "class": class, "message": message});
                (status, Json(detail.to_string())).into_response()
            }
            FeastError::Other { status, message } => (status, Json(message)).into_response(),
            FeastError::Problem(problem) => problem.into_response(),
        }
    }
}
