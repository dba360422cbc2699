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

/// Every endpoint has a model version to answer with, features can be read, decisions can be recorded, rows can be pushed, and the server was not
/// told to stop.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = OK, body = Health), (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json"))
)]
pub async fn ready(State(state): State<AppState>) -> Result<Json<Health>, Problem> {
    if state.is_draining() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the server is about to stop"));
    }
    let deployment = state.deployment.clone();
    // A log that refused a record is tried, which may wait for the disk; the online store may be far away.
    let checked = tokio::task::spawn_blocking(move || {
        let served = deployment.served();
        let endpoints = served.endpoints.values().filter_map(|endpoint| endpoint.check().err());
        deployment.check().err().into_iter().chain(endpoints).collect::<Vec<ServingError>>()
    });
    let not_pushed = state.pushes.problems().await;
    let failed = checked.await.map_err(|failed| Problem::internal(failed.to_string()))?;
    let mut problems: Vec<String> = failed.iter().map(words).chain(not_pushed).collect();
    // Endpoints have one log and one online store.
    problems.dedup();
    if problems.is_empty() {
        return Ok(Json(Health { status: "ok" }));
    }
    let mut why: Vec<String> = failed.iter().map(ToString::to_string).collect();
    why.dedup();
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", problems.join("; "));
    Err(if why.is_empty() { problem } else { problem.because(why.join("; ")) })
}

fn words(error: &ServingError) -> String {
    match error {
        // Where the log lies stands in the server's own log, with the request that could not be recorded.
        ServingError::Log(_) => "decisions cannot be recorded right now: the server's log says why".to_owned(),
        ServingError::Online(_) => "features cannot be read right now: the server's log says why".to_owned(),
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
