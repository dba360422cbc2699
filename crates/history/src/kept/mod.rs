//! Histories of sources: numbered commits, each of Parquet parts by partition, real once their metadata row is.
//!
//! `SOURCE/commit-000001/part-000.parquet` under the root. A part gets its name when it is complete; when all have and are
//! on disk, the metadata row with the manifest is inserted. A writer killed before leaves a folder that no row names,
//! which the source's next writer removes. One writer per source at a time, by a lock file in its folder.
//!
//! What is pushed lies in a log beside ([`pushed`]) until it is sealed into a commit; readers see both. Of many commits the
//! rows are written once more into fewer parts ([`compact`]), which readers open instead.

mod columns;
mod commit;
mod compact;
mod manifest;
mod merge;
mod owner;
mod part;
mod pushed;
mod read;
mod sizes;
mod snapshot;

use std::collections::HashSet;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use karat_core::{Digest, Instant, Name, Schema};
use karat_metadata::commits::{self, HistoryCommit};
use karat_metadata::{Metadata, identity};
use object_store::path::Path;
use serde_json::Value as Json;

pub use commit::{CommitNote, CommitWriter};
pub use compact::{CompactionPlan, Compactor, Left, LeftAlone, Merge, Removed, Sizes};
pub use part::{Part, Run};
pub use pushed::{PushHead, PushWriter, PushedRows, Sealing};
pub use snapshot::Snapshot;

use crate::HistoryError;
use crate::log::Durability;
use crate::root::{Root, blocking};
use manifest::Manifest;
use owner::Owner;
use pushed::Tail;

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
    /// The first of the numbers in it, where it holds what was pushed.
    pub pushed_from: Option<u64>,
}

/// How often a source that changes while it is looked at is looked at again.
const TRIES: usize = 100;

impl History {
    /// The histories in a directory (a path or `file://PATH`), which is made if missing; commits are in `metadata`.
    pub fn open(root: impl AsRef<FilePath>, metadata: Metadata) -> Result<History, HistoryError> {
        let root = Root::open(root.as_ref())?;
        Ok(History(Arc::new(Inner { root, metadata, verified: Mutex::default() })))
    }

    /// Makes these the histories of this metadata database, or fails with [`HistoryError::Foreign`] where they are another's:
    /// to this one their commits are leftovers, and what was pushed to them is its own to seal.
    pub fn claim(&self) -> BoxFuture<'_, Result<(), HistoryError>> {
        Box::pin(async move {
            let id = identity::of(&self.0.metadata).await?;
            let dir = self.0.root.dir().to_owned();
            let (of, known) = (dir.clone(), id.clone());
            let Owner::Nobody { committed } = blocking(move || owner::look(&of, &known)).await? else { return Ok(()) };
            let mut is_known = committed.is_empty();
            for source in committed.iter().filter_map(|source| Name::new(source).ok()) {
                let mut connection = self.0.metadata.read().await?;
                is_known |= commits::latest(&mut connection, &source).await?.is_some();
            }
            match is_known {
                true => blocking(move || owner::claim(&dir, &id)).await,
                false => Err(owner::foreign(&dir)),
            }
        })
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

    /// The writer of what is pushed to a source. Whatever an earlier one left is sealed first. Fails with
    /// [`HistoryError::Locked`] while another writer has the source.
    pub fn pusher<'a>(
        &'a self,
        source: &'a Name,
        head: PushHead,
        durability: Durability,
    ) -> BoxFuture<'a, Result<PushWriter, HistoryError>> {
        Box::pin(PushWriter::open(self, source, head, durability))
    }

    /// A source as of its newest commit, or of the newest not after `up_to`, what was pushed included; `None` when it has
    /// no such commit. Where a commit holds all rows anew, those before it are no part of it. A source that takes pushes
    /// and has none yet is as of number 0, without rows.
    pub fn snapshot<'a>(
        &'a self,
        source: &'a Name,
        up_to: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<Snapshot>, HistoryError>> {
        Box::pin(async move {
            // These first: what they are of is then among the commits.
            let compacted = self.compacted(source).await?;
            let (commits, tail) = self.settled(source).await?;
            Snapshot::new(self.clone(), source, commits, compacted, tail, up_to)
        })
    }

    /// As [`History::snapshot`], of what is in commits.
    async fn sealed(&self, source: &Name, up_to: Option<u64>) -> Result<Option<Snapshot>, HistoryError> {
        let compacted = self.compacted(source).await?;
        let commits = self.rows(source).await?;
        Snapshot::new(self.clone(), source, commits, compacted, Tail::default(), up_to)
    }

    /// The commits, and what was pushed since, of one moment: what is pushed becomes a commit at any time.
    async fn settled(&self, source: &Name) -> Result<(Vec<HistoryCommit>, Tail), HistoryError> {
        let folder = self.0.root.file(&Path::from(source.as_str()));
        let mut tries = 0;
        loop {
            let commits = self.rows(source).await?;
            let last = commits.last().map_or(0, |commit| commit.number);
            let read = {
                let folder = folder.clone();
                blocking(move || Tail::read(&folder, last)).await
            };
            if let Ok(tail) = &read
                && !tail.groups.is_empty()
                && tail.follows(last)
            {
                return Ok((commits, read?));
            }
            // A log goes away only once its commit is real.
            let again = {
                let mut connection = self.0.metadata.read().await?;
                commits::latest(&mut connection, source).await?.map_or(0, |commit| commit.number)
            };
            tries += 1;
            match read {
                _ if again != last && tries < TRIES => {}
                Ok(tail) if tail.follows(last) => return Ok((commits, tail)),
                Ok(_) => {
                    let problem = format!("what was pushed after commit {last} is missing");
                    return Err(HistoryError::corrupt(folder.display(), problem));
                }
                Err(error) => return Err(error),
            }
        }
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
            pushed_from: manifest.first,
        })
    }
}

fn manifest_of(commit: &HistoryCommit) -> Result<Manifest, HistoryError> {
    let place = format!("commit {} of `{}`", commit.number, commit.source);
    Manifest::from_json(&place, &commit.manifest)
}
