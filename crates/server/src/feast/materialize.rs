use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use karat_core::{ErrorKind, Instant, Name, Zone};
use karat_jobs::refresh::RefreshError;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::error::FeastError;
use super::read;
use crate::AppState;
use crate::error::Problem;
use crate::refusals::{BodyRefused, Defect};

/// What to bring up to date.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"start_ts": "2021-09-01T00:00:00", "end_ts": "2021-10-01T00:00:00", "feature_views": ["payment_history"]}))]
pub struct Materialize {
    /// Read, and not gone by: online state knows all events, whenever they were.
    #[serde(default)]
    start_ts: Option<String>,
    #[serde(default)]
    end_ts: Option<String>,
    /// Default: all.
    #[serde(default)]
    feature_views: Option<Vec<String>>,
    #[serde(default)]
    disable_event_timestamp: bool,
}

/// What to bring up to date.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"end_ts": "2021-10-01T00:00:00"}))]
pub struct MaterializeIncremental {
    /// Read, and not gone by: online state knows all events, whenever they were.
    end_ts: String,
    /// Default: all.
    #[serde(default)]
    feature_views: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Manner {
    /// Whether to answer 202 at once, and 409 where one of the views is being brought up to date already.
    #[serde(rename = "async")]
    in_background: Option<bool>,
    /// Whether to begin in any case.
    force: Option<bool>,
}

/// Ingests what is new in what the views read, and brings their online state up to it.
///
/// The state holds all that happened up to now whatever range is asked for, so that what is read online is what training has.
#[utoipa::path(
    post, path = "/materialize", tag = "feast",
    params(Manner),
    request_body = Materialize,
    responses(
        (status = OK, description = "The views are up to date; `null`"),
        (status = ACCEPTED, description = "They will be", body = Object),
        (status = BAD_REQUEST, description = "A body that did not come whole, or a query that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such feature view: a JSON string that holds one of Feast's exceptions", body = String, content_type = "application/json"),
        (status = CONFLICT, description = "Views that are being brought up to date already, under `async`", body = Object),
        (status = UNPROCESSABLE_ENTITY, description = "A body of another form, or times that are none: a JSON string", body = String, content_type = "application/json"),
        (status = SERVICE_UNAVAILABLE, description = "What is new cannot be taken in right now: the server's log says why", body = Problem, content_type = "application/problem+json"),
        BodyRefused, Defect
    )
)]
pub async fn materialize(
    State(state): State<AppState>,
    manner: Result<Query<Manner>, QueryRejection>,
    request: Request,
) -> Result<Response, FeastError> {
    let (asked, _) = read::<Materialize>(&state, request).await?;
    if !asked.disable_event_timestamp {
        let (Some(start), Some(end)) = (&asked.start_ts, &asked.end_ts) else {
            let words = "start_ts and end_ts are required when disable_event_timestamp is False";
            return Err(FeastError::invalid(words));
        };
        if time("start_ts", start)? >= time("end_ts", end)? {
            return Err(FeastError::invalid(format!("start_ts ({start}) must be before end_ts ({end})")));
        }
    }
    refresh(&state, asked.feature_views, manner).await
}

/// As `/materialize`, without a beginning.
#[utoipa::path(
    post, path = "/materialize-incremental", tag = "feast",
    params(Manner),
    request_body = MaterializeIncremental,
    responses(
        (status = OK, description = "The views are up to date; `null`"),
        (status = ACCEPTED, description = "They will be", body = Object),
        (status = BAD_REQUEST, description = "A body that did not come whole, or a query that cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such feature view: a JSON string that holds one of Feast's exceptions", body = String, content_type = "application/json"),
        (status = CONFLICT, description = "Views that are being brought up to date already, under `async`", body = Object),
        (status = UNPROCESSABLE_ENTITY, description = "A body of another form, or a time that is none: a JSON string", body = String, content_type = "application/json"),
        (status = SERVICE_UNAVAILABLE, description = "What is new cannot be taken in right now: the server's log says why", body = Problem, content_type = "application/problem+json"),
        BodyRefused, Defect
    )
)]
pub async fn materialize_incremental(
    State(state): State<AppState>,
    manner: Result<Query<Manner>, QueryRejection>,
    request: Request,
) -> Result<Response, FeastError> {
    let (asked, _) = read::<MaterializeIncremental>(&state, request).await?;
    time("end_ts", &asked.end_ts)?;
    refresh(&state, asked.feature_views, manner).await
}

/// In UTC where no offset says otherwise.
fn time(field: &str, text: &str) -> Result<Instant, FeastError> {
    Instant::parse_in(text, &Zone::utc())
        .map_err(|error| FeastError::invalid(format!("Invalid timestamp format: {field}: {error}")))
}

async fn refresh(
    state: &AppState,
    names: Option<Vec<String>>,
    manner: Result<Query<Manner>, QueryRejection>,
) -> Result<Response, FeastError> {
    let Query(manner) = manner.map_err(|rejected| Problem::malformed(rejected.body_text()))?;
    let views = views(state, names)?;
    let under_way = state.refreshes.under_way(&views);
    let (in_background, force) = (manner.in_background.unwrap_or(false), manner.force.unwrap_or(false));
    if in_background && !force && !under_way.is_empty() {
        let names: Vec<&str> = under_way.iter().map(Name::as_str).collect();
        let words = format!(
            "Cannot start async materialization: feature views are being materialized already: {}. Use ?force=true to \
             override.",
            names.join(", ")
        );
        return Ok((StatusCode::CONFLICT, Json(json!({"error": words, "feature_views": under_way}))).into_response());
    }
    let refreshing = state.refreshes.begin(views.clone());
    if in_background {
        let accepted = json!({"status": "accepted", "feature_views": views});
        return Ok((StatusCode::ACCEPTED, Json(accepted)).into_response());
    }
    match refreshing.done().await {
        Ok(_) => Ok(Json(Value::Null).into_response()),
        Err(error) => Err(error.into()),
    }
}

fn views(state: &AppState, names: Option<Vec<String>>) -> Result<Vec<Name>, FeastError> {
    let served = state.deployment.served();
    let Some(names) = names else { return Ok(served.views.keys().cloned().collect()) };
    let known = |name: String| Ok(state.deployment.view(&name)?.name.clone());
    names.into_iter().map(known).collect()
}

impl From<RefreshError> for FeastError {
    fn from(error: RefreshError) -> FeastError {
        match error.kind {
            // Whose fault it is stands in the server's log: files, contracts, stores.
            ErrorKind::Corrupt | ErrorKind::Internal => FeastError::Problem(Problem::internal(error.problem)),
            _ => {
                let words = "what is new could not be taken in: the server's log says why";
                FeastError::Problem(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words))
            }
        }
    }
}
