//! Objects of S3, Google Cloud Storage and Azure. Credentials, regions and endpoints come from the environment, in the
//! variables that each vendor's own tools read (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`…).

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use karat_core::nearest;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tempfile::NamedTempFile;

use super::background::{Piped, wait};
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
    let store = open_store(scheme, bucket).map_err(|error| wrong(brief(&error)))?;
    let root = format!("{scheme}://{bucket}");
    let metas = if pattern.contains(['*', '?', '[']) {
        let glob = glob::Pattern::new(pattern).map_err(|error| wrong(error.to_string()))?;
        let folder =
            pattern[..pattern.find(['*', '?', '[']).unwrap_or_default()].rsplit_once('/').map(|(folder, _)| folder);
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        let mut metas = list(&store, folder).map_err(|error| failed(url, &error))?;
        metas.retain(|meta| glob.matches_with(meta.location.as_ref(), options));
        if metas.is_empty() {
            return Err(wrong("no object matches".to_owned()));
        }
        metas
    } else {
        vec![one(&store, url, pattern)?]
    };
    let mut objects: Vec<Object> = metas
        .into_iter()
        .map(|meta| Object { url: format!("{root}/{}", meta.location), store: store.clone(), meta })
        .collect();
    objects.sort_by(|a, b| a.url.cmp(&b.url));
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

fn open_store(scheme: &str, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
    // An endpoint without TLS is one that somebody wrote out: a test's, or one beside this machine.
    let plain = |names: &[&str]| {
        names.iter().any(|name| std::env::var(name).is_ok_and(|endpoint| endpoint.starts_with("http://")))
    };
    Ok(match scheme {
        "gs" => Arc::new(GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry).build()?),
        "az" => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(retry);
            if plain(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]) {
                builder = builder.with_allow_http(true);
            }
            Arc::new(builder.build()?)
        }
        _ => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
            if plain(&["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"]) {
                builder = builder.with_allow_http(true);
            }
            Arc::new(builder.build()?)
        }
    })
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

/// In one line, and not endless.
fn brief(error: &object_store::Error) -> String {
    let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
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
