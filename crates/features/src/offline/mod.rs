//! The as-of pass: features of many (key, as_of) pairs over a whole history.
//!
//! History is projected as it is pushed, and spread over tables by a hash of its keys. A run spreads the spine's rows
//! alike, and goes through the tables side by side: in each, events and rows are grouped by key (a counting sort), the
//! few events of a key are sorted, its readers too, and the fold slides from one to the next.

mod columns;
mod expressions;
mod key_pass;
mod key_search;
mod merge_join;
mod readers;
mod row_merge;
mod row_order;
mod run;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};

use crate::error::FeatureError;
use crate::events::EventTables;
use crate::view::CompiledView;
pub use merge_join::MergeJoin;
pub use row_merge::RowMerge;
pub use row_order::RowOrder;

/// A pass over one view; push history, then run over spines.
#[derive(Debug)]
pub struct AsOfPass<'v> {
    view: &'v CompiledView,
    tables: EventTables,
    threads: usize,
}

/// The pairs to compute features for.
#[derive(Debug, Clone)]
pub struct Spine {
    /// The view's key columns, in their order. A null names no entity: such a row has no history.
    pub keys: Vec<ArrayRef>,
    /// Microseconds UTC, none null.
    pub as_of: Int64Array,
    /// Microseconds UTC; where missing or null, the row's `as_of`.
    pub known_at: Option<Int64Array>,
    /// Microseconds UTC, none null: a row sees only events that a reader as of then could not, for they had not happened. What
    /// is known of such an event counts wherever it moves it: beyond `as_of`, too.
    pub since: Option<Int64Array>,
}

impl<'v> AsOfPass<'v> {
    pub fn new(view: &'v CompiledView) -> AsOfPass<'v> {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        AsOfPass { view, tables: EventTables::new(view), threads }
    }

    /// For few events and a spine in the order of their keys: on one thread, with nothing spread.
    fn of_few(view: &'v CompiledView) -> AsOfPass<'v> {
        AsOfPass { view, tables: EventTables::one(view), threads: 1 }
    }

    /// The same values on any number of threads; default: the machine's.
    pub fn with_threads(self, threads: usize) -> AsOfPass<'v> {
        AsOfPass { threads: threads.max(1), ..self }
    }

    /// Makes room for so many events.
    pub fn reserve(&mut self, events: usize) {
        self.tables.reserve(events);
    }

    /// Takes a batch of history: the view's source columns and all hidden ones, in any order of rows.
    pub fn push(&mut self, history: &RecordBatch) -> Result<(), FeatureError> {
        self.tables.push(self.view, history)
    }

    /// How many events were taken.
    pub fn events(&self) -> usize {
        self.tables.len()
    }

    /// The features in the order of the view, then [`crate::NO_HISTORY`], for each row of the spine in its order.
    /// Records of commits after `up_to` are not seen. Events are let go of as soon as they were read.
    pub fn run(self, spine: &Spine, up_to: Option<u64>) -> Result<RecordBatch, FeatureError> {
        run::run(self, spine, up_to)
    }
}
