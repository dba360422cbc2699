//! The states of a history: of all its keys at once, or, where that is too much to be held, part by part.

use std::cell::RefCell;

use anyhow::Result;
use arrow::array::RecordBatch;
use karat_core::{Instant, Window};
use karat_features::{CompiledView, Retention, StateBuilder, States};

use crate::Workspace;
use crate::spill::{self, Spilled, Spilling};

type Entry = (Vec<u8>, Vec<u8>);

/// A history as it is read.
pub(super) enum Collecting<'v> {
    Held(Box<StateBuilder<'v>>),
    Spilling(Spilling<'v>, Retention),
}

/// A history that was read.
pub(super) enum Collected<'v> {
    Held(Box<States<'v>>),
    Spilled(Spilled<'v>, Retention),
}

impl<'v> Collecting<'v> {
    pub fn new(
        workspace: &Workspace,
        view: &'v CompiledView,
        horizon: Option<Window>,
        events: u64,
    ) -> Result<Collecting<'v>> {
        let retention = view.retention(horizon)?;
        Ok(match spill::parts(workspace, view, events) {
            1 => Collecting::Held(Box::new(StateBuilder::new(view, retention))),
            parts => Collecting::Spilling(Spilling::new(workspace, view, parts)?, retention),
        })
    }

    pub fn push(&mut self, history: &RecordBatch) -> Result<()> {
        match self {
            Collecting::Held(builder) => Ok(builder.push(history)?),
            Collecting::Spilling(spilling, _) => spilling.push(history),
        }
    }

    pub fn finish(self) -> Result<Collected<'v>> {
        Ok(match self {
            Collecting::Held(builder) => Collected::Held(Box::new(builder.finish())),
            Collecting::Spilling(spilling, retention) => Collected::Spilled(spilling.finish()?, retention),
        })
    }
}

impl Collected<'_> {
    /// The newest event, from which the horizon is counted.
    pub fn newest_event(&self) -> Option<Instant> {
        match self {
            Collected::Held(states) => states.newest_event(),
            Collected::Spilled(spilled, _) => spilled.newest,
        }
    }

    /// Each key with its state. What cannot be read ends it, and is told in `broken`.
    pub fn iter<'s>(&'s self, broken: &'s RefCell<Option<anyhow::Error>>) -> Box<dyn Iterator<Item = Entry> + 's> {
        let (spilled, retention) = match self {
            Collected::Held(states) => return Box::new(states.iter()),
            Collected::Spilled(spilled, retention) => (spilled, *retention),
        };
        let parts = (0..spilled.len()).map(move |part| of_part(spilled, retention, part));
        Box::new(parts.map_while(|states| states.map_err(|error| *broken.borrow_mut() = Some(error)).ok()).flatten())
    }
}

fn of_part(spilled: &Spilled<'_>, retention: Retention, part: usize) -> Result<Vec<Entry>> {
    let mut builder = StateBuilder::new(spilled.view, retention).after(spilled.newest);
    for events in spilled.read(part)? {
        builder.push(&events?)?;
    }
    Ok(builder.finish().iter().collect())
}
