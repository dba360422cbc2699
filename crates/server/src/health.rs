use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use karat_serving::ServingError;
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

/// Every endpoint has a model version to answer with, decisions can be recorded, rows can be pushed, and the server was not
/// told to stop.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = OK, body = Health), (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json"))
)]
pub async fn ready(State(state): State<AppState>) -> Result<Json<Health>, Problem> {
    if state.is_draining() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the server is about to stop"));
    }
    let served = state.deployment.served();
    // A log that refused a record is tried, which may wait for the disk.
    let checked = tokio::task::spawn_blocking(move || {
        let found = served.endpoints.values().filter_map(|endpoint| endpoint.check().err());
        let mut problems: Vec<String> = found.map(|error| words(&error)).collect();
        // Endpoints have one log.
        problems.dedup();
        problems
    });
    let not_pushed = state.pushes.problems().await;
    match checked.await.map(|problems| [problems, not_pushed].concat()) {
        Ok(problems) if problems.is_empty() => Ok(Json(Health { status: "ok" })),
        Ok(problems) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", problems.join("; "))),
        Err(failed) => Err(Problem::internal(failed.to_string())),
    }
}

fn words(error: &ServingError) -> String {
    match error {
        // Where the log lies stands in the server's own log, with the request that could not be recorded.
        ServingError::Log(_) => "decisions cannot be recorded right now: the server's log says why".to_owned(),
        error => error.to_string(),
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
