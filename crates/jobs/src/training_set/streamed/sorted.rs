//! Rows in an order without all of them being held: runs are sorted in memory and merged from disk.

use anyhow::Result;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use karat_features::{CompiledView, RowMerge, RowOrder};

use super::super::spine::SpineQuery;
use super::whole_keys::{Gathering, WholeKeys};
use crate::spill::{self, Blocks, BlocksWriter, Reading};
use crate::{Unit, Workspace};

/// The share of the engine's memory that a run may take: it is there as it came, and sorted.
const RUN: u64 = 16;
/// Runs are no smaller where memory allows it, and larger only where they would be more than some: what a small one is sorted in
/// is taken again for the next, while allocations beyond 8 MiB go back to the system each time.
const SMALL_RUN: u64 = 16 << 20;
const SOME_RUNS: u64 = 64;
/// What sorting takes of each row.
const PLACED_BYTES: u64 = 44;

/// What shares the memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Among {
    /// So many are sorted side by side.
    pub sorted: u64,
    /// So many are read side by side once they are sorted.
    pub read: u64,
}

/// Rows on their way into an order.
pub(super) struct Sorting {
    order: RowOrder,
    runs: BlocksWriter,
    waiting: Vec<RecordBatch>,
    bytes: u64,
    /// As much as a run takes.
    most: u64,
    /// Of a batch of rows in their order.
    batch_rows: usize,
    schema: Option<SchemaRef>,
}

pub(super) struct Sorted {
    order: RowOrder,
    runs: Blocks,
    batch_rows: usize,
    schema: Option<SchemaRef>,
}

impl Sorting {
    /// Of about so many rows of so many bytes.
    pub fn new(workspace: &Workspace, order: RowOrder, (rows, row_bytes): (u64, u64), among: Among) -> Result<Sorting> {
        let (runs, most) = runs_of(workspace, (rows, row_bytes), among.sorted);
        let bytes = spill::blocks(workspace) / among.read / runs;
        Ok(Sorting {
            order,
            runs: BlocksWriter::new(&workspace.temporary()?, 0, bytes)?,
            waiting: Vec::new(),
            bytes: 0,
            most,
            batch_rows: spill::spread_rows(workspace, row_bytes * among.read),
            schema: None,
        })
    }

    pub fn push(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.bytes += spill::bytes(&rows)? as u64 + rows.num_rows() as u64 * PLACED_BYTES;
        self.waiting.push(rows);
        if self.bytes < self.most { Ok(()) } else { self.write_run() }
    }

    fn write_run(&mut self) -> Result<()> {
        self.bytes = 0;
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let schema = self.schema.insert(first.schema());
        let run = self.runs.add_part();
        self.runs.write(run, &self.order.sort(schema, std::mem::take(&mut self.waiting))?)
    }

    pub fn finish(mut self) -> Result<Sorted> {
        self.write_run()?;
        let Sorting { order, runs, batch_rows, schema, .. } = self;
        Ok(Sorted { order, runs: runs.finish()?, batch_rows, schema })
    }
}

/// About how many runs there will be of so many rows of so many bytes, and what each takes, of so many that are sorted side by side.
fn runs_of(workspace: &Workspace, (rows, row_bytes): (u64, u64), sorted: u64) -> (u64, u64) {
    let bytes = rows.saturating_mul(row_bytes + PLACED_BYTES);
    let most = (workspace.project.config().engine.memory.0 / RUN / sorted.max(1)).max(1);
    let run = (bytes / SOME_RUNS).max(SMALL_RUN).min(most);
    (bytes / run + 1, run)
}

/// Whether a block of every run of so many rows of so many bytes may be held, however few rows it has.
pub(super) fn can_be_merged(workspace: &Workspace, (rows, row_bytes): (u64, u64), among: Among) -> bool {
    let (runs, _) = runs_of(workspace, (rows, row_bytes), among.sorted);
    runs.saturating_mul(spill::FEWEST_ROWS as u64 * row_bytes) <= spill::blocks(workspace) / among.read
}

impl Sorted {
    /// A spine in its order, that is read beside the events of so many views; with the number of rows without an as_of.
    pub async fn spine(
        workspace: &Workspace,
        query: &SpineQuery,
        as_of: Option<&str>,
        views: u64,
    ) -> Result<(Sorted, usize)> {
        let stage = workspace.observer.begin(&format!("sorting {}", query.source), query.rows, Unit::Rows);
        let mut sorting = Sorting::new(
            workspace,
            RowOrder::WHOLE,
            (query.rows, query.row_bytes),
            Among { sorted: 1, read: 1 + views },
        )?;
        let mut without_as_of = 0;
        let mut batches = query.answer(workspace).await?.batches;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            stage.advance(batch.num_rows() as u64);
            let times = as_of.and_then(|name| batch.column_by_name(name));
            without_as_of += times.map_or(0, |times| times.null_count());
            tokio::task::block_in_place(|| sorting.push(batch))?;
        }
        Ok((tokio::task::block_in_place(|| sorting.finish())?, without_as_of))
    }

    pub fn rows(&self) -> u64 {
        (0..self.runs.parts()).map(|run| self.runs.rows(run) as u64).sum()
    }

    /// Rows of which each run is in order.
    pub fn runs(&self) -> impl Iterator<Item = Reading> {
        (0..self.runs.parts()).map(|run| self.runs.read(run))
    }

    /// All rows in their order.
    pub fn batches(&self) -> Result<RowMerge<Reading>> {
        self.order.merge(self.runs(), self.batch_rows)
    }

    /// As [`Sorted::batches`], gathered.
    pub fn gathered(&self, gathering: Gathering) -> Result<WholeKeys<RowMerge<Reading>>> {
        Ok(WholeKeys::new(self.batches()?, gathering))
    }

    /// Whether the rows are in the order of a view's keys.
    pub fn leads(&self, view: &CompiledView) -> bool {
        let keys = view.key_columns().iter().map(|key| &key.name);
        let columns = self.schema.iter().flat_map(|schema| schema.fields()).map(|field| field.name());
        columns.take(view.key_columns().len()).eq(keys)
    }
}
