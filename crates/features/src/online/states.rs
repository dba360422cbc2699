use arrow::array::RecordBatch;
use karat_core::Instant;

use super::layout;
use super::merge::{Records, encode, merge};
use crate::error::FeatureError;
use crate::events::{EventTable, Groups, Projected};
use crate::view::{CompiledView, Retention};

/// Collects history for online state: all of it, or what came since the states were made.
#[derive(Debug)]
pub struct StateBuilder<'v> {
    view: &'v CompiledView,
    retention: Retention,
    table: EventTable,
    newest: Option<Instant>,
}

impl<'v> StateBuilder<'v> {
    pub fn new(view: &'v CompiledView, retention: Retention) -> StateBuilder<'v> {
        StateBuilder { view, retention, table: EventTable::new(view.key_columns(), &view.plan), newest: None }
    }

    /// For updates: the newest event that was ingested before, as [`States::newest_event`] told it then.
    pub fn after(self, newest_event: Option<Instant>) -> StateBuilder<'v> {
        StateBuilder { newest: self.newest.max(newest_event), ..self }
    }

    /// Takes a batch of history: the view's source columns and all hidden ones, in any order of rows.
    pub fn push(&mut self, history: &RecordBatch) -> Result<(), FeatureError> {
        let projected = Projected::new(self.view, history)?;
        let rows: Vec<u32> = (0..projected.rows as u32).collect();
        self.table.append(&self.view.plan, &projected, &rows)
    }

    pub fn finish(self) -> States<'v> {
        let newest = if self.view.plan.timed { self.newest.max(self.table.newest()) } else { None };
        let groups = self.table.by_key();
        let horizon = self.view.horizon(self.retention, newest).micros();
        States { view: self.view, table: self.table, groups, newest, horizon }
    }
}

/// The keys of the history collected, and their states.
#[derive(Debug)]
pub struct States<'v> {
    view: &'v CompiledView,
    table: EventTable,
    groups: Groups,
    newest: Option<Instant>,
    horizon: i64,
}

impl States<'_> {
    /// The newest event ingested, from which the horizon is counted; to be kept beside the states.
    pub fn newest_event(&self) -> Option<Instant> {
        self.newest
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.table.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each key, as [`crate::encode_key`] writes it, with its state: for history pushed from its beginning.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
        (0..self.len()).map(|code| (self.table.keys.bytes(code), self.fresh(code)))
    }

    /// As [`States::iter`], into the states that keys have already. A record that belongs before an old state's horizon
    /// gives [`FeatureError::BeforeHorizon`]: that key is made anew from the whole history.
    pub fn updates<'s, E: From<FeatureError>>(
        &'s self,
        mut old: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, E> + 's,
    ) -> impl Iterator<Item = (Vec<u8>, Result<Vec<u8>, E>)> + 's {
        (0..self.len()).map(move |code| {
            let key = self.table.keys.bytes(code);
            let state = old(&key).and_then(|old| Ok(self.update(code, old.as_deref())?));
            (key, state)
        })
    }

    fn fresh(&self, code: usize) -> Vec<u8> {
        let records = Records {
            table: &self.table,
            rows: self.groups.of(code).to_vec(),
            folded: 0,
            checkpoint: None,
            folded_identities: Vec::new(),
            horizon: i64::MIN,
        };
        encode(self.view, records, self.horizon)
    }

    fn update(&self, code: usize, old: Option<&[u8]>) -> Result<Vec<u8>, FeatureError> {
        let Some(old) = old else { return Ok(self.fresh(code)) };
        let old = layout::read(old, &self.view.plan)?;
        let mut merged = EventTable::new(self.view.key_columns(), &self.view.plan);
        let records = merge(self.view, &mut merged, old, &self.table, self.groups.of(code))?;
        Ok(encode(self.view, records, self.horizon))
    }
}
