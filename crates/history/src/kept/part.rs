//! Parquet objects of a history, and which of their rows are read.

use std::sync::Arc;

use karat_core::Digest;

/// One Parquet object of a history, and what is read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub partition: u32,
    /// Under the history's root.
    pub path: String,
    /// Of the whole object.
    pub bytes: u64,
    pub sha256: Digest,
    /// Whose rows are read, ascending: the rows stand in this order.
    pub runs: Arc<[Run]>,
    /// The first and the last number that the object was written for: parts that share them are read together.
    pub(super) of: (u64, u64),
    /// How many rows the object has, and how many of them before those that are read.
    pub(super) whole: u64,
    pub(super) skipped: u64,
}

/// The rows of one commit in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first of the numbers that its rows may have; the last is that of the commit.
    pub first: u64,
    pub commit: u64,
    /// Whether it was pushed.
    pub pushed: bool,
    pub rows: u64,
}

impl Part {
    /// How many rows are read; of a commit whose numbers are only partly wanted, all are counted.
    pub fn rows(&self) -> u64 {
        self.runs.iter().map(|run| run.rows).sum()
    }

    /// About how many bytes are read.
    pub(super) fn bytes_read(&self) -> u64 {
        let share = u128::from(self.bytes) * u128::from(self.rows()) / u128::from(self.whole.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// The part with the runs alone that have numbers after one, up to another; `None` where it has none.
    pub(super) fn narrowed(mut self, after: u64, up_to: u64) -> Option<Part> {
        let begins = self.runs.partition_point(|run| run.commit <= after);
        let ends = self.runs.partition_point(|run| run.first <= up_to);
        if begins >= ends {
            return None;
        }
        if ends - begins < self.runs.len() {
            self.skipped += self.runs[..begins].iter().map(|run| run.rows).sum::<u64>();
            self.runs = self.runs[begins..ends].into();
        }
        Some(self)
    }

    /// Whether it was written for several commits.
    pub(super) fn is_compacted(&self) -> bool {
        self.runs.len() > 1 || self.numbers() != self.of
    }

    /// The first and the last number that the rows read may have.
    pub(super) fn numbers(&self) -> (u64, u64) {
        (self.runs.first().map_or(0, |run| run.first), self.runs.last().map_or(0, |run| run.commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part {
        let run = |first, commit, rows| Run { first, commit, pushed: first < commit, rows };
        Part {
            partition: 0,
            path: "loans/a".to_owned(),
            bytes: 1000,
            sha256: Digest::of("a"),
            runs: [run(1, 1, 5), run(2, 4, 10), run(5, 5, 5)].into(),
            of: (1, 5),
            whole: 20,
            skipped: 0,
        }
    }

    #[test]
    fn a_part_is_narrowed_to_whole_commits() {
        let narrowed = |after, up_to| {
            let part = part().narrowed(after, up_to);
            part.map(|part| (part.skipped, part.rows(), part.numbers(), part.bytes_read()))
        };
        assert_eq!(narrowed(0, 9), Some((0, 20, (1, 5), 1000)));
        assert_eq!(narrowed(1, 4), Some((5, 10, (2, 4), 500)));
        assert_eq!(narrowed(3, 3), Some((5, 10, (2, 4), 500)));
        assert_eq!(narrowed(4, 9), Some((15, 5, (5, 5), 250)));
        assert_eq!((narrowed(5, 9), narrowed(0, 0)), (None, None));
        let twice = part().narrowed(0, 4).and_then(|part| part.narrowed(1, 4)).unwrap();
        assert_eq!((twice.skipped, twice.rows(), twice.whole), (5, 10, 20));
    }
}
