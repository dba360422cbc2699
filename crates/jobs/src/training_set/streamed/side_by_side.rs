//! Batches that are worked on by a thread each.

use anyhow::Result;
use arrow::array::RecordBatch;

use super::super::cases::Cases;
use super::whole_keys::Gathering;

/// A batch of fewer rows is not worth a thread.
const FEWEST_ROWS: usize = 4096;

/// What would be gathered to one batch, as several.
#[derive(Debug, Clone, Copy)]
pub(super) struct SideBySide {
    /// What each of them is gathered to.
    pub each: Gathering,
    most_batches: usize,
    most_rows: usize,
}

/// Batches in groups that are worked on at once.
pub(super) struct Groups<I> {
    batches: I,
    most_batches: usize,
    most_rows: usize,
}

/// What has rows.
pub(super) trait HasRows {
    fn rows(&self) -> usize;
}

impl HasRows for RecordBatch {
    fn rows(&self) -> usize {
        self.num_rows()
    }
}

impl<T> HasRows for (Cases, T) {
    fn rows(&self) -> usize {
        self.0.rows.num_rows()
    }
}

impl SideBySide {
    pub fn new(gathering: Gathering, threads: u64) -> SideBySide {
        let most_rows = gathering.least;
        let most_batches = (most_rows / FEWEST_ROWS).clamp(1, threads as usize);
        let each = Gathering { least: most_rows.div_ceil(most_batches), ..gathering };
        SideBySide { each, most_batches, most_rows }
    }

    /// A batch that ends within a key has more rows than a group needs, so that no two of a group have such a key in common:
    /// its events are there once.
    pub fn groups<T: HasRows, I: Iterator<Item = Result<T>>>(self, batches: I) -> Groups<I> {
        let SideBySide { most_batches, most_rows, .. } = self;
        Groups { batches, most_batches, most_rows }
    }
}

impl<T: HasRows, I: Iterator<Item = Result<T>>> Iterator for Groups<I> {
    type Item = Result<Vec<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut group, mut rows) = (Vec::new(), 0);
        while group.len() < self.most_batches && rows < self.most_rows {
            match self.batches.next() {
                Some(Ok(batch)) => {
                    rows += batch.rows();
                    group.push(batch);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        (!group.is_empty()).then_some(Ok(group))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use proptest::prelude::*;

    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    }

    proptest! {
        #[test]
        fn groups_are_no_larger_than_what_would_be_one_batch_and_its_last(
            least in 64..70_000usize,
            threads in 1..9u64,
            sizes in prop::collection::vec(0..20_000usize, 0..30),
        ) {
            let side_by_side = SideBySide::new(Gathering { keys: 1, least, most: 8 * least }, threads);
            prop_assert!(side_by_side.each.least <= least && side_by_side.each.least >= least.min(FEWEST_ROWS));
            prop_assert!(threads == 1 || least < 2 * FEWEST_ROWS || side_by_side.each.least < least);
            let groups = side_by_side.groups(sizes.iter().map(|rows| Ok(batch(*rows))));
            let groups: Vec<Vec<usize>> =
                groups.map(|group| group.unwrap().iter().map(HasRows::rows).collect()).collect();
            prop_assert_eq!(groups.concat(), sizes);
            for group in groups {
                prop_assert!((1..=threads as usize).contains(&group.len()));
                prop_assert!(group[..group.len() - 1].iter().sum::<usize>() < least);
            }
        }
    }

    #[test]
    fn what_goes_wrong_comes_in_place_of_its_group() {
        let side_by_side = SideBySide::new(Gathering { keys: 1, least: 10_000, most: 80_000 }, 2);
        let batches = [Ok(batch(3)), Err(anyhow::anyhow!("unread")), Ok(batch(4))];
        let mut groups = side_by_side.groups(batches.into_iter());
        assert_eq!(groups.next().unwrap().unwrap_err().to_string(), "unread");
    }
}
