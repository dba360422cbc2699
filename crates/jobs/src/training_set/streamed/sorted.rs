//! A spine in its order that is never held: runs of it are sorted in memory and merged from disk.

use anyhow::Result;
use arrow::array::{Array, RecordBatch};
use futures::StreamExt;
use karat_features::{SpineMerge, in_spine_order};

use super::super::spine::SpineQuery;
use crate::spill::{self, Blocks, BlocksWriter, Reading};
use crate::{Unit, Workspace};

/// The share of the engine's memory that a run may take: it is there as it came, and sorted.
const RUN: u64 = 16;
/// What sorting takes of each row.
const PLACED_BYTES: u64 = 44;

pub(super) struct Sorted {
    runs: Blocks,
    batch_rows: usize,
    pub rows: u64,
    /// Rows whose as_of is null.
    pub without_as_of: usize,
}

impl Sorted {
    pub async fn new(workspace: &Workspace, query: &SpineQuery, as_of: Option<&str>) -> Result<Sorted> {
        let stage = workspace.observer.begin(&format!("sorting {}", query.source), query.rows, Unit::Rows);
        let most = (workspace.project.config().engine.memory.0 / RUN).max(1);
        let runs = query.rows.saturating_mul(query.row_bytes + PLACED_BYTES) / most + 1;
        let mut runs = BlocksWriter::new(&workspace.temporary()?, 0, spill::blocks(workspace) / runs)?;
        let (mut rows, mut without_as_of) = (0, 0);
        let mut waiting: Vec<RecordBatch> = Vec::new();
        let mut bytes = 0;
        let mut batches = query.answer(workspace).await?.batches;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            stage.advance(batch.num_rows() as u64);
            rows += batch.num_rows() as u64;
            bytes += batch.get_array_memory_size() as u64 + batch.num_rows() as u64 * PLACED_BYTES;
            let times = as_of.and_then(|name| batch.column_by_name(name));
            without_as_of += times.map_or(0, |times| times.null_count());
            waiting.push(batch);
            if bytes >= most {
                bytes = 0;
                tokio::task::block_in_place(|| write_run(&mut runs, &mut waiting))?;
            }
        }
        tokio::task::block_in_place(|| write_run(&mut runs, &mut waiting))?;
        let batch_rows = spill::spread_rows(workspace, query.row_bytes);
        Ok(Sorted { runs: runs.finish()?, batch_rows, rows, without_as_of })
    }

    /// All rows in spine order.
    pub fn batches(&self) -> Result<SpineMerge<Reading>> {
        SpineMerge::new((0..self.runs.parts()).map(|run| self.runs.read(run)), self.batch_rows)
    }
}

fn write_run(runs: &mut BlocksWriter, rows: &mut Vec<RecordBatch>) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let schema = first.schema();
    let run = runs.add_part();
    runs.write(run, &in_spine_order(&schema, std::mem::take(rows))?)
}
