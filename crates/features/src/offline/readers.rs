//! The rows of a spine grouped by key, in each group by what they read.

use std::ops::Range;

use arrow::array::Array;

use super::Spine;
use crate::events::{Groups, NO_KEY};
use crate::fold::Read;

pub(super) struct Readers<'s> {
    spine: &'s Spine,
    up_to: i64,
    groups: Vec<Group>,
    order: Order,
}

struct Group {
    /// The code of its key; [`NO_KEY`] where it has no events.
    code: u32,
    start: u32,
}

/// The spine's rows, group after group.
pub(super) enum Order {
    /// As they stand: a spine in the order of its keys and times needs no sorting, nor does what is found for it.
    Same,
    Each(Vec<u32>),
}

impl Order {
    #[inline]
    pub(super) fn row(&self, index: usize) -> u32 {
        match self {
            Order::Same => index as u32,
            Order::Each(rows) => rows[index],
        }
    }
}

impl<'s> Readers<'s> {
    /// `codes` of the spine's rows, each less than `count` or [`NO_KEY`].
    pub(super) fn new(spine: &'s Spine, mut codes: Vec<u32>, count: usize, up_to: i64) -> Readers<'s> {
        if let Some(groups) = runs(&codes, count) {
            return Readers { spine, up_to, groups, order: Order::Same }.sorted();
        }
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
        Readers { spine, up_to, groups, order: Order::Each(by_code.into_rows()) }.sorted()
    }

    fn sorted(mut self) -> Readers<'s> {
        let time = |row: u32| {
            let read = Read::of_spine(self.spine, row as usize, self.up_to);
            (read.as_of, read.known_at)
        };
        let in_order = |group| self.rows_of(group).is_sorted_by_key(|index| time(self.order.row(index)));
        if (0..self.len()).all(in_order) {
            return self;
        }
        let mut rows = match std::mem::replace(&mut self.order, Order::Same) {
            Order::Same => (0..self.spine.as_of.len() as u32).collect(),
            Order::Each(rows) => rows,
        };
        for group in 0..self.len() {
            let range = self.rows_of(group);
            rows[range].sort_by_key(|row| time(*row));
        }
        Readers { order: Order::Each(rows), ..self }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The code of a group's key; [`NO_KEY`] where it has no events.
    pub(super) fn code(&self, group: usize) -> u32 {
        self.groups[group].code
    }

    /// Places of a group's rows in [`Readers::into_order`].
    pub(super) fn rows_of(&self, group: usize) -> Range<usize> {
        let end = self.groups.get(group + 1).map_or(self.spine.as_of.len(), |next| next.start as usize);
        self.groups[group].start as usize..end
    }

    /// Fills `reads` with what the rows of a group read, in the order of their times.
    pub(super) fn read(&self, group: usize, reads: &mut Vec<Read>) {
        reads.clear();
        let rows = self.rows_of(group).map(|index| self.order.row(index));
        reads.extend(rows.map(|row| Read::of_spine(self.spine, row as usize, self.up_to)));
    }

    pub(super) fn into_order(self) -> Order {
        self.order
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

impl Read {
    fn of_spine(spine: &Spine, row: usize, up_to: i64) -> Read {
        let as_of = spine.as_of.value(row);
        let known_at = match &spine.known_at {
            Some(known_at) if known_at.is_valid(row) => known_at.value(row),
            _ => as_of,
        };
        Read { as_of, known_at, up_to }
    }
}
