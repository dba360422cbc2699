//! The rows of a spine whose keys are in one table, grouped by key, in each group by what they read.

use std::ops::Range;

use arrow::array::{Array, Int64Array};

use super::Spine;
use crate::events::{Groups, NO_KEY};
use crate::fold::Read;

pub(super) struct Readers<'s> {
    times: Times<'s>,
    groups: Vec<Group>,
    /// Of the spine, group after group.
    rows: Vec<u32>,
}

struct Group {
    /// The code of its key; [`NO_KEY`] where it has no events.
    code: u32,
    start: u32,
}

impl<'s> Readers<'s> {
    /// `codes` of the rows, each less than `count` or [`NO_KEY`].
    pub(super) fn new(spine: &'s Spine, rows: &[u32], mut codes: Vec<u32>, count: usize, up_to: i64) -> Readers<'s> {
        let times = Times {
            as_of: spine.as_of.values(),
            known_at: spine.known_at.as_ref(),
            since: spine.since.as_ref().map(|since| since.values().as_ref()),
            up_to,
        };
        let mut readers = match runs(&codes, count) {
            // A spine in the order of its keys needs no grouping.
            Some(groups) => Readers { times, groups, rows: rows.to_vec() },
            None => {
                // Rows of keys without events share one more code, so that every row is in a group.
                codes.iter_mut().filter(|code| **code == NO_KEY).for_each(|code| *code = count as u32);
                let by_code = Groups::new(&codes, count + 1);
                let groups = (0..=count)
                    .filter(|code| !by_code.of(*code).is_empty())
                    .map(|code| Group {
                        code: if code == count { NO_KEY } else { code as u32 },
                        start: by_code.before(code) as u32,
                    })
                    .collect();
                let rows = by_code.into_rows().into_iter().map(|place| rows[place as usize]).collect();
                Readers { times, groups, rows }
            }
        };
        for group in 0..readers.len() {
            let range = readers.rows_of(group);
            let time = |row: &u32| {
                let read = times.of(*row as usize);
                (read.as_of, read.known_at, read.since)
            };
            let rows = &mut readers.rows[range];
            if !rows.is_sorted_by_key(time) {
                rows.sort_by_key(time);
            }
        }
        readers
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The code of a group's key; [`NO_KEY`] where it has no events.
    pub(super) fn code(&self, group: usize) -> u32 {
        self.groups[group].code
    }

    fn rows_of(&self, group: usize) -> Range<usize> {
        let end = self.groups.get(group + 1).map_or(self.rows.len(), |next| next.start as usize);
        self.groups[group].start as usize..end
    }

    /// Fills `reads` with what the rows of a group read, in the order of their times.
    pub(super) fn read(&self, group: usize, reads: &mut Vec<Read>) {
        reads.clear();
        let rows = self.rows[self.rows_of(group)].iter();
        reads.extend(rows.map(|row| self.times.of(*row as usize)));
    }

    /// The rows of the spine in the order of the groups, in each in the order of their times.
    pub(super) fn into_rows(self) -> Vec<u32> {
        self.rows
    }
}

/// The rows of each key, where they stand together.
fn runs(codes: &[u32], count: usize) -> Option<Vec<Group>> {
    let mut seen = vec![false; count];
    let mut groups: Vec<Group> = Vec::new();
    for (row, code) in codes.iter().enumerate() {
        if groups.last().is_some_and(|group| group.code == *code) {
            continue;
        }
        if *code != NO_KEY && std::mem::replace(&mut seen[*code as usize], true) {
            return None;
        }
        groups.push(Group { code: *code, start: row as u32 });
    }
    Some(groups)
}

/// What each row of a spine reads.
#[derive(Clone, Copy)]
struct Times<'s> {
    as_of: &'s [i64],
    known_at: Option<&'s Int64Array>,
    since: Option<&'s [i64]>,
    up_to: i64,
}

impl Times<'_> {
    #[inline]
    fn of(self, row: usize) -> Read {
        let as_of = self.as_of[row];
        let known_at = match self.known_at {
            Some(known_at) if known_at.is_valid(row) => known_at.value(row),
            _ => as_of,
        };
        let since = self.since.map_or(i64::MIN, |since| since[row]);
        Read { as_of, known_at, since, up_to: self.up_to }
    }
}
