use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use karat_serving::Answer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::AppState;
use crate::error::Problem;

/// Who is asked about: exactly one of `key`, `keys` and `rows`.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"key": 5008806, "as_of": "2021-10-01T00:00:00Z"}))]
#[expect(dead_code, reason = "documents the body; it is read as a tree, so that every wrong field is named")]
pub struct PredictRequest {
    /// The key of one entity: its value, or an object of the key column.
    #[schema(value_type = Option<Object>)]
    key: Option<serde_json::Value>,
    /// Several keys.
    #[schema(value_type = Option<Vec<Object>>)]
    keys: Option<Vec<serde_json::Value>>,
    /// Full rows: every input of the model by name, null for none.
    #[schema(value_type = Option<Vec<Object>>)]
    rows: Option<Vec<serde_json::Value>>,
    /// The instant to decide at, with an offset. Default: now.
    as_of: Option<String>,
    /// Request-time fields, where the model declares them.
    #[schema(value_type = Option<Object>)]
    fields: Option<serde_json::Value>,
}

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct Prediction {
    /// Under this id the decision can be replayed.
    prediction_id: String,
    model: Model,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    key: Option<serde_json::Value>,
    #[schema(format = DateTime)]
    as_of: String,
    /// The model's inputs by name.
    #[schema(value_type = Object)]
    features: IndexMap<String, serde_json::Value>,
    /// Views in which the key had no visible event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    no_history: Vec<String>,
    /// The chance of the second label, 0 to 1.
    score: f64,
    label: String,
    /// Scores from here on get the second label.
    threshold: f64,
    reasons: Vec<Reason>,
    qa_failures: Vec<QaFailure>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    name: String,
    version: String,
    digest: String,
}

/// How much one input moved the score.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reason {
    feature: String,
    #[schema(value_type = Object)]
    value: serde_json::Value,
    /// On the model's log-odds scale; positive raises the chance of the second label.
    contribution: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    text: String,
}

/// Something about a value that a person should know.
#[derive(Debug, Serialize, ToSchema)]
pub struct QaFailure {
    feature: String,
    #[schema(value_type = Object)]
    value: serde_json::Value,
    check: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Predictions {
    predictions: Vec<Prediction>,
}

/// Decides.
///
/// One answer for `key`, a list under `predictions` for `keys` and `rows`. Every answer is in the prediction log
/// before it leaves.
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/predict", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    request_body = PredictRequest,
    responses(
        (status = OK, description = "For `key`", body = Prediction),
        (status = BAD_REQUEST, description = "Not JSON", body = Problem),
        (status = NOT_FOUND, description = "No such endpoint, or an unknown key where the endpoint refuses those", body = Problem),
        (status = PAYLOAD_TOO_LARGE, description = "Over 4 MiB", body = Problem),
        (status = UNPROCESSABLE_ENTITY, description = "A wrong field, named", body = Problem),
        (status = SERVICE_UNAVAILABLE, description = "No version is approved, or nothing is materialized yet", body = Problem)
    )
)]
pub async fn predict(
    State(state): State<AppState>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let endpoint = state.deployment.endpoint(&name)?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is over 4 MiB: send fewer keys at once")
        }
        _ => Problem::malformed(rejection.body_text()),
    })?;
    let json = serde_json::from_slice(&body).map_err(|e| Problem::malformed(format!("the body is not JSON: {e}")))?;
    let (answers, body) = endpoint.predict(&json)?;
    let mut predictions: Vec<Prediction> = answers.into_iter().map(Prediction::from).collect();
    let answer = match predictions.pop() {
        Some(only) if body.single => serde_json::to_vec(&only),
        last => {
            predictions.extend(last);
            serde_json::to_vec(&Predictions { predictions })
        }
    };
    let answer = answer.expect("answers serialise to JSON");
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

impl From<Answer> for Prediction {
    fn from(answer: Answer) -> Prediction {
        let reasons = answer.reasons.into_iter().map(|reason| Reason {
            feature: reason.feature,
            value: reason.value,
            contribution: reason.contribution,
            code: reason.code,
            text: reason.text,
        });
        let failures = answer.qa_failures.into_iter().map(|failure| QaFailure {
            feature: failure.feature,
            value: failure.value,
            check: failure.check,
        });
        Prediction {
            prediction_id: answer.prediction_id.to_string(),
            model: Model {
                name: answer.model.name.to_string(),
                version: answer.model.version,
                digest: answer.model.digest.to_string(),
            },
            key: answer.key,
            as_of: answer.as_of.to_string(),
            features: answer.features.into_iter().map(|(name, value)| (name, value.to_json())).collect(),
            no_history: answer.no_history.iter().map(ToString::to_string).collect(),
            score: answer.score,
            label: answer.label,
            threshold: answer.threshold,
            reasons: reasons.collect(),
            qa_failures: failures.collect(),
        }
    }
}
