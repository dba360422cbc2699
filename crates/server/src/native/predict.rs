use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use karat_serving::{Asked, Decided, Endpoint, ServingError, Turn};
use tokio::runtime::Handle;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::native::prediction::{Prediction, Predictions, to_json};
use crate::observe::RequestId;
use crate::{AppState, body};

/// What takes longer leaves the thread it came in on, which has other connections to answer. Going to another thread and back
/// costs about 100 us of two processors: for less than several times that it would only keep everybody waiting longer.
const IN_PLACE: Duration = Duration::from_micros(400);

/// Who is asked about: exactly one of `key`, `keys` and `rows`.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"key": 5008806, "as_of": "2021-10-01T00:00:00Z"}))]
#[expect(dead_code, reason = "documents the body; it is read as a tree, so that every wrong field is named")]
pub struct PredictRequest {
    /// The key of one entity: its value, or an object of the key columns, which is the form of a key of several.
    #[schema(value_type = Option<Value>)]
    key: Option<serde_json::Value>,
    /// Several keys.
    #[schema(value_type = Option<Vec<Value>>)]
    keys: Option<Vec<serde_json::Value>>,
    /// Full rows: every input of the model by name, null for none.
    #[schema(value_type = Option<Vec<Object>>)]
    rows: Option<Vec<serde_json::Value>>,
    /// The instant to decide at, with an offset. Default: now.
    as_of: Option<String>,
    /// Request-time fields, where the model declares them.
    #[schema(value_type = Option<Object>)]
    fields: Option<serde_json::Value>,
    /// Which reasons to give: `all`, `adverse` (those that raise the score) or `none`. Default: as the endpoint says.
    #[schema(value_type = Option<String>, pattern = "^(all|adverse|none)$")]
    reasons: Option<String>,
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
        (status = BAD_REQUEST, description = "Not JSON, or JSON that says something twice", body = Problem, content_type = "application/problem+json"),
        (status = FORBIDDEN, description = "An `as_of` before the time that the online store keeps", body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, description = "No such endpoint, or an unknown key where the endpoint refuses those", body = Problem, content_type = "application/problem+json"),
        (status = REQUEST_TIMEOUT, description = "The body came too slowly", body = Problem, content_type = "application/problem+json"),
        (status = PAYLOAD_TOO_LARGE, description = "A body over `server.body`, or more keys than fit into `limits.deadline`", body = Problem, content_type = "application/problem+json"),
        (status = UNSUPPORTED_MEDIA_TYPE, description = "A body that says it is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = UNPROCESSABLE_ENTITY, description = "A wrong field, named", body = Problem, content_type = "application/problem+json"),
        (status = TOO_MANY_REQUESTS, description = "More requests than the endpoint takes on; `retry-after` says when to try again", body = Problem, content_type = "application/problem+json"),
        (status = INTERNAL_SERVER_ERROR, description = "Damaged state, or a defect: the server's log says what", body = Problem, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, description = "No version is approved, nothing is materialized yet, a look-up failed that nothing stands in for, or decisions cannot be recorded: then nothing was decided, and `retry-after` says when to try again", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn predict(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(name) = path?;
    let endpoint = state.deployment.endpoint(&name)?;
    let (head, body) = request.into_parts();
    let body = body::json(&head.headers, body, state.body).await?;
    let turn = endpoint.enter().await?;
    // Longer bodies are not even read there.
    if body.len() > body::READ_IN_PLACE {
        let (runtime, until) = (Handle::current(), turn.until().clone());
        let asked = move |endpoint: &Endpoint| runtime.block_on(endpoint.look_up(endpoint.read(&body)?, &until));
        return elsewhere(endpoint, turn, id, asked).await;
    }
    let asked = endpoint.look_up(endpoint.read(&body)?, turn.until()).await?;
    if endpoint.usual_time(&asked) > IN_PLACE {
        return elsewhere(endpoint, turn, id, move |_| Ok(asked)).await;
    }
    let asked = endpoint.fetch(asked).await?;
    let decided = endpoint.decide(asked, turn.until())?;
    let records = endpoint.records(&decided)?;
    let _inside = turn.worked();
    let mut logging = Logging { endpoint: &endpoint, decided: &decided, id: &id, failed: false };
    let logged = endpoint.log(&records).await;
    logging.failed = logged.is_err();
    drop(logging);
    logged?;
    Ok(json(answer(&decided)))
}

/// Reports what is in the log, whether or not the client is still there.
struct Logging<'d> {
    endpoint: &'d Endpoint,
    decided: &'d Decided,
    id: &'d RequestId,
    failed: bool,
}

impl Drop for Logging<'_> {
    fn drop(&mut self) {
        if !self.failed {
            self.endpoint.report(self.decided, self.id.as_str());
        }
    }
}

/// All of it on a thread that may be kept busy. The turn is given back when the work ends, and the work ends early when
/// the client goes away.
async fn elsewhere(
    endpoint: Arc<Endpoint>,
    turn: Turn,
    id: RequestId,
    asked: impl FnOnce(&Endpoint) -> Result<Asked, ServingError> + Send + 'static,
) -> Result<Response, Problem> {
    let _waiting = turn.until().waiting();
    let work = move || {
        let decided = endpoint.settle(asked(&endpoint)?, turn.until(), id.as_str())?;
        Ok::<_, ServingError>(answer(&decided))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(json(done?)),
        Err(failed) => Err(Problem::internal(failed.to_string())),
    }
}

fn answer(decided: &Decided) -> Vec<u8> {
    let mut answers = decided.iter().map(Prediction::from);
    match answers.next() {
        Some(only) if decided.single => to_json(&only),
        first => to_json(&Predictions { predictions: first.into_iter().chain(answers).collect() }),
    }
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
