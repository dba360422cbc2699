//! Which commits are worth merging, decided from sizes alone.
//!
//! Consecutive commits of the same columns and partitions that lie in small parts are merged, up to parts of the wanted
//! size. What is large beside all that came after it is left where it lies, so that how often a row is written again grows as
//! the logarithm of how often a history is compacted (tiers, as in log-structured stores).

use std::collections::BTreeMap;

use karat_core::Schema;

/// What was written at a time: a commit, or commits that were compacted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    /// The first and the last number that its rows may have.
    pub first: u64,
    pub last: u64,
    /// How many commits it is.
    pub commits: usize,
    pub columns: Schema,
    pub partitions: u32,
    /// Whether readers of it read nothing before it.
    pub anew: bool,
    pub rows: u64,
    /// Bytes of its parts, by partition.
    pub parts: BTreeMap<u32, u64>,
}

/// How large things are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// What a part may grow to, about.
    pub part_bytes: u64,
    /// What is written again without a look at tiers: it takes no time.
    pub small_bytes: u64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { part_bytes: 128 << 20, small_bytes: 64 << 20 }
    }
}

/// How many times larger something may be than all that came after it, to be written again with it.
const TIER: u64 = 4;

/// Units from one to another that become one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub first: u64,
    pub last: u64,
    pub commits: usize,
    pub columns: Schema,
    pub rows: u64,
    pub bytes: u64,
    pub parts_before: usize,
    pub parts_after: usize,
}

/// Why commits stay in the parts they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// They were compacted, and too little came since.
    Compacted,
    /// Their parts are as large as parts should be, or large beside what came after them.
    Large,
    /// Those before and after have other columns or partitions, or are not read with them.
    Alone,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Planned {
    pub groups: Vec<Group>,
    pub left: Vec<(Left, Unit)>,
}

/// `units` of one source, the first first.
pub(super) fn plan(units: &[Unit], sizes: Sizes) -> Planned {
    let mut planned = Planned::default();
    let mut open: Vec<&Unit> = Vec::new();
    for unit in units {
        let room = sizes.part_bytes.saturating_mul(u64::from(unit.partitions));
        let bytes: u64 = open.iter().map(|unit| unit.bytes()).sum();
        if open.last().is_some_and(|before| !goes_with(before, unit)) || bytes + unit.bytes() > room {
            planned.close(&open, sizes);
            open.clear();
        }
        match unit.bytes() >= room {
            true => planned.leave(&[unit], Left::Large),
            false => open.push(unit),
        }
    }
    planned.close(&open, sizes);
    planned
}

fn goes_with(before: &Unit, unit: &Unit) -> bool {
    !unit.anew && before.columns == unit.columns && before.partitions == unit.partitions
}

impl Planned {
    /// Of units that could all be merged, those that are worth it.
    fn close(&mut self, units: &[&Unit], sizes: Sizes) {
        let total: u64 = units.iter().map(|unit| unit.bytes()).sum();
        let mut after = total;
        let begins = units.iter().position(|unit| {
            after -= unit.bytes();
            total <= sizes.small_bytes || unit.bytes() <= TIER.saturating_mul(after)
        });
        let (large, merged) = units.split_at(begins.unwrap_or(units.len()));
        match Group::of(merged).filter(|group| group.parts_after < group.parts_before) {
            Some(group) => {
                self.leave(large, Left::Large);
                self.groups.push(group);
            }
            None => self.leave(units, if units.len() == 1 { Left::Alone } else { Left::Large }),
        }
    }

    fn leave(&mut self, units: &[&Unit], why: Left) {
        for unit in units {
            self.left.push((if unit.commits > 1 { Left::Compacted } else { why }, Unit::clone(unit)));
        }
    }
}

impl Unit {
    pub fn bytes(&self) -> u64 {
        self.parts.values().sum()
    }
}

impl Group {
    fn of(units: &[&Unit]) -> Option<Group> {
        let (begin, end) = (units.first()?, units.last()?);
        let mut partitions: Vec<u32> = units.iter().flat_map(|unit| unit.parts.keys().copied()).collect();
        let parts_before = partitions.len();
        partitions.sort_unstable();
        partitions.dedup();
        Some(Group {
            first: begin.first,
            last: end.last,
            commits: units.iter().map(|unit| unit.commits).sum(),
            columns: end.columns.clone(),
            rows: units.iter().map(|unit| unit.rows).sum(),
            bytes: units.iter().map(|unit| unit.bytes()).sum(),
            parts_before,
            parts_after: partitions.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use karat_core::{Column, DataType};

    use super::*;

    const SIZES: Sizes = Sizes { part_bytes: 1000, small_bytes: 50 };

    fn unit(number: u64, bytes: u64) -> Unit {
        Unit {
            first: number,
            last: number,
            commits: 1,
            columns: Schema::default(),
            partitions: 2,
            anew: number == 1,
            rows: bytes,
            parts: [(0, bytes / 2), (1, bytes - bytes / 2)].into(),
        }
    }

    fn groups(units: &[Unit]) -> Vec<(u64, u64)> {
        plan(units, SIZES).groups.iter().map(|group| (group.first, group.last)).collect()
    }

    #[test]
    fn small_commits_become_one_up_to_the_size_of_parts() {
        let units: Vec<Unit> = (1..=9).map(|number| unit(number, 600)).collect();
        assert_eq!(groups(&units), [(1, 3), (4, 6), (7, 9)]);
        let planned = plan(&units[..2], SIZES);
        let group = &planned.groups[0];
        assert_eq!(
            (group.commits, group.rows, group.bytes, group.parts_before, group.parts_after),
            (2, 1200, 1200, 4, 2)
        );
        assert!(planned.left.is_empty());
    }

    #[test]
    fn what_is_large_beside_all_that_followed_is_left() {
        let left =
            |units: &[Unit]| plan(units, SIZES).left.iter().map(|(why, of)| (*why, of.first)).collect::<Vec<_>>();
        let units = [unit(1, 900), unit(2, 30), unit(3, 30)];
        assert_eq!((groups(&units), left(&units)), (vec![(2, 3)], vec![(Left::Large, 1)]));
        let enough: Vec<Unit> = std::iter::once(unit(1, 900)).chain((2..10).map(|number| unit(number, 30))).collect();
        assert_eq!(groups(&enough), [(1, 9)]);
        let as_should_be = [unit(1, 2000), unit(2, 30), unit(3, 30)];
        assert_eq!((groups(&as_should_be), left(&as_should_be)), (vec![(2, 3)], vec![(Left::Large, 1)]));
        // Little enough is written again whatever its tiers.
        assert_eq!(groups(&[unit(1, 45), unit(2, 2)]), [(1, 2)]);
    }

    #[test]
    fn only_what_is_alike_and_read_together_is_merged() {
        let anew = Unit { anew: true, ..unit(3, 20) };
        let columns = Schema::new(vec![Column::new("id", DataType::Int)]);
        let other = |number| Unit { columns: columns.clone(), ..unit(number, 20) };
        let units = [unit(1, 20), unit(2, 20), anew, other(4), other(5), Unit { partitions: 4, ..other(6) }];
        let planned = plan(&units, SIZES);
        assert_eq!(groups(&units), [(1, 2), (4, 5)]);
        let left: Vec<_> = planned.left.iter().map(|(why, of)| (*why, of.first)).collect();
        assert_eq!(left, [(Left::Alone, 3), (Left::Alone, 6)]);
        // Nothing is won where no two lie in one partition.
        let apart =
            [(1, 0), (2, 1)].map(|(number, partition)| Unit { parts: [(partition, 9)].into(), ..unit(number, 9) });
        assert!(groups(&apart).is_empty() && groups(&[]).is_empty());
    }

    #[test]
    fn a_row_is_written_again_a_few_times_in_thousands_of_compactions() {
        let mut units = vec![unit(1, 300)];
        let sizes = Sizes { part_bytes: 1 << 40, small_bytes: 0 };
        let mut written = 0;
        for day in 2..2000 {
            units.push(unit(day, 300));
            for group in plan(&units, sizes).groups {
                written += group.bytes;
                let merged = Unit { last: group.last, commits: group.commits, ..unit(group.first, group.bytes) };
                units.retain(|unit| unit.last < group.first || unit.first > group.last);
                units.push(merged);
                units.sort_by_key(|unit| unit.first);
            }
        }
        assert!(units.len() < 12, "{}", units.len());
        assert!(written / (300 * 2000) < 20, "{}", written / (300 * 2000));
    }
}
