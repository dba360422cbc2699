//! Reading a source as of a commit, what was pushed since the last included.

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use karat_core::{Digest, Instant, Name, Schema};
use karat_metadata::commits::HistoryCommit;
use serde_json::Value as Json;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::columns::Columns;
use super::compact::Compacted;
use super::merge::{self, Numbers};
use super::part::{Part, Run};
use super::pushed::{Group, Head, Tail, delivery};
use super::read::{BATCH_ROWS, Batches};
use super::{History, manifest_of};
use crate::HistoryError;

/// What a source's history holds up to a commit, or between two. Later commits do not change it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub source: Name,
    /// The newest commit in it, or the newest number pushed; 0 where there is nothing yet.
    pub commit: u64,
    /// The oldest commit in it: what holds all rows anew, or the first.
    pub first: u64,
    pub partitions: u32,
    /// Of these commits, the first first; of a commit, or of several that were compacted together, by partition.
    pub parts: Vec<Part>,
    /// Of the newest commit.
    pub at: Instant,
    /// Of the newest commit.
    pub delivery: Digest,
    /// The columns the source declared at the newest commit; older parts may lack some, or hold others.
    pub columns: Schema,
    /// Of the newest commit, as its writer noted it; `None` of older Karats' commits.
    pub definition: Option<Json>,
    /// Rows of this commit and those before it are left out.
    after: u64,
    /// What was pushed and is in no commit.
    pub(super) pushed: Vec<Arc<Group>>,
    pub(super) history: History,
}

/// What is known of the newest commit.
struct Newest {
    number: u64,
    partitions: u32,
    at: Instant,
    delivery: Digest,
    columns: Schema,
    definition: Option<Json>,
}

impl Snapshot {
    /// `commits` of one source from its first on, in order, those of them that were `compacted`, and what follows them, up to
    /// a number or all.
    pub(super) fn new(
        history: History,
        source: &Name,
        commits: Vec<HistoryCommit>,
        compacted: Vec<Compacted>,
        tail: Tail,
        up_to: Option<u64>,
    ) -> Result<Option<Snapshot>, HistoryError> {
        let up_to = up_to.unwrap_or(u64::MAX);
        let mut parts = Vec::new();
        let mut compacted = compacted.into_iter().peekable();
        let (mut newest, mut first, mut last, mut within): (Option<Newest>, u64, u64, u64) = (None, 1, 0, 0);
        for commit in commits {
            let manifest = manifest_of(&commit)?;
            let begins = manifest.first.unwrap_or(commit.number);
            if begins != last + 1 {
                let place = format!("commit {} of `{}`", commit.number, commit.source);
                return Err(HistoryError::corrupt(place, format!("commit {} before it is missing", last + 1)));
            }
            last = commit.number;
            if begins > up_to {
                // A source that only ever took pushes could be read before the first of them came.
                if newest.is_none() && manifest.first.is_some() {
                    newest = Some(Newest::nothing(commit.partitions, commit.at, manifest.columns, manifest.definition));
                }
                break;
            }
            if manifest.anew {
                parts.clear();
                first = commit.number;
            }
            if begins > within {
                // What was compacted again lies within what was passed.
                while compacted.next_if(|compacted| compacted.first < begins).is_some() {}
                match compacted.next_if(|compacted| compacted.first == begins) {
                    Some(together) => {
                        within = together.last;
                        parts.extend(together.into_parts());
                    }
                    None => {
                        let run =
                            |rows| Run { first: begins, commit: commit.number, pushed: manifest.first.is_some(), rows };
                        parts.extend(manifest.parts.into_iter().map(|part| part.read(run)));
                    }
                }
            }
            newest = Some(Newest {
                number: commit.number.min(up_to),
                partitions: commit.partitions,
                at: commit.at,
                delivery: commit.delivery,
                columns: manifest.columns,
                definition: manifest.definition,
            });
        }
        let pushed: Vec<Arc<Group>> = tail.groups.into_iter().filter(|group| group.number <= up_to).collect();
        if let Some(group) = pushed.last() {
            newest = Some(Newest {
                number: group.number,
                delivery: delivery(group.number),
                ..Newest::of(&group.head, group.at)
            });
        } else if let (None, Some(head)) = (&newest, &tail.head) {
            newest = Some(Newest::of(head, Instant::from_micros(0)));
        }
        let Some(newest) = newest else { return Ok(None) };
        Ok(Some(Snapshot {
            source: source.clone(),
            commit: newest.number,
            first: first.min(newest.number),
            partitions: newest.partitions,
            parts: parts.into_iter().filter_map(|part: Part| part.narrowed(0, up_to)).collect(),
            at: newest.at,
            delivery: newest.delivery,
            columns: newest.columns,
            definition: newest.definition,
            after: 0,
            pushed,
            history,
        }))
    }

    /// Only what came after a commit, or a pushed number.
    pub fn since(&self, commit: u64) -> Snapshot {
        let mut since = self.clone();
        since.after = self.after.max(commit);
        let parts = std::mem::take(&mut since.parts).into_iter();
        since.parts = parts.filter_map(|part| part.narrowed(since.after, since.commit)).collect();
        since.pushed.retain(|group| group.number > since.after);
        since
    }

    /// Whether all of it was pushed, if there is anything.
    pub fn is_pushed(&self) -> bool {
        self.parts.iter().all(|part| part.runs.iter().all(|run| run.pushed))
    }

    /// How many rows there are; of a commit whose numbers are only partly in it, all are counted.
    pub fn rows(&self) -> u64 {
        let pushed: u64 = self.pushed.iter().map(|group| group.rows).sum();
        self.parts.iter().map(Part::rows).sum::<u64>() + pushed
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> u64 {
        let pushed: u64 = self.pushed.iter().map(|group| group.bytes()).sum();
        self.parts.iter().map(Part::bytes_read).sum::<u64>() + pushed
    }

    /// The rows, with the `declared` columns and then those of the hidden ones that are asked for, in the order of
    /// [`hidden::ALL`](karat_core::hidden::ALL): commits ascending, partitions ascending within a commit, rows as they
    /// were written, whatever was compacted since; then what was pushed, in its order; batches of at most 8,192 rows.
    /// `partition` narrows it to one.
    ///
    /// A column that a part lacks is null; one whose type has changed since is converted where that loses nothing, else
    /// it is a [`HistoryError::ColumnType`]. A part that is missing or not what was written is a
    /// [`HistoryError::Corrupt`] naming it: sizes are compared each time, contents once in a process.
    pub fn stream(&self, declared: &Schema, hidden: &[&str], partition: Option<u32>) -> Batches {
        let columns = Arc::new(Columns::new(self.source.clone(), declared, hidden));
        let place = format!("what was pushed to `{}`", self.source);
        let pushed = Tail::batches(self.pushed.clone(), partition, BATCH_ROWS);
        let (kept, up_to) = (self.read(columns.clone(), partition), self.commit);
        let pushed = pushed.map(move |batch| columns.shape(&place, up_to, batch?));
        let pushed = pushed.flat_map(|batch| {
            let pieces: Vec<Result<RecordBatch, HistoryError>> = match batch {
                Ok(batch) => pieces(&batch).map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            pieces
        });
        kept.chain(stream::iter(pushed))
            // A reader that goes on after an error would take what follows for the whole.
            .scan(false, |failed, batch| {
                let end = std::mem::replace(failed, batch.is_err());
                futures::future::ready((!end).then_some(batch))
            })
            .boxed()
    }

    /// What is in commits. Nothing that follows an error is to be read.
    pub(super) fn read(&self, columns: Arc<Columns>, partition: Option<u32>) -> Batches {
        let parts: Vec<Part> =
            self.parts.iter().filter(|part| partition.is_none_or(|one| part.partition == one)).cloned().collect();
        let (history, wanted) = (self.history.clone(), Numbers { after: self.after, up_to: self.commit });
        stream::iter(together(parts))
            .flat_map(move |parts| merge::read(history.clone(), columns.clone(), parts, wanted))
            .boxed()
    }

    /// Reads every part whole and compares it with what was written; the first that differs is the error.
    pub fn verify(&self) -> BoxFuture<'_, Result<(), HistoryError>> {
        Box::pin(async move {
            for part in &self.parts {
                self.history.0.check_size(part).await?;
                self.history.0.check_content(part).await?;
            }
            self.pushed.iter().try_for_each(|group| group.decode().map(drop))
        })
    }
}

impl Newest {
    fn nothing(partitions: u32, at: Instant, columns: Schema, definition: Option<Json>) -> Newest {
        Newest { number: 0, partitions, at, delivery: delivery(0), columns, definition }
    }

    fn of(head: &Head, at: Instant) -> Newest {
        Newest::nothing(head.partitions, at, head.of.columns.clone(), head.of.definition.clone())
    }
}

/// Parts of one compaction hold rows of the same commits, and are read together; all others are read alone.
fn together(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut groups: Vec<Vec<Part>> = Vec::new();
    for part in parts {
        match groups.last_mut().filter(|group| group[0].of == part.of && part.is_compacted()) {
            Some(group) => group.push(part),
            None => groups.push(vec![part]),
        }
    }
    groups
}

fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let rows = batch.num_rows();
    (0..rows).step_by(BATCH_ROWS).map(move |from| batch.slice(from, BATCH_ROWS.min(rows - from)))
}
