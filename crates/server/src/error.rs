use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karat_core::ErrorKind;
use karat_serving::ServingError;
use serde::Serialize;
use utoipa::ToSchema;

/// An error as it leaves: RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status again.
    #[schema(example = 422)]
    pub status: u16,
    /// The kind of error, for programs.
    #[schema(example = "invalid")]
    pub code: &'static str,
    /// What is wrong and what to do next, for people.
    pub detail: String,
    /// The field of the request at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status: status.as_u16(), code, detail: detail.into(), field: None }
    }

    pub fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub fn invalid(field: &str, detail: impl Into<String>) -> Problem {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
        Problem { field: Some(field.to_owned()), ..problem }
    }
}

impl From<ServingError> for Problem {
    fn from(error: ServingError) -> Problem {
        let kind = error.kind();
        let code = match kind {
            ErrorKind::Invalid => "invalid",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Refused => "refused",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Corrupt | ErrorKind::Internal => "internal",
        };
        let detail = match kind {
            ErrorKind::Corrupt | ErrorKind::Internal => {
                tracing::error!(%error, "a request failed");
                "something went wrong here; the server's log says what".to_owned()
            }
            _ => error.to_string(),
        };
        Problem { status: kind.http_status(), code, detail, field: error.field().map(ToOwned::to_owned) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let json = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, json)], body).into_response()
    }
}
