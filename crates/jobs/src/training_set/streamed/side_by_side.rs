//! Batches that are worked on by a thread each.

use anyhow::Result;

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

impl SideBySide {
    pub fn new(gathering: Gathering, threads: u64) -> SideBySide {
        let most_rows = gathering.least;
        let most_batches = (most_rows / FEWEST_ROWS).clamp(1, threads as usize);
        let each = Gathering { least: most_rows.div_ceil(most_batches), ..gathering };
        SideBySide { each, most_batches, most_rows }
    }

    /// Batches that have so many rows, in groups that are worked on at once. A batch that ends within a key has more rows than a
    /// group needs, so that no two of a group have such a key in common: its events are there once.
    pub fn groups<T>(
        self,
        mut batches: impl Iterator<Item = Result<T>>,
        rows_of: impl Fn(&T) -> usize,
    ) -> impl Iterator<Item = Result<Vec<T>>> {
        std::iter::from_fn(move || {
            let (mut group, mut rows) = (Vec::new(), 0);
            while group.len() < self.most_batches && rows < self.most_rows {
                match batches.next() {
                    Some(Ok(batch)) => {
                        rows += rows_of(&batch);
                        group.push(batch);
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => break,
                }
            }
            (!group.is_empty()).then_some(Ok(group))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            let groups = side_by_side.groups(sizes.iter().copied().map(Ok), |rows| *rows);
            let groups: Vec<Vec<usize>> = groups.map(Result::unwrap).collect();
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
        let batches = [Ok(3), Err(anyhow::anyhow!("unread")), Ok(4)];
        let mut groups = side_by_side.groups(batches.into_iter(), |rows| *rows);
        assert_eq!(groups.next().unwrap().unwrap_err().to_string(), "unread");
    }
}
