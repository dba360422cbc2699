//! The as-of pass over events and a spine that both come in the order of a view's keys: of neither more is held than the
//! keys that are at hand.

use std::cmp::Ordering;
use std::collections::VecDeque;

use arrow::array::{ArrayRef, RecordBatch, make_comparator};
use karat_core::hidden;

use super::row_order::{ASCENDING, RowOrder};
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
        let mut pass = AsOfPass::new(self.view).with_threads(self.threads);
        if let Some(end) = spine.as_of.len().checked_sub(1) {
            let (first, last) = (key(spine, 0), key(spine, end));
            let before = self.last.replace(last.clone()).unwrap_or_else(|| first.clone());
            if compare(&before, 0, &first)?.is_gt() || compare(&first, 0, &last)?.is_gt() {
                return Err(FeatureError::Batch("the keys of the spine are not in their order".to_owned()).into());
            }
            self.runs.iter_mut().try_for_each(|run| run.take(self.view, &first, &last, &mut pass))?;
        }
        Ok(pass.run(spine, self.up_to)?)
    }
}

impl<I, E> Run<I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: From<FeatureError>,
{
    /// Pushes the events of the keys from the first to the last.
    fn take(
        &mut self,
        view: &CompiledView,
        first: &[ArrayRef],
        last: &[ArrayRef],
        pass: &mut AsOfPass<'_>,
    ) -> Result<(), E> {
        let mut kept = VecDeque::new();
        while let Some(events) = self.waiting.pop_front().map(Ok).or_else(|| self.events.next()) {
            let events = events?;
            let keys = key_columns(view, &events)?;
            let start = first_where(&keys, |order| order.is_ge(), first)?;
            let start_of_last = first_where(&keys, |order| order.is_ge(), last)?;
            let end = first_where(&keys, |order| order.is_gt(), last)?;
            pass.push(&events.slice(start, end - start))?;
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

fn key(spine: &Spine, row: usize) -> Vec<ArrayRef> {
    spine.keys.iter().map(|column| column.slice(row, 1)).collect()
}

/// A row of columns beside a key.
fn compare(columns: &[ArrayRef], row: usize, key: &[ArrayRef]) -> Result<Ordering, FeatureError> {
    for (column, key) in columns.iter().zip(key) {
        let order = make_comparator(column, key, ASCENDING).map_err(unread)?(row, 0);
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

/// The first of rows in their order that stands so beside a key.
fn first_where(
    columns: &[ArrayRef],
    stands: impl Fn(Ordering) -> bool,
    key: &[ArrayRef],
) -> Result<usize, FeatureError> {
    let (mut start, mut end) = (0, columns.first().map_or(0, |column| column.len()));
    while start < end {
        let middle = start.midpoint(end);
        if stands(compare(columns, middle, key)?) {
            end = middle;
        } else {
            start = middle + 1;
        }
    }
    Ok(start)
}

fn unread(error: arrow::error::ArrowError) -> FeatureError {
    FeatureError::Batch(error.to_string())
}
