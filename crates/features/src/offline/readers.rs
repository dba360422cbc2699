//! The rows of a spine whose keys are in one table, grouped by key, in each group by what they read.

use std::ops::Range;

use arrow::array::Array;

use super::Spine;
use crate::events::{Groups, NO_KEY, at};
use crate::fold::Read;

pub(super) struct Readers {
    times: Times,
    groups: Vec<Group>,
    /// Of the spine, group after group.
    rows: Vec<u32>,
}

struct Group {
    /// The code of its key; [`NO_KEY`] where it has no events.
    code: u32,
    start: u32,
}

impl Readers {
    /// `codes` of the rows, each less than `count` or [`NO_KEY`].
    pub(super) fn new(spine: &Spine, rows: &[u32], mut codes: Vec<u32>, count: usize, up_to: i64) -> Readers {
        let (groups, mut rows) = match runs(&codes, count) {
            // A spine in the order of its keys needs no grouping.
            Some(groups) => (groups, rows.to_vec()),
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
                (groups, rows)
            }
        };
        let mut times = Times::of(spine, &rows, up_to);
        let mut is_sorted = true;
        for group in 0..groups.len() {
            let range = rows_of(&groups, group, rows.len());
            if !range.clone().is_sorted_by_key(|place| times.order(place)) {
                is_sorted = false;
                let mut places: Vec<usize> = range.clone().collect();
                places.sort_by_key(|place| times.order(*place));
                let sorted: Vec<u32> = places.into_iter().map(|place| rows[place]).collect();
                rows[range].copy_from_slice(&sorted);
            }
        }
        if !is_sorted {
            times = Times::of(spine, &rows, up_to);
        }
        Readers { times, groups, rows }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The code of a group's key; [`NO_KEY`] where it has no events.
    pub(super) fn code(&self, group: usize) -> u32 {
        self.groups[group].code
    }

    /// Fills `reads` with what the rows of a group read, in the order of their times.
    pub(super) fn read(&self, group: usize, reads: &mut Vec<Read>) {
        reads.clear();
        reads.extend(rows_of(&self.groups, group, self.rows.len()).map(|place| self.times.read(place)));
    }

    /// The rows of the spine in the order of the groups, in each in the order of their times.
    pub(super) fn into_rows(self) -> Vec<u32> {
        self.rows
    }
}

/// Places of a group's rows, of so many.
fn rows_of(groups: &[Group], group: usize, rows: usize) -> Range<usize> {
    let end = groups.get(group + 1).map_or(rows, |next| next.start as usize);
    groups[group].start as usize..end
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

/// What some rows of a spine read. These lie far apart in it, so they are fetched all at once, not each when its turn has come:
/// a processor waits for many at a time.
struct Times {
    as_of: Vec<i64>,
    known_at: Option<Vec<i64>>,
    since: Option<Vec<i64>>,
    up_to: i64,
}

impl Times {
    fn of(spine: &Spine, rows: &[u32], up_to: i64) -> Times {
        let as_of: &[i64] = spine.as_of.values();
        let known_at = spine.known_at.as_ref().map(|known_at| {
            let known_at = |row: &u32| match *row as usize {
                row if known_at.is_valid(row) => known_at.value(row),
                row => as_of[row],
            };
            rows.iter().map(known_at).collect()
        });
        let since = spine.since.as_ref().map(|since| at(since.values(), rows));
        Times { as_of: at(as_of, rows), known_at, since, up_to }
    }

    #[inline]
    fn read(&self, place: usize) -> Read {
        let (as_of, known_at, since) = self.order(place);
        Read { as_of, known_at, since, up_to: self.up_to }
    }

    /// As of when, as known when, and since when.
    #[inline]
    fn order(&self, place: usize) -> (i64, i64, i64) {
        let as_of = self.as_of[place];
        let known_at = self.known_at.as_ref().map_or(as_of, |known_at| known_at[place]);
        (as_of, known_at, self.since.as_ref().map_or(i64::MIN, |since| since[place]))
    }
}
