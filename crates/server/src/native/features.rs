use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use indexmap::IndexMap;
use karat_serving::ViewAnswer;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::AppState;
use crate::error::Problem;

use super::with_plus;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AsOf {
    /// The instant to read at, with an offset. Default: now.
    as_of: Option<String>,
}

/// The features of one key.
#[derive(Debug, Serialize, ToSchema)]
pub struct Features {
    view: String,
    #[schema(value_type = Value)]
    key: serde_json::Value,
    #[schema(format = DateTime)]
    as_of: String,
    #[schema(value_type = Object)]
    features: IndexMap<String, serde_json::Value>,
    /// Whether the key had no visible event.
    no_history: bool,
    /// When the newest event that was seen happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_event: Option<String>,
    /// The definition's digest.
    definition: String,
    /// The newest commit of the view's source that was seen.
    commit: u64,
}

/// The features of one key of a view, as known at an instant.
#[utoipa::path(
    get, path = "/v1/features/{view}/{key}", tag = "features",
    params(("view" = String, Path, description = "The feature view's name"), ("key" = String, Path, description = "The entity's key; of several columns each by its name: `client_id=5,employer_id=7`"), AsOf),
    responses(
        (status = OK, body = Features),
        (status = BAD_REQUEST, description = "An unknown parameter", body = Problem, content_type = "application/problem+json"),
        (status = FORBIDDEN, description = "An `as_of` before the time that the online store keeps", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such view", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "A key or an instant that is none", body = Problem, content_type = "application/problem+json"),
        (status = INTERNAL_SERVER_ERROR, description = "Damaged state, or a defect: the server's log says what", body = Problem, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, description = "Nothing is materialized yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn get(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<AsOf>, QueryRejection>,
) -> Result<Json<Features>, Problem> {
    let Path((view, key)) = path?;
    let Query(query) = query?;
    let as_of = query.as_of.map(with_plus);
    let answer = state.deployment.features(&view, &key, as_of.as_deref()).await;
    Ok(Json(answer?.into()))
}

impl From<ViewAnswer> for Features {
    fn from(answer: ViewAnswer) -> Features {
        let outputs = answer.view.read.view.outputs().iter().map(|column| column.name.clone());
        Features {
            view: answer.view.name.to_string(),
            key: json!(answer.key()),
            as_of: answer.as_of.to_string(),
            features: outputs.zip(answer.row.values.iter().map(karat_core::Value::to_json)).collect(),
            no_history: answer.row.no_history,
            newest_event: answer.row.newest_event.map(|instant| instant.to_string()),
            definition: answer.view.read.definition.to_string(),
            commit: answer.commit,
        }
    }
}
