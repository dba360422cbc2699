//! Objects of S3, Google Cloud Storage and Azure.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use karat_core::nearest;
use karat_history::remote::{Answers, brief, bucket as open_bucket};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::NamedTempFile;

use super::background::{Piped, wait};
use super::files::by_name;
use crate::{QueryError, Result};

/// An object, as it was when it was found.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// `s3://bucket/key`
    pub url: String,
}

pub(crate) fn is_remote(path: &str) -> bool {
    ["s3://", "gs://", "az://"].iter().any(|scheme| path.starts_with(scheme))
}

/// The objects of a URL, or of one with a glob for a key; sorted.
pub(crate) fn objects(url: &str) -> Result<Vec<Object>> {
    let wrong = |problem: String| QueryError::File { path: url.to_owned(), problem };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (bucket, pattern) =
        rest.split_once('/').ok_or_else(|| wrong(format!("names no file in its bucket; write `{url}/*.csv`")))?;
    let store = open_bucket(scheme, bucket, Answers::Soon).map_err(|error| wrong(brief(&error)))?;
    let root = format!("{scheme}://{bucket}");
    let metas = if pattern.contains(['*', '?', '[']) {
        let glob = glob::Pattern::new(pattern).map_err(|error| wrong(error.to_string()))?;
        let folder =
            pattern[..pattern.find(['*', '?', '[']).unwrap_or_default()].rsplit_once('/').map(|(folder, _)| folder);
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        let mut metas = list(&store, folder).map_err(|error| failed(url, &error))?;
        metas.retain(|meta| glob.matches_with(meta.location.as_ref(), options));
        if metas.is_empty() {
            return Err(QueryError::NoFile { path: url.to_owned(), problem: "no object matches".to_owned() });
        }
        metas
    } else {
        vec![one(&store, url, pattern)?]
    };
    let mut objects: Vec<Object> = metas
        .into_iter()
        .map(|meta| Object { url: format!("{root}/{}", meta.location), store: store.clone(), meta })
        .collect();
    objects.sort_by(|a, b| by_name(&a.url, &b.url));
    Ok(objects)
}

fn one(store: &Arc<dyn ObjectStore>, url: &str, key: &str) -> Result<ObjectMeta> {
    // As it is written: `Key::from` would write characters that are rare in keys in another way.
    let location =
        Key::parse(key).map_err(|error| QueryError::File { path: url.to_owned(), problem: error.to_string() })?;
    let there = store.clone();
    match asked(wait(async move { there.head(&location).await })) {
        Err(object_store::Error::NotFound { .. }) => {
            let folder = key.rsplit_once('/').map(|(folder, _)| folder);
            let neighbours = list(store, folder).unwrap_or_default();
            let nearest = nearest(key, neighbours.iter().map(|meta| meta.location.as_ref()));
            let hint = nearest.map(|like| format!("; did you mean `{like}`?")).unwrap_or_default();
            Err(QueryError::File { path: url.to_owned(), problem: format!("there is no such object{hint}") })
        }
        found => found.map_err(|error| failed(url, &error)),
    }
}

fn list(store: &Arc<dyn ObjectStore>, folder: Option<&str>) -> object_store::Result<Vec<ObjectMeta>> {
    let (store, folder) = (store.clone(), folder.map(Key::parse).transpose()?);
    asked(wait(async move { store.list(folder.as_ref()).try_collect().await }))
}

fn asked<T>(answer: io::Result<object_store::Result<T>>) -> object_store::Result<T> {
    answer.unwrap_or_else(|error| Err(object_store::Error::Generic { store: "remote", source: Box::new(error) }))
}

fn failed(url: &str, error: &object_store::Error) -> QueryError {
    QueryError::Io { path: url.to_owned(), error: explained(error) }
}

/// The store's message, with what to do where the cause is plain.
fn explained(error: &object_store::Error) -> io::Error {
    let text = brief(error);
    match error {
        object_store::Error::Precondition { .. } => {
            io::Error::new(io::ErrorKind::InvalidData, "changed while it was read; run it again once it is written")
        }
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, "there is no such object"),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::Error::other(format!("{text}; are the store's credentials in the environment right?"))
        }
        _ => io::Error::other(text),
    }
}

impl Object {
    pub(crate) fn bytes(&self) -> u64 {
        self.meta.size
    }

    /// What tells this state of it from any other, as far as the store says.
    pub(crate) fn state(&self) -> String {
        match &self.meta.e_tag {
            Some(tag) => tag.clone(),
            None => self.meta.last_modified.to_rfc3339(),
        }
    }

    /// Its bytes as they were when it was found; another state of it is an error.
    pub(super) fn read(&self) -> io::Result<Piped> {
        let (store, meta) = (self.store.clone(), self.meta.clone());
        Piped::start(move |pipe| async move {
            let options = GetOptions { if_match: meta.e_tag.clone(), ..GetOptions::default() };
            let mut pieces = match store.get_opts(&meta.location, options).await {
                Ok(object) => object.into_stream(),
                Err(error) => {
                    let _ = pipe.send(Err(explained(&error))).await;
                    return;
                }
            };
            loop {
                let piece = match pieces.try_next().await {
                    Ok(Some(piece)) => Ok(piece),
                    Ok(None) => return,
                    Err(error) => Err(explained(&error)),
                };
                if pipe.send(piece).await.is_err() {
                    return;
                }
            }
        })
    }

    /// Its last bytes, as they were when it was found.
    pub(super) fn tail(&self, bytes: u64) -> io::Result<Bytes> {
        let (store, meta) = (self.store.clone(), self.meta.clone());
        let range = GetRange::Bounded(meta.size.saturating_sub(bytes)..meta.size);
        let options = GetOptions { if_match: meta.e_tag.clone(), range: Some(range), ..GetOptions::default() };
        let answer = wait(async move { store.get_opts(&meta.location, options).await?.bytes().await })?;
        answer.map_err(|error| explained(&error))
    }

    /// A copy on disk, for formats that are not read from front to back.
    pub(super) fn download(&self) -> io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        let mut pieces = self.read()?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = pieces.read(&mut buffer)?;
            if read == 0 {
                file.flush()?;
                return Ok(file);
            }
            file.write_all(&buffer[..read])?;
        }
    }
}
