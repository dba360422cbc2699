//! A request's body, of a bounded length, within a bounded time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use karat_project::spec::{ByteSize, Server};
use serde::de::DeserializeOwned;

use crate::error::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    pub most: ByteSize,
    /// For all of it to come.
    pub timeout: Duration,
}

impl From<&Server> for BodyLimits {
    fn from(server: &Server) -> BodyLimits {
        BodyLimits { most: server.body, timeout: server.body_timeout.duration() }
    }
}

/// The body of a request that says it is JSON, or says nothing.
pub async fn json(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    check_type(headers)?;
    read(headers, body, limits).await
}

/// Longer bodies are parsed on a thread that may be kept busy.
pub const READ_IN_PLACE: usize = 16 << 10;

/// What a body says, or what is wrong with it.
pub async fn parse<T>(body: Bytes) -> Result<serde_json::Result<T>, Problem>
where
    T: DeserializeOwned + Send + 'static,
{
    if body.len() <= READ_IN_PLACE {
        return Ok(serde_json::from_slice(&body));
    }
    let parsing = tokio::task::spawn_blocking(move || serde_json::from_slice(&body));
    Ok(parsing.await?)
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(sent) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = sent.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let json = essence.eq_ignore_ascii_case(b"application/json")
        || essence.to_ascii_lowercase().ends_with(b"+json") && essence.len() > b"application/+json".len();
    if json {
        return Ok(());
    }
    let sent = String::from_utf8_lossy(&sent.as_bytes()[..sent.len().min(100)]).into_owned();
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("the body is `{sent}`: send JSON, with `content-type: application/json`"),
    ))
}

async fn read(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<Bytes, Problem> {
    let most = usize::try_from(limits.most.0).unwrap_or(usize::MAX);
    // Who says so beforehand is refused before anything is read.
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > limits.most.0) {
        return Err(too_large(limits.most));
    }
    match tokio::time::timeout(limits.timeout, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large(limits.most)),
        Ok(Err(error)) => Err(Problem::malformed(format!("the body did not come whole: {error}"))),
        Err(_) => {
            let timeout = limits.timeout.as_secs_f64();
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                format!("the body did not come within {timeout} s (`server.body_timeout`): send it faster, or less"),
            ))
        }
    }
}

fn too_large(most: ByteSize) -> Problem {
    let detail = format!("the body is over {most} (`server.body`): send fewer at once");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}
