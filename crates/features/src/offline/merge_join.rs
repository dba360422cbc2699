//! The as-of pass over events and a spine that both come in the order of a view's keys: of neither more is held than the
//! keys that are at hand.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, RecordBatch};
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
    pub fn new(view: &'v CompiledView, runs: impl IntoIterator<Item = I>, up_to: Option<u64>) -> MergeJoin<'v, I> {
        let runs = runs.into_iter().map(|events| Run { events, waiting: VecDeque::new() }).collect();
        MergeJoin { view, up_to, runs, last: None }
    }

    /// What [`AsOfPass::run`] gives for each of the next stretches of the spine, whose keys are in ascending order, nulls last. They
    /// are worked on side by side.
    ///
    /// Events of the last key are kept, since the next rows may be of it, too. The events of a key are gone through for each
    /// stretch that has rows of it, and are there as often: who asks for all rows of a key in one stretch saves that.
    pub fn next(&mut self, spines: &[Spine]) -> Result<Vec<RecordBatch>, E> {
        let (view, up_to) = (self.view, self.up_to);
        let mut stretches = Vec::with_capacity(spines.len());
        for spine in spines {
            run::check(view, spine)?;
            stretches.push((spine, self.take(spine)?));
        }
        let pass = |(spine, events): (&Spine, Vec<RecordBatch>)| {
            let mut pass = AsOfPass::of_few(view);
            // None is held beside the pass that has taken it in.
            for events in events {
                pass.push(&events)?;
            }
            pass.run(spine, up_to)
        };
        Ok(std::thread::scope(|scope| {
            let last = stretches.pop();
            let others: Vec<_> = stretches.into_iter().map(|stretch| scope.spawn(move || pass(stretch))).collect();
            let last = last.map(pass);
            let others = others.into_iter().map(|other| other.join().expect("a pass over a key does not panic"));
            others.chain(last).collect::<Result<Vec<RecordBatch>, FeatureError>>()
        })?)
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

fn beside(keys: &[ArrayRef], key: &[ArrayRef]) -> Result<Beside, FeatureError> {
    Beside::new(keys, key).map_err(unread)
}

fn unread(error: arrow::error::ArrowError) -> FeatureError {
    FeatureError::Batch(error.to_string())
}
