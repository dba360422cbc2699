use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::AppState;
use crate::error::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = OK, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Every endpoint has a model version to answer with, and the server was not told to stop.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = OK, body = Health), (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json"))
)]
pub async fn ready(State(state): State<AppState>) -> Result<Json<Health>, Problem> {
    if state.is_draining() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the server is about to stop"));
    }
    let served = state.deployment.served();
    let waiting = served.endpoints.values().filter_map(|endpoint| endpoint.model().err());
    let waiting: Vec<String> = waiting.map(|error| error.to_string()).collect();
    if waiting.is_empty() {
        Ok(Json(Health { status: "ok" }))
    } else {
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", waiting.join("; ")))
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// Karat's version.
    version: &'static str,
    project: String,
    /// The number of the release that is served.
    release: u64,
}

/// What runs here.
#[utoipa::path(get, path = "/version", tag = "health", responses((status = OK, body = Version)))]
pub async fn version(State(state): State<AppState>) -> Json<Version> {
    let served = state.deployment.served();
    Json(Version { version: karat_core::VERSION, project: served.project.clone(), release: served.release })
}
