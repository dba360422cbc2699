//! The versions of one identity in the order in which they win, and what to write when others join them.
//!
//! A reader sees the version of the greatest (known_time, commit) among those it may see. But whoever reads by entity
//! sees only the records of its own rows, so each version also retracts, at its own times, the rows it wins over:
//! otherwise a row that moved to another entity would live on with the old one.

/// One row among those of the delivery, or of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowRef {
    Delivered(usize),
    There(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub known: i64,
    /// `i64::MIN` for facts, which have none, and for removals, which hold wherever what they remove does.
    pub event: i64,
    /// None removes the identity's row.
    pub row: Option<RowRef>,
    /// Whether it is of the commit being written.
    pub fresh: bool,
}

/// A record to write: a version, or the retraction of `row` by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub row: RowRef,
    pub event: i64,
    pub known: i64,
    pub removed: bool,
}

/// Sorted by what wins: the last version is the winner for a reader who may see all.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    versions: Vec<Version>,
}

impl Timeline {
    /// Of the versions in history, in their order.
    pub(super) fn new(versions: Vec<Version>) -> Timeline {
        Timeline { versions }
    }

    pub(super) fn winner(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The winner for a reader who knows everything known at `known`.
    pub(super) fn winner_at(&self, known: i64) -> Option<&Version> {
        self.versions[..self.after(known)].last()
    }

    fn after(&self, known: i64) -> usize {
        self.versions.partition_point(|version| version.known <= known)
    }

    /// Adds a version of the commit being written, at most one of a known time. It wins over earlier commits of the
    /// same known time.
    pub(super) fn add(&mut self, version: Version) {
        self.versions.insert(self.after(version.known), version);
    }

    /// What the fresh versions need written, in the order of known times, of one known time the row that stays last.
    ///
    /// A late version must also be retracted by older ones that win over it. That retraction is of this commit, so the
    /// row it makes way for is written again beside it. Where versions of one known time came by several commits, the
    /// last of them stands for all.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for group in self.versions.chunk_by(|a, b| a.known == b.known) {
            let winning = group.last().expect("groups are not empty");
            let end = self.after(winning.known) - 1;
            let start = end + 1 - group.len();
            let mut retracts_fresh = false;
            for (index, lost) in self.versions[..end].iter().enumerate() {
                let Some(row) = lost.row.filter(|_| winning.fresh || lost.fresh) else { continue };
                let both_visible = lost.event.max(winning.event);
                if self.retracted_between(index, if lost.fresh { start } else { end }, both_visible) {
                    continue;
                }
                let event = if winning.row.is_some() { winning.event } else { lost.event };
                records.push(Record { row, event, known: winning.known, removed: true });
                retracts_fresh |= lost.fresh;
            }
            if let Some(row) = winning.row.filter(|_| winning.fresh || retracts_fresh) {
                records.push(Record { row, event: winning.event, known: winning.known, removed: false });
            }
        }
        records
    }

    /// Whether a version between two, visible from `event` on, retracts the first already: those in history retracted
    /// all before them, while a fresh one is retracted by the last of each known time only.
    fn retracted_between(&self, lost: usize, end: usize, event: i64) -> bool {
        let last_of_its_time = |index: usize| self.after(self.versions[index].known) == index + 1;
        (lost + 1..end)
            .any(|index| self.versions[index].event <= event && (!self.versions[lost].fresh || last_of_its_time(index)))
    }
}
