//! Rows out of runs that are each in order already: what is too much to be sorted at once.

use std::cell::OnceCell;
use std::cmp::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows};

use super::row_order::{RowOrder, Words};
use crate::error::FeatureError;

/// Goes through the rows of all runs in their order, by a tree of losers (Knuth, volume 3, 5.4.1): as many comparisons a
/// row as there are doublings in the number of runs.
pub struct RowMerge<I> {
    order: RowOrder,
    runs: Vec<Run<I>>,
    /// The run whose row comes next, then by inner node the run that lost there.
    tree: Vec<usize>,
    /// By run, the words of the row it stands at, as a number that compares as they do: a replay looks at hardly anything else.
    fronts: Vec<u128>,
    /// How many runs stand at a row without words.
    wordless: usize,
    encoder: Option<RowConverter>,
    batch_rows: usize,
    /// What rows are taken from until they make a batch.
    taken: Vec<RecordBatch>,
    places: Vec<(usize, usize)>,
}

/// Where nobody has lost yet.
const NOBODY: usize = usize::MAX;

struct Run<I> {
    batches: I,
    head: Option<Head>,
}

/// The batch that a run stands in.
struct Head {
    rows: RecordBatch,
    row: usize,
    words: Option<(Words, Words)>,
    /// Made when rows agree in their words, or have none.
    encoded: OnceCell<Rows>,
    /// Its place among those that are taken from.
    taken: usize,
}

impl<I, E> RowMerge<I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: From<FeatureError>,
{
    /// See [`RowOrder::merge`].
    pub(super) fn new(order: RowOrder, runs: impl IntoIterator<Item = I>, batch_rows: usize) -> Result<RowMerge<I>, E> {
        let runs: Vec<Run<I>> = runs.into_iter().map(|batches| Run { batches, head: None }).collect();
        let (tree, fronts) = (vec![NOBODY; runs.len()], vec![u128::MAX; runs.len()]);
        let (taken, places) = (Vec::new(), Vec::with_capacity(batch_rows));
        let mut merge = RowMerge { order, runs, tree, fronts, wordless: 0, encoder: None, batch_rows, taken, places };
        for run in 0..merge.runs.len() {
            merge.next_batch(run)?;
            merge.replay(run)?;
        }
        Ok(merge)
    }

    /// Lets a run stand at the first row of its next batch, or nowhere.
    fn next_batch(&mut self, run: usize) -> Result<(), E> {
        let run = &mut self.runs[run];
        self.wordless -= usize::from(run.head.take().is_some_and(|head| head.words.is_none()));
        for rows in run.batches.by_ref() {
            let rows = rows?;
            if rows.num_rows() == 0 {
                continue;
            }
            if self.encoder.is_none() {
                self.encoder = Some(self.order.encoder(&rows).map_err(unmerged)?);
            }
            let words = self.order.words(&rows);
            self.wordless += usize::from(words.is_none());
            let taken = self.taken.len();
            self.taken.push(rows.clone());
            run.head = Some(Head { rows, row: 0, words, encoded: OnceCell::new(), taken });
            return Ok(());
        }
        Ok(())
    }

    /// Lets a run, the last winner, play against all it meets on its way up.
    fn replay(&mut self, run: usize) -> Result<(), E> {
        self.fronts[run] = self.runs[run].front();
        let mut winner = run;
        let mut node = (run + self.runs.len()) / 2;
        while node > 0 {
            let other = self.tree[node];
            if other == NOBODY {
                self.tree[node] = winner;
                return Ok(());
            }
            let (others_front, winners_front) = (self.fronts[other], self.fronts[winner]);
            let comes_before = match self.wordless == 0 && others_front != winners_front {
                true => others_front < winners_front,
                false => self.compare(other, winner).map_err(unmerged)?.is_lt(),
            };
            // Which of them it is nobody could foretell: no branch.
            (self.tree[node], winner) = if comes_before { (winner, other) } else { (other, winner) };
            node /= 2;
        }
        self.tree[0] = winner;
        Ok(())
    }

    /// A run that is over comes after all others.
    fn compare(&self, a: usize, b: usize) -> Result<Ordering, ArrowError> {
        let (a, b) = match (&self.runs[a].head, &self.runs[b].head) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return Ok(a.is_none().cmp(&b.is_none())),
        };
        if let (Some((a_key, a_time)), Some((b_key, b_time))) = (&a.words, &b.words) {
            let by_words = (a_key[a.row], a_time[a.row]).cmp(&(b_key[b.row], b_time[b.row]));
            if by_words.is_ne() || self.order.is_of_words() {
                return Ok(by_words);
            }
        }
        let encoder = self.encoder.as_ref().expect("there was a batch");
        Ok(a.encoded(self.order, encoder)?.row(a.row).cmp(&b.encoded(self.order, encoder)?.row(b.row)))
    }

    fn next_rows(&mut self) -> Result<Option<RecordBatch>, E> {
        while self.places.len() < self.batch_rows {
            let Some(run) = self.tree.first().copied() else { break };
            let Some(head) = &mut self.runs[run].head else { break };
            self.places.push((head.taken, head.row));
            head.row += 1;
            if head.row == head.rows.num_rows() {
                self.next_batch(run)?;
            }
            self.replay(run)?;
        }
        if self.places.is_empty() {
            return Ok(None);
        }
        let taken: Vec<&RecordBatch> = self.taken.iter().collect();
        let rows = interleave_record_batch(&taken, &self.places).map_err(unmerged)?;
        self.places.clear();
        self.taken.clear();
        for head in self.runs.iter_mut().filter_map(|run| run.head.as_mut()) {
            head.taken = self.taken.len();
            self.taken.push(head.rows.clone());
        }
        Ok(Some(rows))
    }
}

impl<I> Run<I> {
    /// Of a run that is over, the greatest.
    #[inline]
    fn front(&self) -> u128 {
        let ordered = |word: i64| u128::from(word.cast_unsigned() ^ 1 << 63);
        match &self.head {
            Some(Head { words: Some((keys, times)), row, .. }) => ordered(keys[*row]) << 64 | ordered(times[*row]),
            _ => u128::MAX,
        }
    }
}

impl Head {
    fn encoded(&self, order: RowOrder, encoder: &RowConverter) -> Result<&Rows, ArrowError> {
        if let Some(encoded) = self.encoded.get() {
            return Ok(encoded);
        }
        let encoded = encoder.convert_columns(order.columns(&self.rows))?;
        Ok(self.encoded.get_or_init(|| encoded))
    }
}

impl<I, E> Iterator for RowMerge<I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: From<FeatureError>,
{
    type Item = Result<RecordBatch, E>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_rows().transpose()
    }
}

fn unmerged(error: ArrowError) -> FeatureError {
    FeatureError::Batch(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::compute::concat_batches;
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<i64>, Option<i64>, Option<String>, Option<f64>, Option<bool>);

    fn float() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(-f64::NAN), Just(f64::INFINITY), -2.0..2.0]
    }

    fn row() -> impl Strategy<Value = Row> {
        let text = prop::option::of(prop_oneof![Just(String::new()), "[a-c\u{0}é]{0,3}"]);
        let word = |small: std::ops::Range<i64>| prop_oneof![8 => small, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
        (
            prop::option::weighted(0.9, word(-3..4)),
            prop::option::weighted(0.95, word(-2..3)),
            text,
            prop::option::of(float()),
            any::<Option<bool>>(),
        )
    }

    fn batch(rows: &[Row], text_leads: bool) -> RecordBatch {
        let key: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
        let times = rows.iter().map(|row| row.1).collect::<TimestampMicrosecondArray>();
        let time: ArrayRef = Arc::new(times.with_timezone("+00:00"));
        let text: ArrayRef = Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>());
        let float: ArrayRef = Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>());
        let flag: ArrayRef = Arc::new(rows.iter().map(|row| row.4).collect::<BooleanArray>());
        let columns = match text_leads {
            true => vec![("text", text), ("key", key), ("time", time), ("float", float), ("flag", flag)],
            false => vec![("key", key), ("time", time), ("text", text), ("float", float), ("flag", flag)],
        };
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    proptest! {
        #[test]
        fn runs_together_are_what_all_rows_sorted_at_once_are(
            runs in prop::collection::vec(prop::collection::vec(row(), 0..60), 0..9),
            piece in 1..30usize,
            text_leads in any::<bool>(),
            columns in 1..7usize,
        ) {
            let all: Vec<Row> = runs.iter().flatten().cloned().collect();
            let order = RowOrder::by_first(columns);
            let in_order = |order: RowOrder, rows: &[Row]| {
                let rows = batch(rows, text_leads);
                order.sort(&rows.schema(), vec![rows]).unwrap()
            };
            let sorted = runs.iter().map(|rows| {
                let sorted = in_order(order, rows);
                (0..sorted.num_rows()).step_by(piece).map(move |start| {
                    Ok::<_, FeatureError>(sorted.slice(start, piece.min(sorted.num_rows() - start)))
                })
            });
            let found: Vec<RecordBatch> = order.merge(sorted, 50).unwrap().map(Result::unwrap).collect();
            let found = concat_batches(&batch(&[], text_leads).schema(), &found).unwrap();
            // NaN is equal to itself by its bits only.
            let bits = |order: RowOrder, rows: &RecordBatch| {
                let encoded = order.encoder(rows).unwrap().convert_columns(order.columns(rows)).unwrap();
                encoded.iter().map(|row| row.data().to_vec()).collect::<Vec<_>>()
            };
            prop_assert_eq!(bits(order, &found), bits(order, &in_order(order, &all)));
            prop_assert!(bits(order, &found).is_sorted());
            // What does not count for the order comes with its row.
            let mut rows = bits(RowOrder::WHOLE, &found);
            rows.sort();
            prop_assert_eq!(rows, bits(RowOrder::WHOLE, &in_order(RowOrder::WHOLE, &all)));
        }
    }

    #[test]
    fn batches_have_as_many_rows_whatever_the_runs_have() {
        let run = |step: usize| {
            let rows: Vec<Row> = (0..10_000).map(|at| (Some(at), Some(step as i64), None, None, None)).collect();
            std::iter::once(Ok::<_, FeatureError>(batch(&rows, false)))
        };
        let rows: Vec<usize> =
            RowOrder::WHOLE.merge((0..3).map(run), 8192).unwrap().map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(rows, [8192, 8192, 8192, 30_000 - 3 * 8192]);
    }

    #[test]
    fn what_a_run_fails_with_comes_through() {
        let runs =
            [vec![Ok(batch(&[(Some(1), Some(1), None, None, None)], false)), Err(FeatureError::TooMuch("of it"))]];
        let mut merge = RowOrder::WHOLE.merge(runs.into_iter().map(Vec::into_iter), 8192).unwrap();
        assert!(merge.next().unwrap().is_err());
    }
}
