//! A run that a client logged becomes a version, behind the gates of its model.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use karat_registry::RegistryError;
use serde::Deserialize;
use utoipa::ToSchema;

use super::decisions::asked;
use super::models::{Version, tracking, with};
use crate::AppState;
use crate::error::Problem;
use crate::refusals::{BodyRefused, FormRefused, NoDatabase, NobodyKnown};
use crate::registrar::LoggedRun;

/// A run that has logged trees of LightGBM's, and where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"run": "1f0c2a", "path": "model"}))]
pub struct RegisterRequest {
    /// Its id, or the beginning of it.
    #[schema(min_length = 1)]
    run: String,
    /// Where among the run's files the model is, should it have logged several.
    path: Option<String>,
}

/// Measures the trees that a run logged on the model's own rows, and registers them: what `karat models register` does, in a
/// process of its own. The answer comes once they are measured.
#[utoipa::path(
    post, path = "/v1/models/{model}/versions", tag = "models",
    params(("model" = String, Path, description = "A model of the project")),
    request_body = RegisterRequest,
    responses(
        (status = CREATED, description = "A new version", body = Version),
        (status = OK, description = "The version that these trees are already, with its gates measured again", body = Version),
        (status = NOT_FOUND, description = "No such run, or it has logged no model; no such model in the project", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "Nothing that Karat can score, or that fits the model's features", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "Several models in one run and no path, or mistakes in the project's files", body = Problem, content_type = "application/problem+json"),
        (status = TOO_MANY_REQUESTS, description = "Another run is being measured: one at a time", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn register(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Version>), Problem> {
    let Path(model) = path?;
    let (who, asked) = asked::<RegisterRequest>(&state, request).await?;
    if asked.run.trim().is_empty() {
        return Err(RegistryError::Invalid("say which run: its id, or the beginning of it".to_owned()).into());
    }
    tracking(&state)?;
    // What is not there is told without a process.
    let named = asked.run;
    let run = with(&state, move |registry| Box::pin(async move { registry.run(&named).await })).await?;
    let logged = LoggedRun { model: model.clone(), run_id: run.run_id, path: asked.path, who };
    let registered = state.registrar.register(logged).await?;
    let number = registered.version;
    let found = with(&state, move |registry| Box::pin(async move { registry.version(&model, number).await }));
    let status = if registered.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(found.await?.into())))
}
