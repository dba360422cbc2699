//! What people decide about versions and aliases: who, and why, is kept with each decision.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use karat_core::{Instant, Name};
use karat_registry::{AliasChange, Decision, RegistryError};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::models::{Model, Version, tracking, with};
use crate::error::Problem;
use crate::refusals::{BodyRefused, FormRefused, NoDatabase, NobodyKnown};
use crate::{AppState, body};

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

/// Permits a version; with `alias` it is deployed in the same transaction.
#[utoipa::path(
    post, path = "/v1/models/{model}/versions/{version}/approve", tag = "models",
    params(("model" = String, Path, description = "The model's name"), ("version" = u64, Path, description = "The version's number")),
    request_body = ApproveRequest,
    responses(
        (status = OK, body = Version),
        (status = NOT_FOUND, description = "No such version", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "What stands in the way: gates that are not passed, four eyes, files that are not stored", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason, or an alias that cannot be one", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn approve(
    State(state): State<AppState>,
    path: Result<Path<(String, u64)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, number)) = path?;
    let (by, asked) = decided(&state, request, |asked: &ApproveRequest| &asked.why).await?;
    let alias = asked.alias.as_deref().map(alias_name).transpose()?;
    let approved = with(&state, move |registry| {
        Box::pin(async move { registry.approve(by.of_version(&model, number), alias.as_ref(), by.now).await })
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
        (status = NOT_FOUND, description = "No such version", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "An alias points at it", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn reject(
    State(state): State<AppState>,
    path: Result<Path<(String, u64)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, number)) = path?;
    let (by, _) = decided(&state, request, |asked: &WhyRequest| &asked.why).await?;
    let rejected = with(&state, move |registry| {
        Box::pin(async move { registry.reject(by.of_version(&model, number), by.now).await })
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
        (status = NOT_FOUND, description = "No such version", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "A version that may not serve", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason, or an alias that cannot be one", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn point(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, alias)) = path?;
    let (by, asked) = decided(&state, request, |asked: &PointRequest| &asked.why).await?;
    let alias = alias_name(&alias)?;
    let moved = with(&state, move |registry| {
        Box::pin(async move { registry.set_alias(by.of_alias(&model, &alias), asked.version, by.now).await })
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
        (status = NOT_FOUND, description = "No such alias", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn take_away(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Model>, Problem> {
    let Path((model, alias)) = path?;
    let (by, _) = decided(&state, request, |asked: &WhyRequest| &asked.why).await?;
    let left = with(&state, move |registry| {
        Box::pin(async move {
            registry.delete_alias(by.of_alias(&model, &alias), by.now).await?;
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
        (status = NOT_FOUND, description = "No such model", body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, description = "There is none to go back to, or it may not serve any more", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "No reason", body = Problem, content_type = "application/problem+json"),
        BodyRefused, FormRefused, NobodyKnown, NoDatabase
    ),
    security(("token" = []))
)]
pub async fn roll_back(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Version>, Problem> {
    let Path((model, alias)) = path?;
    let (by, _) = decided(&state, request, |asked: &WhyRequest| &asked.why).await?;
    let moved = with(&state, move |registry| {
        Box::pin(async move { registry.rollback(by.of_alias(&model, &alias), by.now).await })
    });
    Ok(Json(moved.await?.into()))
}

/// Who decides, why, and when.
struct By {
    who: String,
    why: String,
    now: Instant,
}

impl By {
    fn of_version<'a>(&'a self, model: &'a str, version: u64) -> Decision<'a> {
        Decision { model, version, who: &self.who, why: &self.why }
    }

    fn of_alias<'a>(&'a self, model: &'a str, alias: &'a str) -> AliasChange<'a> {
        AliasChange { model, alias, who: &self.who, why: &self.why }
    }
}

async fn decided<T>(state: &AppState, request: Request, why: fn(&T) -> &str) -> Result<(By, T), Problem>
where
    T: for<'d> Deserialize<'d> + Send + 'static,
{
    let (who, asked) = asked::<T>(state, request).await?;
    let why = reason(why(&asked))?.to_owned();
    Ok((By { who, why, now: tracking(state)?.now() }, asked))
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

fn reason(why: &str) -> Result<&str, Problem> {
    match why.trim().is_empty() {
        true => Err(RegistryError::Invalid("say why: the reason is kept with the decision".to_owned()).into()),
        false => Ok(why),
    }
}

fn alias_name(text: &str) -> Result<Name, Problem> {
    Name::new(text).map_err(|error| RegistryError::Invalid(format!("alias {error}")).into())
}
