//! What Feast's feature server answers (0.67), for its clients: the same paths, bodies and errors.
//!
//! One thing differs: what a client got wrong is told with 422, where Feast's server fails with 500.

mod error;
mod frame;
pub mod materialize;
pub mod online;
pub mod push;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::{AppState, body, health as karat};
use error::FeastError;

/// What a request asks, and how many bytes it took to say.
async fn read<T>(state: &AppState, request: Request) -> Result<(T, usize), FeastError>
where
    T: DeserializeOwned + Send + 'static,
{
    let (head, body) = request.into_parts();
    let body = body::json(&head.headers, body, state.body).await?;
    let bytes = body.len();
    let asked = body::parse(body).await?;
    asked.map(|asked| (asked, bytes)).map_err(|error| FeastError::invalid(format!("the request's body: {error}")))
}

/// Whether this server is ready, in a status alone.
#[utoipa::path(
    get, path = "/health", tag = "feast",
    responses((status = OK, description = "It is"), (status = SERVICE_UNAVAILABLE, description = "It is not: `/health/ready` says why"))
)]
pub async fn health(state: State<AppState>) -> StatusCode {
    match karat::ready(state).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
