//! Artifacts behind the server: files under one folder, streamed both ways, whatever their size.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use serde_json::{Map, Value as Json, json};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::{Code, MlflowError};
use super::fields::Fields;
use super::{Answer, Tracking, not_implemented, paths, raw, wire};
use crate::AppState;

/// What of a file is in memory at once.
const PIECE: usize = 64 << 10;

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

async fn download(State(state): State<AppState>, UrlPath(path): UrlPath<String>) -> Result<Response, MlflowError> {
    let file = state.tracking()?.readable(&path)?;
    let opened = File::open(&file).await.map_err(|error| match absent(&error) {
        true => MlflowError::new(Code::ResourceDoesNotExist, format!("No such artifact: '{path}'")),
        false => of_disk(error),
    })?;
    let found = opened.metadata().await.map_err(of_disk)?;
    if found.is_dir() {
        let message = format!("Artifact path refers to a directory, not a file: '{path}'");
        return Err(MlflowError::invalid(message));
    }
    let pieces = futures::stream::unfold(opened, |mut file| async move {
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Bytes::from(piece)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut response = raw(StatusCode::OK, HeaderValue::from_static(kind(name)), Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(found.len()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(name));
    Ok(response)
}

async fn upload(
    State(state): State<AppState>,
    UrlPath(path): UrlPath<String>,
    request: Request,
) -> Result<Response, MlflowError> {
    let target = state.tracking()?.writable(&path)?;
    let folder = target.parent().map(Path::to_owned).unwrap_or_default();
    tokio::fs::create_dir_all(&folder).await.map_err(of_disk)?;
    let staged = folder.join(format!("{}{:016x}", paths::STAGED, fastrand::u64(..)));
    let written = receive(request.into_body(), &staged, state.body.timeout).await;
    let placed = match written {
        Ok(()) => place(staged.clone(), target, folder).await,
        Err(error) => Err(error),
    };
    if placed.is_err() {
        // The error is what matters; what is left behind is never listed.
        tokio::fs::remove_file(&staged).await.ok();
    }
    placed.map(|()| axum::Json(json!({})).into_response())
}

/// Takes a body piece by piece; each has to come within the timeout.
async fn receive(body: Body, staged: &Path, timeout: Duration) -> Result<(), MlflowError> {
    let mut file = File::create_new(staged).await.map_err(of_disk)?;
    let mut pieces = body.into_data_stream();
    loop {
        match tokio::time::timeout(timeout, pieces.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => file.write_all(&piece).await.map_err(of_disk)?,
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

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn of_disk(error: io::Error) -> MlflowError {
    use io::ErrorKind::*;
    match error.kind() {
        NotADirectory | IsADirectory | AlreadyExists | DirectoryNotEmpty | InvalidFilename => {
            MlflowError::invalid("Invalid path: it names a folder where a file is, or the other way round")
        }
        _ => MlflowError::internal(format!("artifacts: {error}")),
    }
}

/// As browsers and clients expect it of a name; never anything that a browser would run.
fn kind(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "json" => "application/json",
        "txt" | "log" | "md" | "py" | "yaml" | "yml" | "html" | "htm" | "svg" | "js" | "csv" | "tsv" => "text/plain",
        "" if name == "MLmodel" => "text/plain",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

fn disposition(name: &str) -> HeaderValue {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let text = match plain == name {
        true => format!("attachment; filename=\"{plain}\""),
        false => format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}
