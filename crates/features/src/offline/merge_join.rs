//! The as-of pass over events and a spine that both come in the order of a view's keys: of neither more is held than the
//! keys that are at hand.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use karat_core::hidden;

use super::key_search::{Beside, key_of};
use super::row_order::RowOrder;
use super::{AsOfPass, Spine, run};
use crate::error::FeatureError;
use crate::events::{keep_events, key_columns};
use crate::view::CompiledView;

impl CompiledView {
    /// The order of a run of [events by their keys](CompiledView::keyed) that a [`MergeJoin`] takes.
    pub fn key_order(&self) -> RowOrder {
        RowOrder::by_first(self.key_columns().len() + 1)
    }

    /// The events of a batch of history with what the view reads of them: their keys first, then their times.
    pub fn keyed(&self, history: &RecordBatch) -> Result<RecordBatch, FeatureError> {
        let time = if self.plan.timed { hidden::EVENT_TIME } else { hidden::KNOWN_TIME };
        let keys = self.key_columns().iter().map(|key| key.name.as_str());
        let read = self.source_columns().names().chain(self.hidden_columns());
        let mut places: Vec<usize> = Vec::new();
        for name in keys.chain([time]).chain(read) {
            let place = history.schema().index_of(name).map_err(unread)?;
            if !places.contains(&place) {
                places.push(place);
            }
        }
        keep_events(self, &history.project(&places).map_err(unread)?)
    }
}

/// A sort-merge join of a spine with the features of a view as of its times.
pub struct MergeJoin<'v, I> {
    view: &'v CompiledView,
    up_to: Option<u64>,
    threads: usize,
    runs: Vec<Run<I>>,
    /// The key of the last row.
    last: Option<Vec<ArrayRef>>,
}

struct Run<I> {
    events: I,
    /// Events that were read and belong to the last key that was asked for, or to later ones.
    waiting: VecDeque<RecordBatch>,
}

impl<'v, I, E> MergeJoin<'v, I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: From<FeatureError>,
{
    /// Of runs of [events by their keys](CompiledView::keyed), each in [their order](CompiledView::key_order): a pass takes the
    /// events of some keys in any order, so nothing is compared to merge them. Records of commits after `up_to` are not seen.
    pub fn new(
        view: &'v CompiledView,
        runs: impl IntoIterator<Item = I>,
        up_to: Option<u64>,
        threads: usize,
    ) -> MergeJoin<'v, I> {
        let runs = runs.into_iter().map(|events| Run { events, waiting: VecDeque::new() }).collect();
        MergeJoin { view, up_to, threads, runs, last: None }
    }

    /// What [`AsOfPass::run`] gives for the next rows of the spine, whose keys are in ascending order, nulls last.
    ///
    /// Events of the last key are kept, since the next rows may be of it, too: who asks for many rows of one key at once
    /// saves their being read again.
    pub fn next(&mut self, spine: &Spine) -> Result<RecordBatch, E> {
        run::check(self.view, spine)?;
        let (view, up_to) = (self.view, self.up_to);
        let mut stretches = Vec::with_capacity(self.threads);
        for spine in in_stretches(spine, self.threads, FEWEST_IN_STRETCH)? {
            let events = self.take(&spine)?;
            stretches.push((spine, events));
        }
        let pass = |(spine, events): (Spine, Vec<RecordBatch>)| {
            let mut pass = AsOfPass::of_few(view);
            // None is held beside the pass that has taken it in.
            for events in events {
                pass.push(&events)?;
            }
            pass.run(&spine, up_to)
        };
        let found = std::thread::scope(|scope| {
            let last = stretches.pop();
            let others: Vec<_> = stretches.into_iter().map(|stretch| scope.spawn(move || pass(stretch))).collect();
            let last = last.map(pass);
            let others = others.into_iter().map(|other| other.join().expect("a pass over a key does not panic"));
            others.chain(last).collect::<Result<Vec<RecordBatch>, FeatureError>>()
        })?;
        Ok(concat_batches(&found[0].schema(), &found).map_err(unread)?)
    }

    /// The events of a spine's keys.
    fn take(&mut self, spine: &Spine) -> Result<Vec<RecordBatch>, E> {
        let Some(end) = spine.as_of.len().checked_sub(1) else { return Ok(Vec::new()) };
        let (first, last) = (key_of(&spine.keys, 0), key_of(&spine.keys, end));
        let before = self.last.replace(last.clone()).unwrap_or_else(|| first.clone());
        if beside(&before, &first)?.order(0).is_gt() || beside(&first, &last)?.order(0).is_gt() {
            return Err(FeatureError::Batch("the keys of the spine are not in their order".to_owned()).into());
        }
        let mut taken = Taken::default();
        self.runs.iter_mut().try_for_each(|run| run.take(self.view, &first, &last, &mut taken))?;
        Ok(taken.finish()?)
    }
}

impl<I, E> Run<I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: From<FeatureError>,
{
    /// Takes the events of the keys from the first to the last.
    fn take(&mut self, view: &CompiledView, first: &[ArrayRef], last: &[ArrayRef], taken: &mut Taken) -> Result<(), E> {
        let mut kept = VecDeque::new();
        while let Some(events) = self.waiting.pop_front().map(Ok).or_else(|| self.events.next()) {
            let events = events?;
            let keys = key_columns(view, &events)?;
            let last = beside(&keys, last)?;
            let (start, start_of_last, end) = (beside(&keys, first)?.start(), last.start(), last.end());
            taken.push(events.slice(start, end - start))?;
            if start_of_last < events.num_rows() {
                kept.push_back(events.slice(start_of_last, events.num_rows() - start_of_last));
            }
            if end < events.num_rows() {
                break;
            }
        }
        kept.append(&mut self.waiting);
        self.waiting = kept;
        Ok(())
    }
}

/// Batches of fewer rows are put together: what a pass does with each costs something, however few it has.
const PUSHED_ROWS: usize = 1024;

/// Events on their way to a pass.
#[derive(Default)]
struct Taken {
    batches: Vec<RecordBatch>,
    few: Vec<RecordBatch>,
    few_rows: usize,
}

impl Taken {
    fn push(&mut self, events: RecordBatch) -> Result<(), FeatureError> {
        match events.num_rows() {
            0 => {}
            PUSHED_ROWS.. => self.batches.push(events),
            rows => {
                self.few_rows += rows;
                self.few.push(events);
                if self.few_rows >= PUSHED_ROWS {
                    self.gather()?;
                }
            }
        }
        Ok(())
    }

    fn gather(&mut self) -> Result<(), FeatureError> {
        self.few_rows = 0;
        let few = std::mem::take(&mut self.few);
        if let Some(first) = few.first() {
            self.batches.push(concat_batches(&first.schema(), &few).map_err(unread)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<RecordBatch>, FeatureError> {
        self.gather()?;
        Ok(self.batches)
    }
}

/// Fewer rows than this are not worth a thread.
const FEWEST_IN_STRETCH: usize = 256;

/// A spine in its order as at most so many of at least about so many rows, no two with a key in common; one, if it has no rows.
fn in_stretches(spine: &Spine, most: usize, least_rows: usize) -> Result<Vec<Spine>, FeatureError> {
    let rows = spine.as_of.len();
    let stretches = (rows / least_rows).clamp(1, most.max(1));
    let mut cut = Vec::with_capacity(stretches);
    let mut start = 0;
    for stretch in 1..=stretches {
        let end = match stretch * rows / stretches {
            end if end < rows => beside(&spine.keys, &key_of(&spine.keys, end))?.end(),
            end => end,
        };
        if start < end || rows == 0 {
            cut.push(slice(spine, start, end - start));
            start = end;
        }
    }
    Ok(cut)
}

fn slice(spine: &Spine, start: usize, rows: usize) -> Spine {
    let times = |times: &Int64Array| times.slice(start, rows);
    Spine {
        keys: spine.keys.iter().map(|key| key.slice(start, rows)).collect(),
        as_of: times(&spine.as_of),
        known_at: spine.known_at.as_ref().map(times),
        since: spine.since.as_ref().map(times),
    }
}

fn beside(keys: &[ArrayRef], key: &[ArrayRef]) -> Result<Beside, FeatureError> {
    Beside::new(keys, key).map_err(unread)
}

fn unread(error: arrow::error::ArrowError) -> FeatureError {
    FeatureError::Batch(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    fn keys(spine: &Spine) -> Vec<Option<i64>> {
        spine.keys[0].as_primitive::<Int64Type>().iter().collect()
    }

    proptest! {
        #[test]
        fn stretches_have_no_key_in_common(
            mut sorted in prop::collection::vec(prop::option::weighted(0.9, 0..9i64), 0..100),
            most in 0..9usize,
            least_rows in 1..40usize,
        ) {
            sorted.sort_by_key(|key| (key.is_none(), *key));
            let times: Int64Array = (0..sorted.len() as i64).collect();
            let key: ArrayRef = Arc::new(Int64Array::from(sorted.clone()));
            let spine = Spine { keys: vec![key], as_of: times.clone(), known_at: None, since: Some(times) };
            let stretches = in_stretches(&spine, most, least_rows).unwrap();
            prop_assert!((1..=most.max(1)).contains(&stretches.len()));
            prop_assert_eq!(stretches.iter().flat_map(keys).collect::<Vec<_>>(), sorted);
            let times = stretches.iter().flat_map(|stretch| stretch.as_of.values().to_vec());
            prop_assert!(times.eq(spine.as_of.values().iter().copied()));
            for pair in stretches.windows(2) {
                prop_assert!(keys(&pair[0]).last() != keys(&pair[1]).first());
            }
        }
    }
}
