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

    /// Removals of the commit being written.
    pub(super) fn fresh_removals(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|version| version.fresh && version.row.is_none())
    }

    /// The versions of one known time.
    pub(super) fn of(&self, known: i64) -> impl Iterator<Item = &Version> {
        self.versions[..self.after(known)].iter().rev().take_while(move |version| version.known == known)
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
    /// rows it makes way for are written again beside it.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut start = 0;
        for group in self.versions.chunk_by(|a, b| a.known == b.known) {
            let standing = self.standing(start, start + group.len());
            let before = records.len();
            self.retract_late(start, &standing, &mut records);
            let again = records.len() > before;
            self.retract_lost(standing.last().copied().expect("the last of a known time stands"), &mut records);
            for (place, &index) in standing.iter().enumerate() {
                let Version { known, event, row, fresh } = self.versions[index];
                let Some(row) = row.filter(|_| fresh || again) else { continue };
                // Written again, it has to make way again for those that win over it once they are visible.
                if let (Some(next), false) = (standing.get(place + 1), fresh) {
                    let by = &self.versions[*next];
                    if !by.fresh {
                        records.push(Record { row, event: by.event, known, removed: true });
                    }
                }
                records.push(Record { row, event, known, removed: false });
            }
            start += group.len();
        }
        records
    }

    /// Of the versions of one known time, those that win for some reader: each but the last happened before all after it,
    /// so that it is what a reader sees who sees none of them yet. A removal holds always.
    fn standing(&self, start: usize, end: usize) -> Vec<usize> {
        let mut standing: Vec<usize> = Vec::new();
        for index in (start..end).rev() {
            if standing.last().is_none_or(|after| self.versions[index].event < self.versions[*after].event) {
                standing.push(index);
            }
        }
        standing.reverse();
        standing
    }

    /// Fresh versions known earlier make way for the first that stands here: whoever sees any of these sees that one.
    fn retract_late(&self, start: usize, standing: &[usize], records: &mut Vec<Record>) {
        let by = &self.versions[standing[0]];
        for (index, lost) in self.versions[..start].iter().enumerate() {
            let Some(row) = lost.row.filter(|_| lost.fresh) else { continue };
            let both_visible = lost.event.max(by.event);
            if self.versions[index + 1..start].iter().any(|between| between.event <= both_visible) {
                continue;
            }
            let event = match (by.row, standing.get(1)) {
                (Some(_), _) => by.event,
                // A removal holds wherever what it removes does; beside rows that come later it must not outlive them.
                (None, Some(next)) => lost.event.min(self.versions[*next].event),
                (None, None) => lost.event,
            };
            records.push(Record { row, event, known: by.known, removed: true });
        }
    }

    /// A fresh version takes away all that history had before it, unless another in between did so already.
    fn retract_lost(&self, winning: usize, records: &mut Vec<Record>) {
        let by = &self.versions[winning];
        if !by.fresh {
            return;
        }
        for (index, lost) in self.versions[..winning].iter().enumerate() {
            let Some(row) = lost.row.filter(|_| !lost.fresh) else { continue };
            let both_visible = lost.event.max(by.event);
            if self.versions[index + 1..winning].iter().any(|between| between.event <= both_visible) {
                continue;
            }
            let event = if by.row.is_some() { by.event } else { lost.event };
            records.push(Record { row, event, known: by.known, removed: true });
        }
    }
}
