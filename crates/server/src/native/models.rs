//! Registered models as they leave, and what people decide about them.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use karat_core::{Instant, Name};
use karat_registry::gates::GateResult;
use karat_registry::{
    AliasChange, Answer, Approval, Decision, DecisionKind, Held, ModelVersion, RegisteredModel, Registry, RegistryError,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Problem;
use crate::mlflow::Tracking;
use crate::refusals::{BodyRefused, NoDatabase, NobodyKnown};
use crate::{AppState, body};

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

/// Why, and for an approval which alias to move as well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"why": "reviewed with risk on Tuesday", "alias": "champion"}))]
pub struct ApproveRequest {
    /// Kept with the decision.
    #[schema(min_length = 1)]
    why: String,
    /// Moved to the version in the same transaction.
    alias: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"why": "unstable on new profiles"}))]
pub struct WhyRequest {
    /// Kept with the decision.
    #[schema(min_length = 1)]
    why: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 3, "why": "the new one is on trial"}))]
pub struct PointRequest {
    #[serde(deserialize_with = "whole")]
    version: u64,
    /// Kept with the move.
    #[schema(min_length = 1)]
    why: String,
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
    let at = at.map(|text| Instant::parse_with_offset(&text)).transpose();
    let at = at.map_err(|error| Problem::malformed(format!("`at`: {error}")))?;
    let now = tracking(&state)?.now();
    let held = with(&state, move |registry| Box::pin(async move { registry.held_at(&name, at.unwrap_or(now)).await }));
    Ok(Json(HeldThen { aliases: held.await?.into_iter().map(HeldAlias::from).collect() }))
}

/// Permits a version; with `alias` it is deployed in the same transaction.
#[utoipa::path(
    post, path = "/v1/models/{model}/versions/{version}/approve", tag = "models",
    params(("model" = String, Path, description = "The model's name"), ("version" = u64, Path, description = "The version's number")),
    request_body = ApproveRequest,
    responses(
        (status = OK, body = Version),
        (status = BAD_REQUEST, description = "Not JSON, or not of this form", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such version", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "What stands in the way: gates that are not passed, four eyes, files that are not stored", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason, or an alias that cannot be one", body = Problem, content_type = "application/problem+json"),
        BodyRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn approve(
    State(state): State<AppState>,
    path: Result<Path<(String, u64)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, number)) = path?;
    let (who, asked) = asked::<ApproveRequest>(&state, request).await?;
    let alias = asked.alias.as_deref().map(alias_name).transpose()?;
    let (why, now) = (reason(asked.why)?, tracking(&state)?.now());
    let approved = with(&state, move |registry| {
        Box::pin(async move {
            let decision = Decision { model: &model, version: number, who: &who, why: &why };
            registry.approve(decision, alias.as_ref(), now).await
        })
    });
    Ok(Json(approved.await?.into()))
}

/// Takes permission away from a version that holds no alias.
#[utoipa::path(
    post, path = "/v1/models/{model}/versions/{version}/reject", tag = "models",
    params(("model" = String, Path, description = "The model's name"), ("version" = u64, Path, description = "The version's number")),
    request_body = WhyRequest,
    responses(
        (status = OK, body = Version),
        (status = BAD_REQUEST, description = "Not JSON, or not of this form", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such version", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "An alias points at it", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason", body = Problem, content_type = "application/problem+json"),
        BodyRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn reject(
    State(state): State<AppState>,
    path: Result<Path<(String, u64)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, number)) = path?;
    let (who, asked) = asked::<WhyRequest>(&state, request).await?;
    let (why, now) = (reason(asked.why)?, tracking(&state)?.now());
    let rejected = with(&state, move |registry| {
        Box::pin(async move {
            let decision = Decision { model: &model, version: number, who: &who, why: &why };
            registry.reject(decision, now).await
        })
    });
    Ok(Json(rejected.await?.into()))
}

/// Points an alias at a version, which deploys it.
#[utoipa::path(
    put, path = "/v1/models/{model}/aliases/{alias}", tag = "models",
    params(("model" = String, Path, description = "The model's name"), ("alias" = String, Path, description = "The alias, such as champion")),
    request_body = PointRequest,
    responses(
        (status = OK, body = Version),
        (status = BAD_REQUEST, description = "Not JSON, or not of this form", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such version", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "A version that may not serve", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason, or an alias that cannot be one", body = Problem, content_type = "application/problem+json"),
        BodyRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn point(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, alias)) = path?;
    let (who, asked) = asked::<PointRequest>(&state, request).await?;
    let alias = alias_name(&alias)?;
    let (why, number, now) = (reason(asked.why)?, asked.version, tracking(&state)?.now());
    let moved = with(&state, move |registry| {
        Box::pin(async move {
            let change = AliasChange { model: &model, alias: &alias, who: &who, why: &why };
            registry.set_alias(change, number, now).await
        })
    });
    Ok(Json(moved.await?.into()))
}

/// Takes an alias away: nothing answers under it any more.
#[utoipa::path(
    delete, path = "/v1/models/{model}/aliases/{alias}", tag = "models",
    params(("model" = String, Path, description = "The model's name"), ("alias" = String, Path, description = "The alias, such as champion")),
    request_body = WhyRequest,
    responses(
        (status = OK, body = Model),
        (status = BAD_REQUEST, description = "Not JSON, or not of this form", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such alias", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason", body = Problem, content_type = "application/problem+json"),
        BodyRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn take_away(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Model>, Problem> {
    let Path((model, alias)) = path?;
    let (who, asked) = asked::<WhyRequest>(&state, request).await?;
    let (why, now) = (reason(asked.why)?, tracking(&state)?.now());
    let left = with(&state, move |registry| {
        Box::pin(async move {
            let change = AliasChange { model: &model, alias: &alias, who: &who, why: &why };
            registry.delete_alias(change, now).await?;
            registry.model(&model).await
        })
    });
    Ok(Json(left.await?.into()))
}

/// Moves an alias back to the version that held it before.
#[utoipa::path(
    post, path = "/v1/models/{model}/aliases/{alias}/rollback", tag = "models",
    params(("model" = String, Path, description = "The model's name"), ("alias" = String, Path, description = "The alias, such as champion")),
    request_body = WhyRequest,
    responses(
        (status = OK, body = Version),
        (status = BAD_REQUEST, description = "Not JSON, or not of this form", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such model", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "There is none to go back to, or it may not serve any more", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason", body = Problem, content_type = "application/problem+json"),
        BodyRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn roll_back(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, alias)) = path?;
    let (who, asked) = asked::<WhyRequest>(&state, request).await?;
    let (why, now) = (reason(asked.why)?, tracking(&state)?.now());
    let moved = with(&state, move |registry| {
        Box::pin(async move {
            let change = AliasChange { model: &model, alias: &alias, who: &who, why: &why };
            registry.rollback(change, now).await
        })
    });
    Ok(Json(moved.await?.into()))
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

/// Who asks, and what.
pub(super) async fn asked<T: for<'d> Deserialize<'d> + Send + 'static>(
    state: &AppState,
    request: Request,
) -> Result<(String, T), Problem> {
    let (head, body) = request.into_parts();
    let who = state.people.who(&head.headers)?;
    let bytes = body::json(&head.headers, body, state.body).await?;
    let parsed = serde_json::from_slice(&bytes);
    Ok((who, parsed.map_err(|error| Problem::malformed(format!("the body: {error}")))?))
}

/// JSON has numbers, not integers: `3.0` is 3.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let of_float = |float: f64| (float.fract() == 0.0 && (0.0..9e15).contains(&float)).then_some(float as u64);
    let whole = number.as_u64().or_else(|| of_float(number.as_f64()?));
    whole.ok_or_else(|| serde::de::Error::custom(format!("`{number}` is no version: versions are numbers from 1")))
}

fn reason(why: String) -> Result<String, Problem> {
    match why.trim().is_empty() {
        true => Err(RegistryError::Invalid("say why: the reason is kept with the decision".to_owned()).into()),
        false => Ok(why),
    }
}

fn alias_name(text: &str) -> Result<Name, Problem> {
    Name::new(text).map_err(|error| RegistryError::Invalid(format!("alias {error}")).into())
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
