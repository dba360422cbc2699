//! Artifacts behind the server: files under one folder, streamed both ways, whatever their size.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use serde_json::{Map, Value as Json, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::error::{Code, MlflowError};
use super::fields::Fields;
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
        wire::put(&mut answer, "files", listed(tracking.readable(&within)?, prefix).await?);
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
    let path = located.await.map_err(|failed| MlflowError::internal(failed.to_string()))??;
    files::send(&tracking.readable(&path)?, &path, &headers).await
}

async fn list(State(state): State<AppState>, request: Request) -> Result<axum::Json<Json>, MlflowError> {
    let tracking = state.tracking()?;
    let fields = Fields::from_query(request.uri())?;
    let path = fields.text("path")?.map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty());
    let folder = match path {
        Some(path) => tracking.readable(path)?,
        None => tracking.artifacts().to_owned(),
    };
    let mut answer = Map::new();
    wire::put(&mut answer, "files", listed(folder, String::new()).await?);
    Ok(axum::Json(Json::Object(answer)))
}

/// The files and folders of a folder, by name; of anything else none.
async fn listed(folder: PathBuf, prefix: String) -> Result<Vec<Json>, MlflowError> {
    let read = tokio::task::spawn_blocking(move || {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(found) = entry.metadata() else { continue };
            if name.starts_with(paths::STAGED) {
                continue;
            }
            let path = format!("{prefix}{name}");
            files.push(match found.is_dir() {
                true => (path.clone(), json!({"path": path, "is_dir": true})),
                false => (path.clone(), json!({"path": path, "is_dir": false, "file_size": found.len()})),
            });
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(files.into_iter().map(|(_, file)| file).collect())
    });
    read.await.map_err(|failed| MlflowError::internal(failed.to_string()))?.map_err(of_disk)
}

async fn download(State(state): State<AppState>, UrlPath(path): UrlPath<String>, headers: HeaderMap) -> Sent {
    files::send(&state.tracking()?.readable(&path)?, &path, &headers).await
}

async fn upload(
    State(state): State<AppState>,
    UrlPath(path): UrlPath<String>,
    request: Request,
) -> Result<Response, MlflowError> {
    let target = state.tracking()?.writable(&path)?;
    store(request.into_body(), target, Limits { timeout: state.body.timeout, most: u64::MAX }).await?;
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
    let path = located.await.map_err(|failed| MlflowError::internal(failed.to_string()))??;
    let target = tracking.writable(&path)?;
    let body = request.into_body();
    if body.size_hint().exact() == Some(0) {
        return Err(missing("data"));
    }
    store(body, target, Limits { timeout: state.body.timeout, most: MOST_AT_ONCE }).await?;
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
async fn store(body: Body, target: PathBuf, limits: Limits) -> Result<(), MlflowError> {
    let folder = target.parent().map(Path::to_owned).unwrap_or_default();
    tokio::fs::create_dir_all(&folder).await.map_err(of_disk)?;
    let staged = folder.join(format!("{}{:016x}", paths::STAGED, fastrand::u64(..)));
    let written = receive(body, &staged, limits).await;
    let placed = match written {
        Ok(()) => place(staged.clone(), target, folder).await,
        Err(error) => Err(error),
    };
    if placed.is_err() {
        // The error is what matters; what is left behind is never listed.
        tokio::fs::remove_file(&staged).await.ok();
    }
    placed
}

/// Takes a body piece by piece.
async fn receive(body: Body, staged: &Path, Limits { timeout, most }: Limits) -> Result<(), MlflowError> {
    let mut file = File::create_new(staged).await.map_err(of_disk)?;
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
                file.write_all(&piece).await.map_err(of_disk)?;
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
    file.flush().await.map_err(of_disk)?;
    file.sync_all().await.map_err(of_disk)
}

/// Under its name at once, and for good.
async fn place(staged: PathBuf, target: PathBuf, folder: PathBuf) -> Result<(), MlflowError> {
    let placed = tokio::task::spawn_blocking(move || {
        std::fs::rename(&staged, &target)?;
        std::fs::File::open(&folder)?.sync_all()
    });
    placed.await.map_err(|failed| MlflowError::internal(failed.to_string()))?.map_err(of_disk)
}

async fn delete(
    State(state): State<AppState>,
    UrlPath(path): UrlPath<String>,
) -> Result<axum::Json<Json>, MlflowError> {
    let target = state.tracking()?.writable(&path)?;
    let removed = match tokio::fs::symlink_metadata(&target).await {
        Ok(found) if found.is_dir() => tokio::fs::remove_dir_all(&target).await,
        Ok(_) => tokio::fs::remove_file(&target).await,
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(axum::Json(json!({}))),
        Err(error) if absent(&error) => {
            Err(MlflowError::new(Code::ResourceDoesNotExist, format!("No such artifact: '{path}'")))
        }
        Err(error) => Err(of_disk(error)),
    }
}

pub fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub fn of_disk(error: io::Error) -> MlflowError {
    use io::ErrorKind::*;
    match error.kind() {
        NotADirectory | IsADirectory | AlreadyExists | DirectoryNotEmpty | InvalidFilename => {
            MlflowError::invalid("Invalid path: it names a folder where a file is, or the other way round")
        }
        _ => MlflowError::internal(format!("artifacts: {error}")),
    }
}
