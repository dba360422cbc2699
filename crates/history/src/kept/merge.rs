//! The parts of a compaction read together: their rows come as they came from the commits, commit by commit and in each
//! partition by partition.
//!
//! Each part's rows stand in the order of its commits, so this only goes from one to the next as their runs say. A part is
//! opened when the first of its rows is due.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter_record_batch, interleave};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt, stream};
use karat_core::hidden;
use object_store::path::Path;

use super::History;
use super::columns::Columns;
use super::part::{Part, Run};
use super::read::{BATCH_ROWS, Batches, open};
use crate::HistoryError;

/// Rows that parts read together hold between them, about.
const HELD_ROWS: usize = 4 * BATCH_ROWS;
const LEAST_ROWS: usize = 512;

/// The numbers that are wanted: after one, up to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub after: u64,
    pub up_to: u64,
}

impl Numbers {
    /// Of rows, those whose number is wanted.
    fn only(self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let numbers = batch.column_by_name(hidden::COMMIT).expect("it is read").as_primitive::<Int64Type>();
        let wanted =
            |number: &i64| u64::try_from(*number).is_ok_and(|number| self.after < number && number <= self.up_to);
        let keep: BooleanArray = numbers.values().iter().map(|number| Some(wanted(number))).collect();
        filter_record_batch(batch, &keep)
    }

    fn has_all_of(self, run: &Run) -> bool {
        run.first > self.after && run.commit <= self.up_to
    }
}

/// The rows of parts, which are of one commit or of one compaction, in the order of their partitions.
pub(super) fn read(history: History, columns: Arc<Columns>, parts: Vec<Part>, wanted: Numbers) -> Batches {
    let in_part = parts.iter().any(|part| part.runs.iter().any(|run| !wanted.has_all_of(run)));
    if let [part] = parts.as_slice()
        && !in_part
    {
        let opening = open(history, columns, part.clone(), BATCH_ROWS);
        return stream::once(opening).try_flatten().boxed();
    }
    let read = if in_part { Arc::new(columns.numbered()) } else { columns.clone() };
    let mut order: Vec<Due> = Vec::with_capacity(parts.iter().map(|part| part.runs.len()).sum());
    for (lane, part) in parts.iter().enumerate() {
        order.extend(part.runs.iter().map(|run| Due {
            lane,
            commit: run.commit,
            rows: run.rows,
            whole: wanted.has_all_of(run),
        }));
    }
    order.sort_by_key(|due| (due.commit, due.lane));
    let batch_rows = (HELD_ROWS / parts.len()).clamp(LEAST_ROWS, BATCH_ROWS);
    let lanes = parts.into_iter().map(Lane::new).collect();
    let merging = Merging { history, columns, read, batch_rows, wanted, lanes, order: order.into_iter(), due: None };
    stream::try_unfold(merging, |mut merging| async move { Ok(merging.next().await?.map(|batch| (batch, merging))) })
        .boxed()
}

/// Rows that come next of a lane.
struct Due {
    lane: usize,
    commit: u64,
    rows: u64,
    whole: bool,
}

struct Merging {
    history: History,
    columns: Arc<Columns>,
    /// What is read: what is wanted, and the number where rows are told by it.
    read: Arc<Columns>,
    batch_rows: usize,
    wanted: Numbers,
    lanes: Vec<Lane>,
    order: std::vec::IntoIter<Due>,
    due: Option<Due>,
}

/// A part as far as it is read.
struct Lane {
    part: Part,
    rows_left: u64,
    batches: Option<Batches>,
    batch: Option<RecordBatch>,
    /// Rows of the batch that are read.
    at: usize,
    /// Where the batch is among those that the next one is made of.
    gathered: Option<usize>,
}

impl Lane {
    fn new(part: Part) -> Lane {
        Lane { rows_left: part.rows(), part, batches: None, batch: None, at: 0, gathered: None }
    }

    /// The batch that holds the next row.
    async fn batch(
        &mut self,
        history: &History,
        columns: &Arc<Columns>,
        rows: usize,
    ) -> Result<RecordBatch, HistoryError> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.at < batch.num_rows()) {
                return Ok(batch.clone());
            }
            let batches = match &mut self.batches {
                Some(batches) => batches,
                None => {
                    let opened = open(history.clone(), columns.clone(), self.part.clone(), rows).await?;
                    self.batches.insert(opened)
                }
            };
            let next = batches.try_next().await?;
            let problem = "it has fewer rows than were written";
            let ended =
                || HistoryError::corrupt(history.0.root.describe(&Path::from(self.part.path.as_str())), problem);
            (self.batch, self.at, self.gathered) = (Some(next.ok_or_else(ended)?), 0, None);
        }
    }

    fn advance(&mut self, rows: usize) {
        self.at += rows;
        self.rows_left -= rows as u64;
        if self.rows_left == 0 {
            (self.batches, self.batch) = (None, None);
        }
    }
}

impl Merging {
    async fn next(&mut self) -> Result<Option<RecordBatch>, HistoryError> {
        let mut gathered = Gathered::default();
        for lane in &mut self.lanes {
            lane.gathered = None;
        }
        while gathered.rows.len() < BATCH_ROWS {
            let Some(due) = self.due.take().or_else(|| self.order.next()) else { break };
            let lane = &mut self.lanes[due.lane];
            let batch = lane.batch(&self.history, &self.read, self.batch_rows).await?;
            let room = (BATCH_ROWS - gathered.rows.len()).min(batch.num_rows() - lane.at);
            let rows = usize::try_from(due.rows).unwrap_or(usize::MAX).min(room);
            match due.whole {
                true => {
                    let place = *lane.gathered.get_or_insert_with(|| gathered.add(batch));
                    gathered.rows.extend((lane.at..lane.at + rows).map(|row| (place, row)));
                }
                false => {
                    let batch = self.wanted.only(&batch.slice(lane.at, rows)).map_err(damaged)?;
                    let (rows, place) = (batch.num_rows(), gathered.add(batch));
                    gathered.rows.extend((0..rows).map(|row| (place, row)));
                }
            }
            lane.advance(rows);
            let left = due.rows - rows as u64;
            self.due = (left > 0).then_some(Due { rows: left, ..due });
        }
        if gathered.rows.is_empty() {
            return Ok(None);
        }
        let batch = gathered.finish().map_err(damaged)?;
        self.columns.shape(TOGETHER, self.wanted.up_to, batch).map(Some)
    }
}

const TOGETHER: &str = "parts that are read together";

fn damaged(error: ArrowError) -> HistoryError {
    HistoryError::corrupt(TOGETHER, error)
}

/// Rows of several batches, in an order.
#[derive(Default)]
struct Gathered {
    batches: Vec<RecordBatch>,
    rows: Vec<(usize, usize)>,
}

impl Gathered {
    fn add(&mut self, batch: RecordBatch) -> usize {
        self.batches.push(batch);
        self.batches.len() - 1
    }

    fn finish(self) -> Result<RecordBatch, ArrowError> {
        let (place, from) = self.rows[0];
        if self.rows.iter().zip(from..).all(|(row, at)| *row == (place, at)) {
            return Ok(self.batches[place].slice(from, self.rows.len()));
        }
        let schema = self.batches[0].schema();
        let columns = (0..schema.fields().len()).map(|column| {
            let values: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(column).as_ref()).collect();
            interleave(&values, &self.rows)
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        RecordBatch::try_new_with_options(schema, columns, &options)
    }
}
