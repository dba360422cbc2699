//! Artifacts behind the server: files of a folder or a bucket, streamed both ways, whatever their size.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use karat_history::files::{Announced, Entry, FileStore, Found, Incoming};
use serde_json::{Map, Value as Json, json};

use super::error::{Code, MlflowError};
use super::fields::Fields;
use super::paths::{Named, Place};
use super::{Answer, Tracking, files, located, not_implemented, paths, raw, wire};
use crate::AppState;

/// The longest file that MLflow's pages may send.
const MOST_AT_ONCE: u64 = 10 << 20;

/// A file on its way, or why not.
type Sent = Result<Response, MlflowError>;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/artifacts", get(list))
        .route("/artifacts/{*path}", get(download).put(upload).delete(delete))
        .fallback(not_implemented)
}

pub async fn of_run(tracking: Tracking, fields: Fields) -> Answer {
    let run = tracking.registry().run_by_id(fields.run_id()?).await?;
    under(&tracking, &run.artifact_uri, fields.text("path")?).await
}

pub async fn of_model(tracking: Tracking, fields: Fields) -> Answer {
    let model = tracking.registry().logged_model(fields.required("model_id")?, false).await?;
    under(&tracking, &model.artifact_location, fields.text("artifact_directory_path")?).await
}

async fn under(tracking: &Tracking, uri: &str, path: Option<&str>) -> Answer {
    let path = path.map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty());
    let mut answer = Map::from_iter([("root_uri".to_owned(), Json::from(uri))]);
    if let Some(folder) = paths::of_uri(uri) {
        let within = [Some(folder), path].into_iter().flatten().collect::<Vec<_>>().join("/");
        let prefix = path.map(|path| format!("{path}/")).unwrap_or_default();
        let Place { store, path } = tracking.readable(&within)?;
        wire::put(&mut answer, "files", listed(&store, &path, &prefix).await?);
    }
    Ok(Json::Object(answer))
}

/// A file of a run, of a version or of a logged model, each named by its own fields.
pub async fn of_what<F>(state: AppState, fields: Fields, headers: HeaderMap, locate: fn(Tracking, Fields) -> F) -> Sent
where
    F: Future<Output = Result<String, MlflowError>> + Send + 'static,
{
    let tracking = state.tracking()?;
    let located = tracking.spawn(locate(tracking.clone(), fields));
    let path = located.await??;
    files::send(&tracking.readable(&path)?, &path, &headers).await
}

async fn list(State(state): State<AppState>, request: Request) -> Result<axum::Json<Json>, MlflowError> {
    let tracking = state.tracking()?;
    let fields = Fields::from_query(request.uri())?;
    let path = fields.text("path")?.map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty());
    let Place { store, path } = match path {
        Some(path) => tracking.readable(path)?,
        None => Place { store: tracking.artifacts().clone(), path: String::new() },
    };
    let mut answer = Map::new();
    wire::put(&mut answer, "files", listed(&store, &path, "").await?);
    Ok(axum::Json(Json::Object(answer)))
}

/// The files and folders of a folder, by name; of anything else none.
async fn listed(store: &Arc<dyn FileStore>, folder: &str, prefix: &str) -> Result<Vec<Json>, MlflowError> {
    let listed = store.list(folder).await?.into_iter().map(|Entry { name, found }| {
        let path = format!("{prefix}{name}");
        match found {
            Found::Folder => json!({"path": path, "is_dir": true}),
            Found::File { bytes, .. } => json!({"path": path, "is_dir": false, "file_size": bytes}),
        }
    });
    Ok(listed.collect())
}

async fn download(State(state): State<AppState>, Named(path): Named, headers: HeaderMap) -> Sent {
    files::send(&state.tracking()?.readable(&path)?, &path, &headers).await
}

async fn upload(State(state): State<AppState>, Named(path): Named, request: Request) -> Result<Response, MlflowError> {
    let place = state.tracking()?.writable(&path)?;
    store(request, place, Limits { timeout: state.body.timeout, most: u64::MAX }).await?;
    Ok(axum::Json(json!({})).into_response())
}

/// A file of a run, as MLflow's pages send it.
pub async fn upload_to_run(State(state): State<AppState>, request: Request) -> Result<Response, MlflowError> {
    let tracking = state.tracking()?;
    let fields = Fields::from_query(request.uri())?;
    let missing = |name: &str| MlflowError::invalid(format!("Request must specify {name}."));
    let run_id = fields.text("run_uuid")?.filter(|id| !id.is_empty()).ok_or_else(|| missing("run_uuid"))?.to_owned();
    let path = fields.text("path")?.filter(|path| !path.is_empty()).ok_or_else(|| missing("path"))?.to_owned();
    let looked_up = tracking.clone();
    let located = tracking.spawn(async move { located::in_run(&looked_up, &run_id, &path).await });
    let path = located.await??;
    let place = tracking.writable(&path)?;
    if request.body().size_hint().exact() == Some(0) {
        return Err(missing("data"));
    }
    store(request, place, Limits { timeout: state.body.timeout, most: MOST_AT_ONCE }).await?;
    Ok(raw(StatusCode::OK, HeaderValue::from_static("application/json"), Body::empty()))
}

/// How a body may come.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// For each piece.
    timeout: Duration,
    /// Bytes.
    most: u64,
}

/// Keeps a body under its name once it is whole.
async fn store(request: Request, place: Place, limits: Limits) -> Result<(), MlflowError> {
    let announced = Announced { bytes: length(request.headers()), ..Announced::default() };
    let incoming = place.store.create(&place.path, announced).await?;
    receive(request.into_body(), incoming, limits).await
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Takes a body piece by piece. What is not whole is not there.
async fn receive(
    body: Body,
    mut incoming: Box<dyn Incoming>,
    Limits { timeout, most }: Limits,
) -> Result<(), MlflowError> {
    let mut pieces = body.into_data_stream();
    let mut received = 0;
    loop {
        match tokio::time::timeout(timeout, pieces.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => {
                received += piece.len() as u64;
                if received > most {
                    let megabytes = most >> 20;
                    let message = format!("Artifact size is too large. Max size is {megabytes}MB.");
                    return Err(MlflowError::invalid(message));
                }
                incoming.write(&piece).await?;
            }
            Ok(Some(Err(error))) => {
                return Err(MlflowError::invalid(format!("the artifact did not come whole: {error}")));
            }
            Err(_) => {
                let waited = timeout.as_secs_f64();
                let message = format!("nothing of the artifact came for {waited} s (`server.body_timeout`)");
                return Err(MlflowError::new(Code::TemporarilyUnavailable, message));
            }
        }
    }
    Ok(incoming.finish().await?)
}

async fn delete(State(state): State<AppState>, Named(path): Named) -> Result<axum::Json<Json>, MlflowError> {
    let place = state.tracking()?.writable(&path)?;
    match place.store.delete(&place.path).await? {
        true => Ok(axum::Json(json!({}))),
        false => Err(MlflowError::new(Code::ResourceDoesNotExist, format!("No such artifact: '{path}'"))),
    }
}
