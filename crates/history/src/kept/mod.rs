//! Histories of sources: numbered commits, each of Parquet parts by partition, real once their metadata row is.
//!
//! `SOURCE/commit-000001/part-000.parquet` under the root. A part gets its name when it is complete; when all have and are
//! on disk, the metadata row with the manifest is inserted. A writer killed before leaves a folder that no row names,
//! which the source's next writer removes. One writer per source at a time, by a lock file in its folder.

mod columns;
mod commit;
mod manifest;
mod snapshot;

use std::collections::HashSet;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use karat_core::{Digest, Instant, Name, Schema};
use karat_metadata::Metadata;
use karat_metadata::commits::{self, HistoryCommit};
use serde_json::Value as Json;

pub use commit::{CommitNote, CommitWriter};
pub use snapshot::{Part, Snapshot};

use crate::HistoryError;
use crate::root::Root;
use manifest::Manifest;

/// Clones share everything.
#[derive(Debug, Clone)]
pub struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: Root,
    metadata: Metadata,
    /// Paths of the parts whose bytes this process found to be what was written.
    verified: Mutex<HashSet<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CommitInfo {
    /// 1 is a source's first.
    pub number: u64,
    pub at: Instant,
    pub delivery: Digest,
    pub rows: u64,
    pub partitions: u32,
    pub counts: Json,
    /// As its writer noted it; `None` of older Karats' commits.
    pub definition: Option<Json>,
    /// Whether it holds all rows anew; a source's first does.
    pub anew: bool,
    /// The file of the rows that the delivery's contract kept apart.
    pub quarantine: Option<String>,
}

impl History {
    /// The histories in a directory (a path or `file://PATH`), which is made if missing; commits are in `metadata`.
    pub fn open(root: impl AsRef<FilePath>, metadata: Metadata) -> Result<History, HistoryError> {
        let root = Root::open(root.as_ref())?;
        Ok(History(Arc::new(Inner { root, metadata, verified: Mutex::default() })))
    }

    /// The writer of a source's next commit, whose batches have the columns of `schema` and then the hidden ones. Fails
    /// with [`HistoryError::Locked`] while another writer has the source. Dropping the writer writes nothing.
    pub fn writer<'a>(
        &'a self,
        source: &'a Name,
        schema: &'a Schema,
    ) -> BoxFuture<'a, Result<CommitWriter, HistoryError>> {
        Box::pin(CommitWriter::open(self, source, schema))
    }

    /// A source as of its newest commit, or of the newest not after `up_to`; `None` when it has no such commit. Where a
    /// commit holds all rows anew, those before it are no part of it.
    pub fn snapshot<'a>(
        &'a self,
        source: &'a Name,
        up_to: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, HistoryError>> {
        Box::pin(async move {
            let mut commits = self.rows(source).await?;
            commits.retain(|commit| commit.number <= up_to.unwrap_or(u64::MAX));
            Snapshot::new(self.clone(), commits)
        })
    }

    /// All commits of a source, the first first.
    pub fn commits<'a>(&'a self, source: &'a Name) -> BoxFuture<'a, Result<Vec<CommitInfo>, HistoryError>> {
        Box::pin(async move { self.rows(source).await?.into_iter().map(CommitInfo::of).collect() })
    }

    async fn rows(&self, source: &Name) -> Result<Vec<HistoryCommit>, HistoryError> {
        let mut connection = self.0.metadata.read().await?;
        Ok(commits::list(&mut connection, source).await?)
    }
}

impl CommitInfo {
    fn of(commit: HistoryCommit) -> Result<CommitInfo, HistoryError> {
        let manifest = manifest_of(&commit)?;
        Ok(CommitInfo {
            number: commit.number,
            at: commit.at,
            delivery: commit.delivery,
            rows: commit.rows,
            partitions: commit.partitions,
            counts: commit.counts,
            definition: manifest.definition,
            anew: manifest.anew || commit.number == 1,
            quarantine: manifest.quarantine,
        })
    }
}

fn manifest_of(commit: &HistoryCommit) -> Result<Manifest, HistoryError> {
    let place = format!("commit {} of `{}`", commit.number, commit.source);
    Manifest::from_json(&place, &commit.manifest)
}
