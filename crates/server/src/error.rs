use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karat_core::ErrorKind;
use karat_jobs::push::PushError;
use karat_registry::RegistryError;
use karat_serving::ServingError;
use serde::Serialize;
use tokio::task::JoinError;
use utoipa::ToSchema;

use crate::catalogue::CatalogueError;
use crate::observe::Failed;

/// What it takes to make room on a disk, or to turn to another server.
pub(crate) const RETRY_SECONDS: u64 = 5;

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
    /// The rows of the request at fault.
    #[serde(skip_serializing_if = "<[WrongRow]>::is_empty")]
    pub rows: Box<[WrongRow]>,
    /// Seconds, for the header `retry-after`.
    #[serde(skip)]
    retry_after: Option<u64>,
    /// What the detail hides.
    #[serde(skip)]
    hidden: Option<Box<str>>,
}

/// A row that was not taken, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct WrongRow {
    /// Its number in the request; 1 is the first.
    pub row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The check it fails: one of the contract, or `read`, `prepare`, `key`, `event_time`, `known_time`.
    pub check: String,
    pub reason: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            rows: Box::default(),
            retry_after: None,
            hidden: None,
        }
    }

    pub fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// To be tried again after so many seconds.
    pub fn after(self, seconds: u64) -> Problem {
        Problem { retry_after: Some(seconds), ..self }
    }

    /// With what the server's log alone is told.
    pub fn because(self, hidden: impl Into<String>) -> Problem {
        Problem { hidden: Some(hidden.into().into_boxed_str()), ..self }
    }

    /// A defect, or damage: the log says what, the answer does not.
    pub fn internal(hidden: impl Into<String>) -> Problem {
        let detail = "something went wrong here; the server's log says what";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).because(hidden)
    }
}

/// Of a path that is not text, or not of the types it is read as.
impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        Problem::malformed(rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::malformed(rejection.body_text())
    }
}

/// Of work on another thread that did not come to its end.
impl From<JoinError> for Problem {
    fn from(failed: JoinError) -> Problem {
        Problem::internal(failed.to_string())
    }
}

impl From<ServingError> for Problem {
    fn from(error: ServingError) -> Problem {
        let detail = error.to_string();
        match &error {
            ServingError::Malformed(_) => return Problem::malformed(detail),
            ServingError::TooMany { .. } => {
                return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
            }
            // Where it lies and what failed is the operator's to know.
            ServingError::Log(failed) if failed.kind() != ErrorKind::Invalid => {
                let words = "decisions cannot be recorded right now; nothing was decided: try again";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words);
                return Problem { retry_after: Some(RETRY_SECONDS), hidden: Some(detail.into()), ..problem };
            }
            ServingError::Online(failed)
                if matches!(failed.kind, ErrorKind::Unavailable | ErrorKind::Refused | ErrorKind::Conflict) =>
            {
                let words = "features cannot be read right now; nothing was decided: try again";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words);
                return Problem { retry_after: Some(RETRY_SECONDS), hidden: Some(detail.into()), ..problem };
            }
            ServingError::NotLoaded { endpoint, .. } => {
                let words = format!("endpoint {endpoint} has no version to answer with: the server's log says why");
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words);
            }
            ServingError::LookupFailed { .. } => {
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
                return Problem { retry_after: Some(RETRY_SECONDS), ..problem };
            }
            ServingError::Busy { retry_after, .. } => {
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail);
                return Problem { retry_after: Some(retry_after.as_secs().max(1)), ..problem };
            }
            _ => {}
        }
        let kind = error.kind();
        let code = match kind {
            ErrorKind::Invalid => "invalid",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Refused => "refused",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Corrupt | ErrorKind::Internal => return Problem::internal(detail),
        };
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Problem { field: error.field().map(ToOwned::to_owned), ..Problem::new(status, code, detail) }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Problem {
        let detail = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail),
            ErrorKind::NotFound => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            ErrorKind::Refused => Problem::new(StatusCode::CONFLICT, "refused", detail),
            ErrorKind::Conflict | ErrorKind::Unavailable => {
                let words = "models cannot be read or changed right now: try again";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words);
                Problem { retry_after: Some(RETRY_SECONDS), hidden: Some(detail.into()), ..problem }
            }
            ErrorKind::Internal | ErrorKind::Corrupt => Problem::internal(detail),
        }
    }
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Problem {
        match error.kind {
            ErrorKind::NotFound => Problem::new(StatusCode::NOT_FOUND, "not_found", error.message),
            _ => Problem::internal(error.message),
        }
    }
}

impl From<PushError> for Problem {
    fn from(error: PushError) -> Problem {
        let detail = error.to_string();
        let unavailable = |detail: String, seconds: u64| {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
            Problem { retry_after: Some(seconds), ..problem }
        };
        match error {
            PushError::NoSource { .. } => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            PushError::NoView { .. } => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            PushError::NotPushed(_) | PushError::NotWritten { .. } => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
            }
            PushError::Rows(faults) => {
                let rows = faults.into_iter().map(WrongRow::from).collect();
                Problem { rows, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
            }
            PushError::Busy(_) => {
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail);
                Problem { retry_after: Some(1), ..problem }
            }
            PushError::Late => unavailable(detail, 1),
            // Where it lies and what failed is the operator's to know; the source's thread has told it.
            PushError::Failed { kind: ErrorKind::Unavailable | ErrorKind::Conflict | ErrorKind::Refused, .. } => {
                let words = "rows cannot be taken for sure right now: send them again, those that are there count once";
                unavailable(words.to_owned(), RETRY_SECONDS)
            }
            PushError::Failed { kind: ErrorKind::Invalid, .. } => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
            }
            PushError::Failed { .. } => Problem::internal(detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(hidden) = self.hidden {
            response.extensions_mut().insert(Failed(hidden.into()));
        }
        response
    }
}
