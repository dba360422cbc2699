//! Which rows a spine keeps of each key. Rows come in spine order, so a key's stand together, the earliest first; but a key
//! may begin in one batch and end in another.

use std::collections::VecDeque;
use std::ops::Range;

use anyhow::Result;
use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::{concat, partition};
use karat_project::spec::{Keep, KeepEnd};

/// The stretches of rows of one key.
#[derive(Default)]
pub(super) struct KeyStretches {
    /// The key of the last row.
    last: Vec<ArrayRef>,
    keys: u64,
}

impl KeyStretches {
    /// Those of the next batch, and whether the first goes on with the key that the batch before ended with.
    pub fn next(&mut self, keys: &[ArrayRef]) -> Result<(Vec<Range<usize>>, bool)> {
        let stretches = partition(keys)?.ranges();
        let Some(last) = stretches.last() else { return Ok((stretches, false)) };
        let of_row = |row: usize| keys.iter().map(|key| key.slice(row, 1)).collect::<Vec<_>>();
        let beside = |(before, first): (&ArrayRef, ArrayRef)| concat(&[before, &first]);
        let goes_on = match self.last.is_empty() {
            true => false,
            false => {
                let both: Vec<ArrayRef> = self.last.iter().zip(of_row(0)).map(beside).collect::<Result<_, _>>()?;
                partition(&both)?.len() == 1
            }
        };
        self.last = of_row(last.start);
        self.keys += stretches.len() as u64 - u64::from(goes_on);
        Ok((stretches, goes_on))
    }

    /// How many different keys there were.
    pub fn keys(&self) -> u64 {
        self.keys
    }
}

pub(super) struct Keeping {
    end: KeepEnd,
    count: usize,
    stretches: KeyStretches,
    rows: u64,
    /// How many rows of this key were seen, and when the last of them was.
    seen: usize,
    last: i64,
    /// Its last rows with their times, one more than are kept.
    latest: VecDeque<(u64, i64)>,
    kept: Kept,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub rows: u64,
    /// Keys of which others than those kept have the same as_of.
    pub tied: u64,
}

impl Keeping {
    pub fn new(rule: Keep) -> Keeping {
        let (end, count) = rule.rows();
        Keeping {
            end,
            count,
            stretches: KeyStretches::default(),
            rows: 0,
            seen: 0,
            last: 0,
            latest: VecDeque::new(),
            kept: Kept::default(),
        }
    }

    /// Takes the next rows, of which those that are `eligible` count; gives the numbers of rows that are kept, ascending.
    pub fn push(
        &mut self,
        keys: &[ArrayRef],
        as_of: &Int64Array,
        eligible: &[bool],
        kept: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let (stretches, goes_on) = self.stretches.next(keys)?;
        for (place, stretch) in stretches.into_iter().enumerate() {
            if place > 0 || !goes_on {
                self.end_key(kept)?;
            }
            for row in stretch.filter(|row| eligible[*row]) {
                self.take(self.rows + row as u64, as_of.value(row), kept)?;
            }
        }
        self.rows += eligible.len() as u64;
        Ok(())
    }

    fn take(&mut self, row: u64, at: i64, kept: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let seen = self.seen;
        self.seen += 1;
        let last = std::mem::replace(&mut self.last, at);
        match self.end {
            KeepEnd::First if seen < self.count => return self.keep(row, kept),
            KeepEnd::First => self.kept.tied += u64::from(seen == self.count && last == at),
            KeepEnd::Last => {
                self.latest.push_back((row, at));
                if self.latest.len() > self.count + 1 {
                    self.latest.pop_front();
                }
            }
        }
        Ok(())
    }

    fn end_key(&mut self, kept: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.seen = 0;
        if self.latest.len() > self.count {
            let left = self.latest.pop_front();
            let first = self.latest.front();
            self.kept.tied += u64::from(left.zip(first).is_some_and(|((_, left), (_, first))| left == *first));
        }
        while let Some((row, _)) = self.latest.pop_front() {
            self.keep(row, kept)?;
        }
        Ok(())
    }

    fn keep(&mut self, row: u64, kept: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.kept.rows += 1;
        kept(row)
    }

    pub fn finish(mut self, mut kept: impl FnMut(u64) -> Result<()>) -> Result<Kept> {
        self.end_key(&mut kept)?;
        Ok(self.kept)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> Keep {
        serde_json::from_str(text).unwrap()
    }

    /// The rows that are kept of batches that end at these rows.
    fn kept(rule: Keep, key: &ArrayRef, as_of: &Int64Array, eligible: &[bool], ends: &[usize]) -> (Vec<u64>, Kept) {
        let mut rows = Vec::new();
        let mut keeping = Keeping::new(rule);
        let mut start = 0;
        let mut take = |row| {
            rows.push(row);
            Ok(())
        };
        for end in ends {
            let keys = [key.slice(start, end - start)];
            keeping.push(&keys, &as_of.slice(start, end - start), &eligible[start..*end], &mut take).unwrap();
            start = *end;
        }
        let kept = keeping.finish(&mut take).unwrap();
        (rows, kept)
    }

    #[test]
    fn so_many_rows_of_each_key_are_kept_by_their_time() {
        let key: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 1, 2, 3, 3, 3]));
        let as_of = Int64Array::from(vec![1, 2, 2, 3, 1, 4, 5, 5]);
        let all = [true; 8];
        let keep = |text: &str, eligible: &[bool]| {
            let (rows, kept) = kept(rule(text), &key, &as_of, eligible, &[8]);
            assert_eq!(kept.rows, rows.len() as u64);
            (rows, kept.tied)
        };
        assert_eq!(keep("\"first\"", &all), (vec![0, 4, 5], 0));
        // Key 3 has two rows at its last time: the later in the spine's order.
        assert_eq!(keep("\"last\"", &all), (vec![3, 4, 7], 1));
        assert_eq!(keep("2", &all), (vec![2, 3, 4, 6, 7], 1));
        assert_eq!(keep("9", &all), ((0..8).collect(), 0));
        // Rows that are not eligible take nobody's place.
        let some = [true, true, false, false, false, true, true, false];
        assert_eq!(keep("\"last\"", &some), (vec![1, 6], 0));
    }

    proptest! {
        #[test]
        fn a_key_may_lie_in_any_number_of_batches(
            mut rows in prop::collection::vec((prop::option::of(0..4i64), 0..5i64, any::<bool>()), 0..60),
            cuts in prop::collection::vec(0..60usize, 0..8),
            rule in prop_oneof![Just(rule("\"first\"")), Just(rule("\"last\"")), Just(rule("2")), Just(rule("5"))],
        ) {
            rows.sort_by_key(|(key, at, _)| (key.is_none(), *key, *at));
            let key: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
            let as_of: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
            let eligible: Vec<bool> = rows.iter().map(|row| row.2).collect();
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).chain([rows.len()]).collect();
            ends.sort_unstable();
            let (found, counts) = kept(rule, &key, &as_of, &eligible, &ends);

            let (end, count) = rule.rows();
            let (mut wanted, mut tied) = (Vec::new(), 0);
            for stretch in rows.iter().enumerate().collect::<Vec<_>>().chunk_by(|a, b| a.1.0 == b.1.0) {
                let of_key: Vec<(usize, i64)> = stretch.iter().filter(|(_, row)| row.2).map(|(place, row)| (*place, row.1)).collect();
                let cut = match end {
                    KeepEnd::First => count.min(of_key.len()),
                    KeepEnd::Last => of_key.len().saturating_sub(count),
                };
                let (before, after) = of_key.split_at(cut);
                let chosen = if end == KeepEnd::First { before } else { after };
                wanted.extend(chosen.iter().map(|(place, _)| *place as u64));
                tied += u64::from(before.last().zip(after.first()).is_some_and(|(a, b)| a.1 == b.1));
            }
            prop_assert_eq!(&found, &wanted);
            prop_assert_eq!(counts, Kept { rows: wanted.len() as u64, tied });
        }
    }
}
