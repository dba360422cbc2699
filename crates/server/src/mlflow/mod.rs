//! MLflow's tracking server (3.17), for its clients: the same paths, JSON, limits, codes and messages.
//!
//! These routes are MLflow's to describe, so the OpenAPI document leaves them out. What differs from MLflow is listed in
//! `docs/tracking.md`.

mod artifacts;
mod batch;
mod datasets;
mod error;
mod experiments;
mod fields;
mod files;
mod located;
mod logged_models;
mod messages;
mod metrics;
mod model_versions;
mod names;
mod paths;
mod registered_models;
mod runs;
mod sources;
mod tracking;
mod validate;
mod webhooks;
mod wire;

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, on, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{AppState, body};
use error::{Code, MlflowError};
use fields::Fields;
pub use tracking::Tracking;

type Answer = Result<Value, MlflowError>;

/// What a route's path names, or why it cannot be read.
type UrlPath = Result<RawPathParams, RawPathParamsRejection>;

pub fn routes() -> Router<AppState> {
    Router::new()
        .nest("/api/2.0/mlflow", tracking_routes())
        .nest("/ajax-api/2.0/mlflow", tracking_routes().merge(pictures()))
        .nest("/api/2.0/mlflow-artifacts", artifacts::routes())
        .nest("/ajax-api/2.0/mlflow-artifacts", artifacts::routes())
        // What MLflow's client of the one call asks for: its own file of paths lacks a slash.
        .route("/api/2.0mlflow/experiments/search-datasets", call(Method::POST, datasets::search))
        .route("/ajax-api/2.0mlflow/experiments/search-datasets", call(Method::POST, datasets::search))
        .route("/get-artifact", file(located::run_file))
        .route("/model-versions/get-artifact", file(located::version_file))
        .nest("/api/3.0/mlflow", Router::new().route("/server-info", get(server_info)).fallback(not_implemented))
        .nest("/ajax-api/3.0/mlflow", Router::new().route("/server-info", get(server_info)).fallback(not_implemented))
}

fn tracking_routes() -> Router<AppState> {
    use Method as M;
    Router::new()
        .route("/experiments/create", call(M::POST, experiments::create))
        .route("/experiments/get", call(M::GET, experiments::get))
        .route("/experiments/get-by-name", call(M::GET, experiments::get_by_name))
        .route("/experiments/search", call(M::GET, experiments::search).merge(call(M::POST, experiments::search)))
        .route("/experiments/update", call(M::POST, experiments::update))
        .route("/experiments/delete", call(M::POST, experiments::delete))
        .route("/experiments/restore", call(M::POST, experiments::restore))
        .route("/experiments/set-experiment-tag", call(M::POST, experiments::set_tag))
        .route("/experiments/delete-experiment-tag", call(M::POST, experiments::delete_tag))
        .route("/experiments/search-datasets", call(M::POST, datasets::search))
        .route("/runs/create", call(M::POST, runs::create))
        .route("/runs/get", call(M::GET, runs::get))
        .route("/runs/search", written(M::POST, runs::search, wire::Runs::to_json))
        .route("/runs/update", call(M::POST, runs::update))
        .route("/runs/delete", call(M::POST, runs::delete))
        .route("/runs/restore", call(M::POST, runs::restore))
        .route("/runs/log-metric", call(M::POST, metrics::log))
        .route("/runs/log-parameter", call(M::POST, runs::log_param))
        .route("/runs/log-batch", call(M::POST, batch::log))
        .route("/runs/set-tag", call(M::POST, runs::set_tag))
        .route("/runs/delete-tag", call(M::POST, runs::delete_tag))
        .route("/runs/log-inputs", call(M::POST, runs::log_inputs))
        .route("/runs/outputs", call(M::POST, runs::log_outputs))
        .route("/runs/log-model", call(M::POST, runs::log_model))
        .route("/metrics/get-history", call(M::GET, metrics::history))
        .route("/metrics/get-history-bulk-interval", call(M::GET, metrics::sampled))
        .route("/artifacts/list", call(M::GET, artifacts::of_run))
        .route("/logged-models", call(M::POST, logged_models::create))
        .route("/logged-models/search", call(M::POST, logged_models::search))
        .route(
            "/logged-models/{model_id}",
            call(M::GET, logged_models::get)
                .merge(call(M::PATCH, logged_models::finalize))
                .merge(call(M::DELETE, logged_models::delete)),
        )
        .route("/logged-models/{model_id}/tags", call(M::PATCH, logged_models::set_tags))
        .route("/logged-models/{model_id}/tags/{tag_key}", call(M::DELETE, logged_models::delete_tag))
        .route("/logged-models/{model_id}/params", call(M::POST, logged_models::log_params))
        .route("/logged-models/{model_id}/artifacts/directories", call(M::GET, artifacts::of_model))
        .merge(registry_routes())
        .merge(webhook_routes())
        .fallback(not_implemented)
}

fn registry_routes() -> Router<AppState> {
    use Method as M;
    use {model_versions as versions, registered_models as models};
    Router::new()
        .route("/registered-models/create", call(M::POST, models::create))
        .route("/registered-models/get", call(M::GET, models::get))
        .route("/registered-models/search", call(M::GET, models::search))
        .route("/registered-models/update", call(M::PATCH, models::update))
        .route("/registered-models/rename", call(M::POST, models::rename))
        .route("/registered-models/delete", call(M::DELETE, models::delete))
        .route(
            "/registered-models/get-latest-versions",
            call(M::GET, models::latest).merge(call(M::POST, models::latest)),
        )
        .route("/registered-models/set-tag", call(M::POST, models::set_tag))
        .route("/registered-models/delete-tag", call(M::DELETE, models::delete_tag))
        .route(
            "/registered-models/alias",
            call(M::GET, models::by_alias)
                .merge(call(M::POST, models::set_alias))
                .merge(call(M::DELETE, models::delete_alias)),
        )
        .route("/model-versions/create", call(M::POST, versions::create))
        .route("/model-versions/get", call(M::GET, versions::get))
        .route("/model-versions/search", call(M::GET, versions::search))
        .route("/model-versions/update", call(M::PATCH, versions::update))
        .route("/model-versions/transition-stage", call(M::POST, versions::move_stage))
        .route("/model-versions/delete", call(M::DELETE, versions::delete))
        .route("/model-versions/get-download-uri", call(M::GET, versions::download_uri))
        .route("/model-versions/set-tag", call(M::POST, versions::set_tag))
        .route("/model-versions/delete-tag", call(M::DELETE, versions::delete_tag))
}

fn webhook_routes() -> Router<AppState> {
    use Method as M;
    Router::new()
        .route("/webhooks", call(M::GET, webhooks::list).merge(call(M::POST, webhooks::create)))
        .route(
            "/webhooks/{webhook_id}",
            call(M::GET, webhooks::get)
                .merge(call(M::PATCH, webhooks::update))
                .merge(call(M::DELETE, webhooks::delete)),
        )
        .route("/webhooks/{webhook_id}/test", call(M::POST, webhooks::try_out))
}

/// What MLflow's pages ask for besides.
fn pictures() -> Router<AppState> {
    Router::new()
        .route("/metrics/get-history-bulk", call(Method::GET, metrics::of_runs))
        .route("/upload-artifact", post(artifacts::upload_to_run))
        .route("/logged-models/{model_id}/artifacts/files", file(located::model_file))
}

/// A GET of a file, which `locate` finds by the fields of the query and the path.
fn file<F>(locate: fn(Tracking, Fields) -> F) -> MethodRouter<AppState>
where
    F: Future<Output = Result<String, MlflowError>> + Send + 'static,
{
    get(move |State(state): State<AppState>, path: UrlPath, request: Request| async move {
        let path = path.map_err(|error| MlflowError::invalid(error.body_text()))?;
        if request.uri().to_string().contains("%00") {
            return Err(nul());
        }
        let mut fields = Fields::from_query(request.uri())?;
        fields.extend(path.iter().map(|(name, value)| (name.into(), value.into())).collect());
        artifacts::of_what(state, fields, request.headers().clone(), locate).await
    })
}

/// A call of MLflow's: its fields from the body or the query, and from the path. It runs on the process's own threads, so
/// that a long search holds up no decision.
fn call<Q, F, A>(method: Method, handler: fn(Tracking, Q) -> F) -> MethodRouter<AppState>
where
    Q: Asked,
    F: Future<Output = Result<A, MlflowError>> + Send + 'static,
    A: Serialize + Send + 'static,
{
    written(method, handler, serde_json::to_vec)
}

/// As [`call`], with an answer that is written in its own way.
fn written<Q, F, A>(
    method: Method,
    handler: fn(Tracking, Q) -> F,
    write: fn(&A) -> serde_json::Result<Vec<u8>>,
) -> MethodRouter<AppState>
where
    Q: Asked,
    F: Future<Output = Result<A, MlflowError>> + Send + 'static,
    A: Send + 'static,
{
    let filter = axum::routing::MethodFilter::try_from(method).expect("one of HTTP's own methods");
    on(filter, move |State(state): State<AppState>, path: UrlPath, request: Request| async move {
        let answer = async {
            let path = path.map_err(|error| MlflowError::invalid(error.body_text()))?;
            let path: Vec<(String, String)> = path.iter().map(|(name, value)| (name.into(), value.into())).collect();
            let known = state.people.find(request.headers()).map(str::to_owned);
            let tracking = state.tracking()?.called_by(known.unwrap_or_else(|| caller(request.headers())));
            let asked = Q::of(&sent(&state, request).await?, path)?;
            let running = tracking.spawn(handler(tracking.clone(), asked));
            let answer = running.await??;
            write(&answer).map_err(|error| MlflowError::internal(error.to_string()))
        };
        match answer.await {
            Ok(bytes) => raw(StatusCode::OK, HeaderValue::from_static("application/json"), bytes.into()),
            Err(error) => error.into_response(),
        }
    })
}

/// The user of a client's own credentials, unverified: whoever is in front of the server checks them.
fn caller(headers: &HeaderMap) -> String {
    let basic = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded = basic.and_then(|text| String::from_utf8(BASE64.decode(text.trim()).ok()?).ok());
    let user = decoded.as_deref().and_then(|pair| pair.split(':').next());
    let user: String = user.unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
    match user.is_empty() {
        true => "mlflow".to_owned(),
        false => format!("mlflow:{user}"),
    }
}

/// What a call asks with.
enum Sent {
    Query(Uri),
    Body(Bytes),
}

async fn sent(state: &AppState, request: Request) -> Result<Sent, MlflowError> {
    let (head, body) = request.into_parts();
    if head.uri.to_string().contains("%00") {
        return Err(nul());
    }
    if head.method == Method::GET && head.uri.query().is_some_and(|query| !query.is_empty()) {
        return Ok(Sent::Query(head.uri));
    }
    let bytes = body::json(&head.headers, body, state.body).await?;
    if holds_nul(&bytes) { Err(nul()) } else { Ok(Sent::Body(bytes)) }
}

/// What a call is about, read from what was sent.
trait Asked: Send + Sized + 'static {
    /// `path`: what the route's path names.
    fn of(sent: &Sent, path: Vec<(String, String)>) -> Result<Self, MlflowError>;
}

impl Asked for Fields {
    fn of(sent: &Sent, path: Vec<(String, String)>) -> Result<Fields, MlflowError> {
        let mut fields = match sent {
            Sent::Query(uri) => Fields::from_query(uri)?,
            Sent::Body(bytes) => Fields::from_body(bytes)?,
        };
        fields.extend(path);
        Ok(fields)
    }
}

/// Whether a text of a JSON document holds a NUL, which can be written in one way only. PostgreSQL could not keep it.
fn holds_nul(body: &[u8]) -> bool {
    let is_escape = |at: usize| body[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0;
    // Most bodies escape nothing, which is seen at a glance.
    body.contains(&b'\\') && body.windows(6).enumerate().any(|(at, window)| window == b"\\u0000" && is_escape(at))
}

fn nul() -> MlflowError {
    MlflowError::invalid("a text with a NUL character cannot be kept: leave it out")
}

/// Of MLflow's GenAI calls and others that are not answered here.
async fn not_implemented(request: Request) -> MlflowError {
    let what = request.uri().path();
    MlflowError::new(
        Code::NotImplemented,
        format!("{} {what}: Karat answers experiments, runs, models and artifacts; this it does not", request.method()),
    )
}

/// What a client may count on; everything that is no is not here.
async fn server_info() -> Response {
    let mut response = Json(json!({
        "store_type": "SqlStore", "workspaces_enabled": false, "trace_archival_enabled": false,
        "multipart_uploads_enabled": false, "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false, "presigned_upload_model_id_supported": false,
        "features_enabled": {"gateway": false},
    }))
    .into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

impl AppState {
    fn tracking(&self) -> Result<&Tracking, MlflowError> {
        let missing = || MlflowError::new(Code::NotImplemented, "this server keeps no experiments and runs");
        self.tracking.as_ref().ok_or_else(missing)
    }
}

/// An answer with a body of its own kind.
fn raw(status: StatusCode, kind: HeaderValue, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_and_what_only_looks_like_one_is_not() {
        for (body, held) in [
            (r#"{"a": "\u0000"}"#, true),
            (r#"{"a": "x\\\u0000"}"#, true),
            (r#"{"a": "\\u0000"}"#, false),
            (r#"{"a": "\u00001"}"#, true),
            (r#"{"a": "u0000\u0001"}"#, false),
            ("", false),
        ] {
            assert_eq!(holds_nul(body.as_bytes()), held, "{body}");
        }
    }
}
