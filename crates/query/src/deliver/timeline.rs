//! The versions of one identity in the order in which they win, and what to write when another joins them.
//!
//! A reader sees the version of the greatest (known_time, commit) among those it may see. But whoever reads by entity
//! sees only the records of its own rows, so each version also retracts, at its own times, the rows it wins over:
//! otherwise a row that moved to another entity would live on with the old one.

/// One row among those of the delivery, or of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    pub records: Vec<Record>,
}

impl Timeline {
    /// Of the versions in history, in their order.
    pub(super) fn new(versions: Vec<Version>) -> Timeline {
        Timeline { versions, records: Vec::new() }
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

    /// Adds a version of the commit being written, which wins over earlier commits of the same known time.
    pub(super) fn add(&mut self, version: Version) {
        let place = self.after(version.known);
        let (earlier, later) = self.versions.split_at(place);
        if let Some(row) = version.row {
            self.records.push(Record { row, event: version.event, known: version.known, removed: false });
        }
        for (index, lost) in earlier.iter().enumerate() {
            retract(&mut self.records, lost, &version, &earlier[index + 1..]);
        }
        for (index, winning) in later.iter().enumerate() {
            if retract(&mut self.records, &version, winning, &later[..index])
                && let Some(row) = winning.row
            {
                // The retraction is of this commit; at the same known time it must not win over the row it makes way for.
                let again = Record { row, event: winning.event, known: winning.known, removed: false };
                if !self.records.contains(&again) {
                    self.records.push(again);
                }
            }
        }
        self.versions.insert(place, version);
    }
}

/// Retracts `lost` at the times of `winning`, unless a version between them is visible wherever both are and does it.
fn retract(records: &mut Vec<Record>, lost: &Version, winning: &Version, between: &[Version]) -> bool {
    let Some(row) = lost.row else { return false };
    let both_visible = lost.event.max(winning.event);
    if between.iter().any(|version| version.event <= both_visible) {
        return false;
    }
    let event = if winning.row.is_some() { winning.event } else { lost.event };
    records.push(Record { row, event, known: winning.known, removed: true });
    true
}
