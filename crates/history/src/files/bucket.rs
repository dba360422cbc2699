//! Files as objects of a bucket, under a prefix. A folder is what keys have in common.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::parts::{STAGED, named, parts};
use super::upload::Upload;
use super::{Announced, Content, Entry, FileStore, FilesError, Found, Incoming, Opened, Pieces};
use crate::remote::{Answers, brief, bucket};

/// Pieces between the store and whoever reads.
const IN_FLIGHT: usize = 4;
/// Within which more of a file has to come.
const STALLED: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Bucket {
    /// Keys in them begin below the prefix.
    pub(super) store: Arc<dyn ObjectStore>,
    /// Whoever calls it sees to it that it does not take for ever.
    pub(super) streaming: Arc<dyn ObjectStore>,
    /// `s3://bucket/prefix`
    pub(super) place: Arc<str>,
    pub(super) threads: Handle,
}

impl Bucket {
    pub fn new(uri: &str) -> Result<Bucket, FilesError> {
        let wrong = |problem| FilesError::Location { uri: uri.to_owned(), problem };
        let rest = uri.strip_prefix("s3://").ok_or_else(|| wrong("write s3://BUCKET/PREFIX"))?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() || name.contains(['?', '#', '@', '\\']) {
            return Err(wrong("it names no bucket; write s3://BUCKET/PREFIX"));
        }
        let prefix = prefix.trim_end_matches('/');
        parts(prefix).map_err(|_| wrong("its prefix is not names with `/` between them"))?;
        let prefix = Key::parse(prefix).map_err(|_| wrong("its prefix is no beginning of a key"))?;
        let place: Arc<str> = uri.trim_end_matches('/').into();
        let open = |answers| match bucket("s3", name, answers) {
            Ok(store) => Ok(Arc::new(PrefixStore::new(store, prefix.clone())) as Arc<dyn ObjectStore>),
            Err(error) => Err(FilesError::Refused { place: place.to_string(), said: brief(&error) }),
        };
        let (store, streaming) = (open(Answers::Soon)?, open(Answers::AsRead)?);
        Ok(Bucket { store, streaming, place, threads: Handle::current() })
    }

    /// Runs on the threads it was opened on.
    pub(super) async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> object_store::Result<T> {
        let stopped = |failed| object_store::Error::Generic { store: "S3", source: Box::new(failed) };
        self.threads.spawn(work).await.map_err(stopped)?
    }

    pub(super) fn failed(&self, error: &object_store::Error) -> FilesError {
        FilesError::bucket(&self.place, error)
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectMeta>, FilesError> {
        let (store, asked) = (self.store.clone(), key.clone());
        match self.on_threads(async move { store.head(&asked).await }).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn is_folder(&self, key: &Key) -> Result<bool, FilesError> {
        let (store, key) = (self.store.clone(), key.clone());
        let first = self.on_threads(async move { store.list(Some(&key)).try_next().await }).await;
        Ok(first.map_err(|error| self.failed(&error))?.is_some())
    }

    async fn below(&self, key: &Key) -> Result<Vec<ObjectMeta>, FilesError> {
        let (store, key) = (self.store.clone(), key.clone());
        let all = self.on_threads(async move { store.list(Some(&key)).try_collect().await }).await;
        all.map_err(|error| self.failed(&error))
    }

    async fn listed(&self, folder: &Key) -> Result<Vec<Entry>, FilesError> {
        let (store, asked) = (self.store.clone(), folder.clone());
        let listed = self.on_threads(async move { store.list_with_delimiter(Some(&asked)).await }).await;
        let listed = listed.map_err(|error| self.failed(&error))?;
        let name = |key: &Key| key.filename().map(str::to_owned);
        let folders = listed.common_prefixes.iter().filter_map(|key| Some((name(key)?, Found::Folder)));
        // What a console leaves to show a folder has the folder's own key.
        let objects = listed.objects.iter().filter(|object| object.location != *folder);
        let files = objects.filter_map(|object| Some((name(&object.location)?, found(object))));
        let entries = folders.chain(files).filter(|(name, _)| !name.starts_with(STAGED));
        let mut entries: Vec<Entry> = entries.map(|(name, found)| Entry { name, found }).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    async fn opened(&self, path: &str, key: Key) -> Result<Opened, FilesError> {
        match self.head(&key).await? {
            Some(meta) => {
                let (bytes, tag) = (meta.size, meta.e_tag);
                let mark = tag.clone().filter(|tag| tag.starts_with('"')).unwrap_or_default();
                let file = BucketFile { bucket: self.clone(), key, path: path.to_owned(), bytes, tag };
                Ok(Opened { bytes, mark, content: Content::InBucket(file) })
            }
            None if self.is_folder(&key).await? => Err(FilesError::IsFolder { path: path.to_owned() }),
            None => Err(FilesError::Missing { path: path.to_owned() }),
        }
    }

    async fn removed(&self, key: Key) -> Result<bool, FilesError> {
        let mut keys: Vec<Key> = self.below(&key).await?.into_iter().map(|object| object.location).collect();
        if self.head(&key).await?.is_some() {
            keys.push(key);
        }
        let (store, any) = (self.store.clone(), !keys.is_empty());
        let keys = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
        let removed =
            self.on_threads(async move { store.delete_stream(keys).try_for_each(|_| async { Ok(()) }).await });
        removed.await.map_err(|error| self.failed(&error))?;
        Ok(any)
    }
}

impl FileStore for Bucket {
    fn describe(&self, path: &str) -> String {
        format!("{}/{path}", self.place).trim_end_matches('/').to_owned()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), FilesError>> {
        Box::pin(async move { self.is_folder(&Key::default()).await.map(drop) })
    }

    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, FilesError>> {
        Box::pin(async move { self.listed(&key(folder, &parts(folder)?)?).await })
    }

    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Found>, FilesError>> {
        Box::pin(async move {
            let key = key(path, &named(path)?)?;
            match self.head(&key).await? {
                Some(meta) => Ok(Some(found(&meta))),
                None => Ok(self.is_folder(&key).await?.then_some(Found::Folder)),
            }
        })
    }

    fn open<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Opened, FilesError>> {
        Box::pin(async move { self.opened(path, key(path, &named(path)?)?).await })
    }

    fn create<'a>(
        &'a self,
        path: &'a str,
        announced: Announced,
    ) -> BoxFuture<'a, Result<Box<dyn Incoming>, FilesError>> {
        Box::pin(async move {
            let upload = Upload::new(self.clone(), key(path, &named(path)?)?, announced.bytes);
            Ok(Box::new(upload) as Box<dyn Incoming>)
        })
    }

    fn delete<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>> {
        Box::pin(async move { self.removed(key(path, &named(path)?)?).await })
    }

    fn extent<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<(usize, u64), FilesError>> {
        Box::pin(async move {
            let key = key(path, &named(path)?)?;
            let objects = self.below(&key).await?.into_iter().chain(self.head(&key).await?);
            Ok(objects.fold((0, 0), |(files, bytes), object| (files + 1, bytes + object.size)))
        })
    }
}

/// An object as it was when it was found.
pub struct BucketFile {
    bucket: Bucket,
    key: Key,
    path: String,
    bytes: u64,
    tag: Option<String>,
}

impl BucketFile {
    /// The first bytes are asked for at once, the others as they are read; another state of the object is an error.
    pub async fn read(self, range: Range<u64>) -> Result<Pieces, FilesError> {
        let BucketFile { bucket, key, path, bytes, tag } = self;
        let range = (range != (0..bytes)).then_some(GetRange::Bounded(range));
        let options = GetOptions { if_match: tag, range, ..GetOptions::default() };
        let store = bucket.streaming.clone();
        let got = bucket.on_threads(async move { store.get_opts(&key, options).await }).await;
        let mut content = got
            .map_err(|error| match error {
                // Since it was found, somebody removed it.
                object_store::Error::NotFound { .. } => FilesError::Missing { path },
                error => bucket.failed(&error),
            })?
            .into_stream();
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        bucket.threads.spawn(async move {
            loop {
                let piece: io::Result<Bytes> = match tokio::time::timeout(STALLED, content.next()).await {
                    Ok(Some(piece)) => piece.map_err(|error| io::Error::other(brief(&error))),
                    Ok(None) => return,
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                };
                let ends = piece.is_err();
                if sender.send(piece).await.is_err() || ends {
                    return;
                }
            }
        });
        Ok(futures::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
            .boxed())
    }
}

fn found(meta: &ObjectMeta) -> Found {
    Found::File { bytes: meta.size, modified: Some(meta.last_modified.into()) }
}

/// What a bucket takes for a key, less what may stand before it.
const LONGEST: usize = 900;

/// As it is written: from anything but whole names, `Key` would make another one.
fn key(path: &str, parts: &[&str]) -> Result<Key, FilesError> {
    let wrong = |problem| FilesError::Path { path: path.to_owned(), problem };
    if path.len() > LONGEST {
        return Err(wrong("it is longer than 900 bytes"));
    }
    match Key::parse(parts.join("/")) {
        Ok(key) if key.as_ref() == path => Ok(key),
        _ => Err(wrong("a bucket cannot hold it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_a_bucket_and_names() {
        for good in ["s3://lake", "s3://lake/", "s3://lake/a/b c/", "s3://lake.of.ours/a"] {
            assert!(Bucket::new(good).is_ok(), "{good}");
        }
        for bad in
            ["s3://", "s3:///a", "gs://lake", "s3://lake/../a", "s3://lake/a//b", "s3://key@lake/a", "s3://lake?x"]
        {
            assert!(matches!(Bucket::new(bad), Err(FilesError::Location { .. })), "{bad}");
        }
    }

    #[test]
    fn no_key_is_written_in_another_way() {
        for path in ["a b/ü (1).txt", "50%/x{y}^", "~a/[b]", "a:b?c=d&e+f"] {
            assert_eq!(key(path, &parts(path).unwrap()).unwrap().as_ref(), path);
        }
        let deep = "abcdefghi/".repeat(95) + "j";
        assert!(key(&deep, &parts(&deep).unwrap()).is_err());
    }
}
