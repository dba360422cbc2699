//! Histories of many commits in fewer, larger parts.
//!
//! A compaction writes the rows of consecutive commits once more, a part for each partition, into
//! `SOURCE/compacted-000001-000365/`, and then a row that says so: from then on readers open these. The commits stay what
//! they were, and so does every answer, down to the order of rows. It needs no writer's lock: commits never change, and
//! what is not committed is left alone. One compactor per source at a time.
//!
//! What was replaced stays for those who read it already; [`Compactor::remove_replaced`] takes it away later.

mod clean;
mod manifest;
mod plan;
mod write;

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use karat_core::{Name, Schema};
use karat_metadata::compactions;
use object_store::path::Path;

pub(super) use manifest::Compacted;
use plan::{Group, Unit, plan};
pub use plan::{Left, Sizes};

use super::manifest::Manifest;
use super::{History, manifest_of};
use crate::HistoryError;
use crate::durable::{Held, Lock};

const PREFIX: &str = "compacted-";

/// What compacting a source would do.
#[derive(Debug, Clone, PartialEq)]
pub struct CompactionPlan {
    /// What readers of all commits open now.
    pub parts: usize,
    pub bytes: u64,
    pub commits: usize,
    /// The first first.
    pub merges: Vec<Merge>,
    pub left: Vec<LeftAlone>,
    columns: BTreeMap<u64, Schema>,
}

/// Commits whose parts become fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The first and the last number that the rows may have.
    pub first: u64,
    pub last: u64,
    pub commits: usize,
    pub rows: u64,
    pub bytes: u64,
    pub parts_before: usize,
    pub parts_after: usize,
}

/// Commits that stay in the parts they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftAlone {
    pub first: u64,
    pub last: u64,
    pub parts: usize,
    pub bytes: u64,
    pub why: Left,
}

/// What was replaced long enough ago, and is there no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    pub files: usize,
    pub bytes: u64,
}

/// Compacts one source. No other process does until it is dropped; others may read, deliver and push meanwhile.
#[derive(Debug)]
pub struct Compactor {
    history: History,
    source: Name,
    _lock: Lock,
}

impl History {
    /// The one compactor of a source. Fails with [`HistoryError::Locked`] while there is another.
    pub async fn compactor(&self, source: &Name) -> Result<Compactor, HistoryError> {
        let what = || format!("a compaction of the history of `{source}`");
        let lock = self.0.root.lock_named(&Path::from(source.as_str()), "compacting", Held::ForWork, what)?;
        Ok(Compactor { history: self.clone(), source: source.clone(), _lock: lock })
    }

    /// What compacting a source would do now, writing nothing.
    pub fn compaction<'a>(
        &'a self,
        source: &'a Name,
        sizes: Sizes,
    ) -> BoxFuture<'a, Result<CompactionPlan, HistoryError>> {
        Box::pin(async move {
            let units = units(self, source).await?;
            let planned = plan(&units, sizes);
            let columns = planned.groups.iter().map(|group| (group.first, group.columns.clone())).collect();
            Ok(CompactionPlan {
                parts: units.iter().map(|unit| unit.parts.len()).sum(),
                bytes: units.iter().map(Unit::bytes).sum(),
                commits: units.iter().map(|unit| unit.commits).sum(),
                merges: planned.groups.iter().map(Merge::of).collect(),
                left: planned.left.iter().map(|(why, unit)| LeftAlone::of(*why, unit)).collect(),
                columns,
            })
        })
    }

    /// How a source's commits lie on disk: those with each other that were compacted.
    pub(super) async fn compacted(&self, source: &Name) -> Result<Vec<Compacted>, HistoryError> {
        let mut connection = self.0.metadata.read().await?;
        let rows = compactions::list(&mut connection, source).await?;
        rows.iter().map(|row| Compacted::of(source, row)).collect()
    }
}

impl Merge {
    fn of(group: &Group) -> Merge {
        Merge {
            first: group.first,
            last: group.last,
            commits: group.commits,
            rows: group.rows,
            bytes: group.bytes,
            parts_before: group.parts_before,
            parts_after: group.parts_after,
        }
    }
}

impl LeftAlone {
    fn of(why: Left, unit: &Unit) -> LeftAlone {
        LeftAlone { first: unit.first, last: unit.last, parts: unit.parts.len(), bytes: unit.bytes(), why }
    }
}

/// What readers of all commits open.
async fn units(history: &History, source: &Name) -> Result<Vec<Unit>, HistoryError> {
    // These first: what they are of is then among the commits.
    let mut compacted = history.compacted(source).await?.into_iter().peekable();
    let mut units: Vec<Unit> = Vec::new();
    for commit in history.rows(source).await? {
        let Manifest { columns, parts, anew, first, .. } = manifest_of(&commit)?;
        let first = first.unwrap_or(commit.number);
        if let Some(within) = units.last_mut().filter(|unit| unit.last >= commit.number) {
            within.commits += 1;
            within.rows += commit.rows;
            continue;
        }
        while compacted.next_if(|compacted| compacted.first < first).is_some() {}
        let together = compacted.next_if(|compacted| compacted.first == first);
        units.push(Unit {
            first,
            last: together.as_ref().map_or(commit.number, |together| together.last),
            commits: 1,
            columns,
            partitions: commit.partitions,
            anew,
            rows: commit.rows,
            parts: match together {
                Some(together) => together.merged.parts.iter().map(|part| (part.partition, part.bytes)).collect(),
                None => parts.iter().map(|part| (part.partition, part.bytes)).collect(),
            },
        });
    }
    Ok(units)
}

fn folder(source: &Name, first: u64, last: u64) -> Path {
    Path::from(source.as_str()).join(folder_name(first, last))
}

fn folder_name(first: u64, last: u64) -> String {
    format!("{PREFIX}{first:06}-{last:06}")
}
