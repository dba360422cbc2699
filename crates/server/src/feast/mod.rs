//! What Feast's feature server answers (0.67), for its clients: the same paths, bodies and errors.
//!
//! One thing differs: what a client got wrong is told with 422, where Feast's server fails with 500.

mod error;
mod frame;
pub mod materialize;
pub mod online;
pub mod push;

use axum::extract::State;
use axum::http::StatusCode;

use crate::{AppState, health as karat};

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
