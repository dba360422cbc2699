//! Events that are too many to be held at once: on disk by parts of their keys, which are gone through one by one.

mod blocks;

use std::collections::BTreeSet;

use anyhow::Result;
use arrow::array::RecordBatch;
use karat_core::Instant;
use karat_features::{AsOfPass, CompiledView, KeyParts};
use karat_history::Snapshot;
use karat_query::Gathered;

use crate::Workspace;
pub(crate) use blocks::{Blocks, BlocksWriter, FEWEST_ROWS, Reading, bytes};

/// The share of the engine's memory that events may take.
const HELD: u64 = 2;
/// Parts are smaller than what may be held: what is computed of them takes room, too, and no two are quite alike.
const PARTS_IN_HELD: u64 = 4;
/// More would be read and written in blocks too small to be worth it.
const MOST_PARTS: u64 = 256;
/// The share of the engine's memory that blocks on their way to disk or back may take.
const BLOCKS: u64 = 8;

/// About how many bytes an event of a view takes while it is held.
pub(crate) async fn event_bytes(view: &CompiledView, history: &Snapshot) -> u64 {
    view.event_bytes() as u64 + history.value_bytes(&view.texts()).await
}

/// How many parts events of so many bytes are gone through in, so many at once; one is held as a whole.
pub(crate) fn parts(workspace: &Workspace, bytes: u64, at_once: u64) -> u64 {
    if bytes <= held(workspace) { 1 } else { parts_of(workspace, bytes, at_once).max(2) }
}

/// How many parts so much is gone through in, so many at once.
pub(crate) fn parts_of(workspace: &Workspace, bytes: u64, at_once: u64) -> u64 {
    (bytes / (held(workspace) / (PARTS_IN_HELD * at_once)).max(1)).clamp(1, MOST_PARTS)
}

/// How many bytes of blocks may be held.
pub(crate) fn blocks(workspace: &Workspace) -> u64 {
    workspace.project.config().engine.memory.0 / BLOCKS
}

/// How many rows are spread over parts at once: what each part gets of a batch costs something, however few rows it is.
pub(crate) fn spread_rows(workspace: &Workspace, row_bytes: u64) -> usize {
    let rows = blocks(workspace) / (SPREAD_IN_BLOCKS * row_bytes.max(1));
    usize::try_from(rows).unwrap_or(MOST_SPREAD_ROWS).clamp(1024, MOST_SPREAD_ROWS)
}

/// How many bytes of events may be held.
pub(crate) fn held(workspace: &Workspace) -> u64 {
    workspace.project.config().engine.memory.0 / HELD
}

/// How many events of so many bytes may be held.
pub(crate) fn most_events(workspace: &Workspace, event_bytes: u64) -> u64 {
    held(workspace) / event_bytes.max(1)
}

/// The share of blocks that a batch may take before it is spread.
const SPREAD_IN_BLOCKS: u64 = 8;
const MOST_SPREAD_ROWS: usize = 65_536;

/// Events on their way to disk.
pub(crate) struct Spilling<'v> {
    view: &'v CompiledView,
    keys: KeyParts,
    /// Of history, before they are spread.
    waiting: Gathered,
    events: BlocksWriter,
    /// Parts whose events nobody asks for.
    left_out: BTreeSet<usize>,
    newest: Option<Instant>,
}

/// Events on disk, for as long as this lives.
pub(crate) struct Spilled<'v> {
    pub view: &'v CompiledView,
    pub keys: KeyParts,
    /// When the newest of all happened.
    pub newest: Option<Instant>,
    events: Blocks,
}

impl<'v> Spilling<'v> {
    /// As one of so many views whose events go to disk together.
    pub fn new(workspace: &Workspace, view: &'v CompiledView, parts: u64, together: usize) -> Result<Spilling<'v>> {
        let parts = parts as usize;
        let bytes = blocks(workspace) / together as u64;
        let waiting = usize::try_from(bytes / SPREAD_IN_BLOCKS)?;
        Ok(Spilling {
            view,
            keys: KeyParts::new(view, parts),
            waiting: Gathered::up_to(MOST_SPREAD_ROWS, waiting),
            events: BlocksWriter::new(&workspace.temporary()?, parts, bytes)?,
            left_out: BTreeSet::new(),
            newest: None,
        })
    }

    /// As it is, without the events of these parts.
    pub fn without(self, left_out: BTreeSet<usize>) -> Spilling<'v> {
        Spilling { left_out, ..self }
    }

    /// Takes a batch of history.
    pub fn push(&mut self, history: &RecordBatch) -> Result<()> {
        self.newest = self.view.newest_event(history)?.max(self.newest);
        match self.waiting.push(self.needed(history)?)? {
            Some(history) => self.spread(&history),
            None => Ok(()),
        }
    }

    fn spread(&mut self, history: &RecordBatch) -> Result<()> {
        let events = self.view.in_parts(&self.keys, history, |part| !self.left_out.contains(&part))?;
        events.into_iter().enumerate().try_for_each(|(part, events)| self.events.push(part, events))
    }

    /// The columns that the view reads, of a history that several may read together.
    fn needed(&self, history: &RecordBatch) -> Result<RecordBatch> {
        let names = self.view.source_columns().names().chain(self.view.hidden_columns());
        let mut places = names.map(|name| history.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(history.project(&places)?)
    }

    pub fn finish(mut self) -> Result<Spilled<'v>> {
        if let Some(history) = self.waiting.take()? {
            self.spread(&history)?;
        }
        let Spilling { view, keys, events, newest, .. } = self;
        Ok(Spilled { view, keys, newest, events: events.finish()? })
    }
}

impl<'v> Spilled<'v> {
    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.events.parts()
    }

    /// How many events are in a part.
    pub fn events(&self, part: usize) -> usize {
        self.events.rows(part)
    }

    /// A pass that has taken the events of a part.
    pub fn pass(&self, part: usize) -> Result<AsOfPass<'v>> {
        let mut pass = AsOfPass::new(self.view);
        pass.reserve(self.events(part));
        for events in self.read(part) {
            pass.push(&events?)?;
        }
        Ok(pass)
    }

    /// The events of a part, in batches.
    pub fn read(&self, part: usize) -> Reading {
        self.events.read(part)
    }
}
