//! Rows that stand in the order of keys, gathered so that what is computed of a key is computed once.

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use karat_features::RowOrder;

/// What batches are gathered to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathering {
    /// The first so many columns are the key; none if any row may be the last.
    pub keys: usize,
    /// A batch has at least so many rows, but for the last.
    pub least: usize,
    /// Of a key that has more than about so many, rows are in several batches.
    pub most: usize,
}

/// Batches that end where a key does.
pub(super) struct WholeKeys<I> {
    batches: I,
    /// Of the last batch that came, what is still to be looked at.
    rest: Option<RecordBatch>,
    gathering: Gathering,
    waiting: Vec<RecordBatch>,
    rows: usize,
}

impl<I: Iterator<Item = Result<RecordBatch>>> WholeKeys<I> {
    pub fn new(batches: I, gathering: Gathering) -> WholeKeys<I> {
        WholeKeys { batches, rest: None, gathering, waiting: Vec::new(), rows: 0 }
    }

    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        let Gathering { keys, least, most } = self.gathering;
        while let Some(batch) = self.next_piece()? {
            let whole = if keys == 0 { batch.num_rows() } else { RowOrder::by_first(keys).start_of_last(&batch)? };
            if whole > 0 && self.rows + whole >= least {
                let next = batch.slice(whole, batch.num_rows() - whole);
                self.push(batch.slice(0, whole));
                let gathered = self.take()?;
                self.push(next);
                return Ok(gathered);
            }
            self.push(batch);
            if self.rows >= most {
                return self.take();
            }
        }
        self.take()
    }

    /// The next rows, no more than are gathered to.
    fn next_piece(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.rest.take().map(Ok).or_else(|| self.batches.next()).transpose()? else {
            return Ok(None);
        };
        let rows = self.gathering.least.max(1);
        if batch.num_rows() > rows {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
            return Ok(Some(batch.slice(0, rows)));
        }
        Ok(Some(batch))
    }

    fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.waiting.push(batch);
    }

    fn take(&mut self) -> Result<Option<RecordBatch>> {
        self.rows = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return Ok(None) };
        let gathered = concat_batches(&first.schema(), &waiting)?;
        Ok((gathered.num_rows() > 0).then_some(gathered))
    }
}

impl<I: Iterator<Item = Result<RecordBatch>>> Iterator for WholeKeys<I> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn batch(rows: &[(Option<i64>, &str)]) -> RecordBatch {
        let keys: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
        let texts: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>());
        RecordBatch::try_from_iter_with_nullable([("key", keys, true), ("text", texts, true)]).unwrap()
    }

    proptest! {
        #[test]
        fn batches_end_where_a_key_does(
            mut rows in prop::collection::vec((prop::option::weighted(0.9, 0..9i64), prop::sample::select(vec!["", "a", "b"])), 0..200),
            piece in 1..40usize,
            keys in 0..3usize,
            least in 1..50usize,
            more in 0..50usize,
        ) {
            rows.sort_by_key(|(key, text)| (key.is_none(), *key, *text));
            let most = least + more;
            let pieces = rows.chunks(piece).map(|rows| Ok(batch(rows)));
            let found: Vec<RecordBatch> =
                WholeKeys::new(pieces, Gathering { keys, least, most }).map(Result::unwrap).collect();
            let whole = batch(&rows);
            prop_assert_eq!(concat_batches(&whole.schema(), &found).unwrap(), whole);
            let mut end = 0;
            for (place, found) in found.iter().enumerate() {
                end += found.num_rows();
                let is_last = place + 1 == rows.len() || end == rows.len();
                prop_assert!(is_last || found.num_rows() >= least);
                let alike = |a: usize, b: usize| rows[a].0 == rows[b].0 && (keys == 1 || rows[a].1 == rows[b].1);
                let is_cut = keys > 0 && !is_last && alike(end - 1, end);
                prop_assert!(!is_cut || found.num_rows() >= most, "{} rows", found.num_rows());
                prop_assert!(found.num_rows() < most + 2 * piece.min(least), "{} rows", found.num_rows());
            }
        }
    }
}
