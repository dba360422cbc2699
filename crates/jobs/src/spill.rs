//! Events that are too many to be held at once: on disk by parts of their keys, which are gone through one by one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use karat_core::Instant;
use karat_features::{CompiledView, KeyParts};

use crate::Workspace;

/// The share of the engine's memory that events may take.
const HELD: u64 = 2;
/// Parts are smaller than what may be held: what is computed of them takes room, too, and no two are quite alike.
const PARTS_IN_HELD: u64 = 4;
/// More would be more files than a process may open.
const MOST_PARTS: u64 = 256;
/// Rows written at once.
const ROWS: usize = 8192;

/// How many parts so many events of a view are gone through in, so many at once; one is held as a whole.
pub(crate) fn parts(workspace: &Workspace, view: &CompiledView, events: u64, at_once: u64) -> u64 {
    let bytes = events.saturating_mul(view.event_bytes() as u64);
    let held = held(workspace);
    if bytes <= held { 1 } else { (bytes / (held / (PARTS_IN_HELD * at_once)).max(1)).clamp(2, MOST_PARTS) }
}

/// How many bytes of events may be held.
pub(crate) fn held(workspace: &Workspace) -> u64 {
    workspace.project.config().engine.memory.0 / HELD
}

/// How many events of a view may be held.
pub(crate) fn most_events(workspace: &Workspace, view: &CompiledView) -> u64 {
    held(workspace) / view.event_bytes() as u64
}

/// Events on their way to disk.
pub(crate) struct Spilling<'v> {
    view: &'v CompiledView,
    keys: KeyParts,
    parts: Vec<Part>,
    /// Parts whose events nobody asks for.
    left_out: BTreeSet<usize>,
    newest: Option<Instant>,
    /// Where the files are, which have no names: nothing is left of them, however the process ends.
    folder: PathBuf,
}

/// Events on disk, for as long as this lives.
pub(crate) struct Spilled<'v> {
    pub view: &'v CompiledView,
    pub keys: KeyParts,
    /// When the newest of all happened.
    pub newest: Option<Instant>,
    /// Each with its events; no file where there are none.
    parts: Vec<(Option<File>, usize)>,
}

#[derive(Default)]
struct Part {
    writer: Option<StreamWriter<BufWriter<File>>>,
    waiting: Vec<RecordBatch>,
    rows: usize,
    written: usize,
}

impl<'v> Spilling<'v> {
    pub fn new(workspace: &Workspace, view: &'v CompiledView, parts: u64) -> Result<Spilling<'v>> {
        let keys = KeyParts::new(view, parts as usize);
        let parts = std::iter::repeat_with(Part::default).take(parts as usize).collect();
        let folder = workspace.temporary()?;
        Ok(Spilling { view, keys, parts, left_out: BTreeSet::new(), newest: None, folder })
    }

    /// As it is, without the events of these parts.
    pub fn without(self, left_out: BTreeSet<usize>) -> Spilling<'v> {
        Spilling { left_out, ..self }
    }

    /// Takes a batch of history.
    pub fn push(&mut self, history: &RecordBatch) -> Result<()> {
        self.newest = self.view.newest_event(history)?.max(self.newest);
        let needed = self.needed(history)?;
        let events = self.view.in_parts(&self.keys, &needed, |part| !self.left_out.contains(&part))?;
        for (part, events) in self.parts.iter_mut().zip(events) {
            part.push(events, &self.folder).with_context(|| cannot_write(&self.folder))?;
        }
        Ok(())
    }

    /// The columns that the view reads, of a history that several may read together.
    fn needed(&self, history: &RecordBatch) -> Result<RecordBatch> {
        let names = self.view.source_columns().names().chain(self.view.hidden_columns());
        let mut places = names.map(|name| history.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(history.project(&places)?)
    }

    pub fn finish(self) -> Result<Spilled<'v>> {
        let Spilling { view, keys, parts, newest, folder, .. } = self;
        let parts = parts.into_iter().map(|part| part.finish(&folder)).collect::<Result<Vec<_>>>();
        Ok(Spilled { view, keys, newest, parts: parts.with_context(|| cannot_write(&folder))? })
    }
}

fn cannot_write(folder: &Path) -> String {
    format!("events that do not fit in memory cannot be written to {}", folder.display())
}

impl Part {
    fn push(&mut self, events: RecordBatch, folder: &Path) -> Result<()> {
        self.rows += events.num_rows();
        if events.num_rows() > 0 {
            self.waiting.push(events);
        }
        if self.rows - self.written >= ROWS { self.write(folder) } else { Ok(()) }
    }

    fn write(&mut self, folder: &Path) -> Result<()> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let schema = first.schema();
        let together = concat_batches(&schema, &self.waiting)?;
        self.waiting.clear();
        if self.writer.is_none() {
            let file = BufWriter::new(tempfile::tempfile_in(folder)?);
            self.writer = Some(StreamWriter::try_new(file, &schema)?);
        }
        if let Some(writer) = &mut self.writer {
            writer.write(&together)?;
        }
        self.written = self.rows;
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> Result<(Option<File>, usize)> {
        self.write(folder)?;
        let file = self.writer.map(|writer| anyhow::Ok(writer.into_inner()?.into_inner()?)).transpose()?;
        Ok((file, self.rows))
    }
}

impl Spilled<'_> {
    /// How many events are in a part.
    pub fn events(&self, part: usize) -> usize {
        self.parts[part].1
    }

    /// The events of a part, in batches.
    pub fn read(&self, part: usize) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let rewound = |file: &File| {
            let mut file = file.try_clone()?;
            file.rewind()?;
            anyhow::Ok(StreamReader::try_new(BufReader::new(file), None)?)
        };
        let reader = self.parts[part].0.as_ref().map(rewound).transpose()?;
        Ok(reader.into_iter().flatten().map(|batch| Ok(batch?)))
    }
}
