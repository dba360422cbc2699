//! Registered models as they leave.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use karat_core::Instant;
use karat_registry::gates::GateResult;
use karat_registry::{Answer, Approval, DecisionKind, Held, ModelVersion, RegisteredModel, Registry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::AppState;
use crate::error::Problem;
use crate::mlflow::Tracking;
use crate::refusals::NoDatabase;

use super::with_plus;

#[derive(Debug, Serialize, ToSchema)]
pub struct Models {
    models: Vec<Model>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisteredModel)]
pub struct Model {
    name: String,
    description: String,
    /// `required`, `four_eyes` or `not_required`
    approval: String,
    /// The version each alias points at.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    aliases: std::collections::BTreeMap<String, u64>,
    /// The newest version's number; 0 where there is none.
    newest: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ModelWithVersions {
    #[serde(flatten)]
    model: Model,
    /// The newest first.
    versions: Vec<Version>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisteredVersion)]
pub struct Version {
    version: u64,
    /// `undecided`, `approved` or `rejected`
    standing: String,
    aliases: Vec<String>,
    gates: Vec<Gate>,
    /// Every decision about it, the oldest first.
    decisions: Vec<Made>,
    /// Of Karat's scoring files; absent of a version that a client registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The run it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// Milliseconds.
    made: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Gate {
    gate: String,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A decision as recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Made {
    /// `approve` or `reject`
    decision: String,
    by: String,
    #[schema(format = DateTime)]
    at: String,
    why: String,
    /// As they were measured then.
    gates: Vec<Gate>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HeldThen {
    aliases: Vec<HeldAlias>,
}

/// What an alias pointed at.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldAlias {
    alias: String,
    version: u64,
    #[schema(format = DateTime)]
    since: String,
    moved_by: String,
    moved_why: String,
    /// Absent where nobody had to approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<Made>,
}

/// The moment; now where nothing is said.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Then {
    /// With its offset: `2026-03-31T18:00:00Z`
    #[param(format = DateTime)]
    at: Option<String>,
}

/// Registered models, those of MLflow's clients too.
#[utoipa::path(
    get, path = "/v1/models", tag = "models",
    responses(
        (status = OK, body = Models),
        (status = NOT_FOUND, description = "This server keeps no models", body = Problem, content_type = "application/problem+json"),
        NoDatabase
    )
)]
pub async fn list(State(state): State<AppState>) -> Result<Json<Models>, Problem> {
    let models = with(&state, |registry| registry.models()).await?;
    Ok(Json(Models { models: models.into_iter().map(Model::from).collect() }))
}

/// One model with its versions.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "models",
    params(("model" = String, Path, description = "The model's name")),
    responses(
        (status = OK, body = ModelWithVersions),
        (status = BAD_REQUEST, description = "A path that is not text", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such model", body = Problem, content_type = "application/problem+json"),
        NoDatabase
    )
)]
pub async fn show(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<ModelWithVersions>, Problem> {
    let Path(name) = path?;
    let found = with(&state, move |registry| {
        Box::pin(async move { Ok((registry.model(&name).await?, registry.versions(&name).await?)) })
    });
    let (model, versions) = found.await?;
    Ok(Json(ModelWithVersions { model: model.into(), versions: versions.into_iter().map(Version::from).collect() }))
}

/// What the model's aliases pointed at then, by whose decision, on what evidence.
#[utoipa::path(
    get, path = "/v1/models/{model}/aliases", tag = "models",
    params(("model" = String, Path, description = "The model's name"), Then),
    responses(
        (status = OK, body = HeldThen),
        (status = BAD_REQUEST, description = "`at` is no moment", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such model", body = Problem, content_type = "application/problem+json"),
        NoDatabase
    )
)]
pub async fn held(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Then>, QueryRejection>,
) -> Result<Json<HeldThen>, Problem> {
    let Path(name) = path?;
    let Query(Then { at }) = query?;
    let at = at.map(|text| Instant::parse_with_offset(&with_plus(text))).transpose();
    let at = at.map_err(|error| Problem::malformed(format!("`at`: {error}")))?;
    let now = tracking(&state)?.now();
    let held = with(&state, move |registry| Box::pin(async move { registry.held_at(&name, at.unwrap_or(now)).await }));
    Ok(Json(HeldThen { aliases: held.await?.into_iter().map(HeldAlias::from).collect() }))
}

pub(super) fn tracking(state: &AppState) -> Result<&Tracking, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "this server keeps no models");
    state.tracking.as_ref().ok_or_else(missing)
}

/// Work on the registry, on the process's own threads: those that answer have decisions waiting.
pub(super) async fn with<T: Send + 'static>(
    state: &AppState,
    work: impl for<'r> FnOnce(&'r Registry) -> Answer<'r, T> + Send + 'static,
) -> Result<T, Problem> {
    let tracking = tracking(state)?;
    let registry = tracking.registry().clone();
    let running = tracking.spawn(async move { work(&registry).await });
    Ok(running.await??)
}

impl From<RegisteredModel> for Model {
    fn from(model: RegisteredModel) -> Model {
        let RegisteredModel { name, description, approval, aliases, versions, .. } = model;
        Model { name, description, approval: approval.to_string(), aliases, newest: versions }
    }
}

impl From<ModelVersion> for Version {
    fn from(version: ModelVersion) -> Version {
        Version {
            version: version.version,
            standing: version.standing.to_string(),
            aliases: version.aliases,
            gates: version.gates.into_iter().map(Gate::from).collect(),
            decisions: version.approvals.into_iter().map(Made::from).collect(),
            digest: version.digest.map(|digest| digest.to_string()),
            run: version.run_id.map(|run| run.to_string()),
            made: version.creation_time_ms,
        }
    }
}

impl From<GateResult> for Gate {
    fn from(result: GateResult) -> Gate {
        let GateResult { gate, measured, passed, note, .. } = result;
        Gate { gate, passed, measured, note }
    }
}

impl From<Approval> for Made {
    fn from(approval: Approval) -> Made {
        let Approval { decision, at, actor, why, gates, .. } = approval;
        let decision = match decision {
            DecisionKind::Approve => "approve",
            DecisionKind::Reject => "reject",
        };
        let gates = gates.into_iter().map(Gate::from).collect();
        Made { decision: decision.to_owned(), by: actor, at: at.to_string(), why, gates }
    }
}

impl From<Held> for HeldAlias {
    fn from(held: Held) -> HeldAlias {
        let Held { alias, version, moved, approval } = held;
        HeldAlias {
            alias,
            version,
            since: moved.at.to_string(),
            moved_by: moved.actor,
            moved_why: moved.why,
            approval: approval.map(Made::from),
        }
    }
}
