use std::future::Future;
use std::mem;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::bucket::Bucket;
use super::{FilesError, Incoming};

/// The least that S3 takes for a part which is not the last.
const SMALLEST: u64 = 5 << 20;
/// For a file that nobody said the length of.
const UNKNOWN: u64 = 10 << 20;
/// A little fewer than S3 allows.
const MOST_PARTS: u64 = 9_000;
/// On their way while the next one fills.
const UNDER_WAY: usize = 2;
/// For a part to arrive.
const PART: Duration = Duration::from_secs(120);
/// For the store to make an object of the parts, which takes it minutes where there are many.
const COMPLETION: Duration = Duration::from_secs(900);

/// A file on its way into a bucket: at once if it is small, else in parts that become an object at the end.
pub struct Upload {
    bucket: Bucket,
    key: Key,
    part: usize,
    held: BytesMut,
    parts: Option<Parts>,
}

struct Parts {
    upload: Box<dyn MultipartUpload>,
    under_way: JoinSet<object_store::Result<()>>,
}

impl Upload {
    pub fn new(bucket: Bucket, key: Key, bytes: Option<u64>) -> Upload {
        let part = bytes.map_or(UNKNOWN, |bytes| SMALLEST.max(bytes.div_ceil(MOST_PARTS)));
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        Upload { bucket, key, part, held: BytesMut::new(), parts: None }
    }

    async fn take(&mut self, mut piece: &[u8]) -> object_store::Result<()> {
        while !piece.is_empty() {
            let (now, rest) = piece.split_at(piece.len().min(self.part - self.held.len()));
            if self.parts.is_some() && self.held.is_empty() {
                self.held.reserve(self.part);
            }
            self.held.extend_from_slice(now);
            piece = rest;
            if self.held.len() == self.part {
                let full = mem::take(&mut self.held).freeze();
                self.send(full).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> object_store::Result<()> {
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                // Each step has its own time below.
                let (store, key) = (self.bucket.streaming.clone(), self.key.clone());
                let begun = within(PART, async move { store.put_multipart(&key).await });
                let upload = self.bucket.on_threads(begun).await?;
                Parts { upload, under_way: JoinSet::new() }
            }
        };
        let sending = within(PART, parts.upload.put_part(part.into()));
        parts.under_way.spawn_on(sending, &self.bucket.threads);
        let parts = self.parts.insert(parts);
        parts.wait(UNDER_WAY).await
    }

    async fn complete(mut self) -> object_store::Result<()> {
        let rest = mem::take(&mut self.held).freeze();
        if self.parts.is_none() {
            let (store, key) = (self.bucket.store.clone(), self.key.clone());
            return self
                .bucket
                .on_threads(async move { store.put(&key, PutPayload::from(rest)).await.map(drop) })
                .await;
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        parts.wait(0).await?;
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        let completed = self.bucket.on_threads(async move {
            let completed = within(COMPLETION, parts.upload.complete()).await;
            Ok((completed, parts))
        });
        let (completed, parts) = completed.await?;
        if completed.is_err() {
            self.parts = Some(parts);
        }
        completed.map(drop)
    }
}

impl Parts {
    async fn wait(&mut self, most: usize) -> object_store::Result<()> {
        while self.under_way.len() > most {
            let stopped = |failed| object_store::Error::Generic { store: "S3", source: Box::new(failed) };
            self.under_way.join_next().await.expect("some are under way").map_err(stopped)??;
        }
        Ok(())
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
    match tokio::time::timeout(time, work).await {
        Ok(done) => done,
        Err(late) => Err(object_store::Error::Generic { store: "S3", source: Box::new(late) }),
    }
}

impl Incoming for Upload {
    fn write<'a>(&'a mut self, piece: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>> {
        Box::pin(async move { self.take(piece).await.map_err(|error| self.bucket.failed(&error)) })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), FilesError>> {
        let bucket = self.bucket.clone();
        Box::pin(async move { (*self).complete().await.map_err(|error| bucket.failed(&error)) })
    }
}

impl Drop for Upload {
    /// Parts that nobody completes would be kept, and paid for.
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            self.bucket.threads.spawn(async move {
                parts.under_way.shutdown().await;
                if let Err(error) = parts.upload.abort().await {
                    tracing::warn!("parts of a file that did not come whole are left in the bucket: {error}");
                }
            });
        }
    }
}
