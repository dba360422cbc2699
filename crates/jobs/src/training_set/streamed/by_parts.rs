//! Features of a spine that is not held. Its rows are spread over parts of their keys, as the events are; the features of a
//! part are computed at once and written beside; then each row takes the next of its part's, so that nothing is compared.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt8Array, UInt32Array};
use arrow::compute::{concat_batches, interleave, take_record_batch};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use karat_features::{CompiledView, KeyParts, Spine};

use crate::spill::{self, Blocks, BlocksWriter, Reading, Spilled};
use crate::{Stage, Workspace};

/// A spine's rows on their way to disk by parts of their keys.
pub(super) struct Spreading {
    keys: KeyParts,
    rows: BlocksWriter,
}

impl Spreading {
    /// By the view's keys; as one of so many that take the spine's rows together.
    pub fn new(workspace: &Workspace, view: &CompiledView, parts: usize, together: usize) -> Result<Spreading> {
        let waiting = spill::blocks(workspace) / together as u64;
        let rows = BlocksWriter::new(&workspace.temporary()?, parts, waiting)?;
        Ok(Spreading { keys: KeyParts::new(view, parts), rows })
    }

    /// Takes the next rows; says of each which part has it.
    pub fn push(&mut self, spine: &Spine) -> Result<ArrayRef> {
        let mut places = vec![0; spine.as_of.len()];
        let asked = to_batch(spine)?;
        for (part, rows) in self.keys.spread(&spine.keys).into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let number = u8::try_from(part).context("a byte holds the number of a part")?;
            rows.iter().for_each(|row| places[*row as usize] = number);
            self.rows.push(part, take_record_batch(&asked, &UInt32Array::from(rows))?)?;
        }
        Ok(Arc::new(UInt8Array::from(places)))
    }

    pub fn finish(self) -> Result<Blocks> {
        self.rows.finish()
    }
}

/// The keys, then as_of; where they are given, known_at and since.
fn to_batch(spine: &Spine) -> Result<RecordBatch> {
    let times = std::iter::once(&spine.as_of).chain(&spine.known_at).chain(&spine.since);
    let columns = spine.keys.iter().cloned().chain(times.map(|times| Arc::new(times.clone()) as ArrayRef));
    let named = columns.enumerate().map(|(place, column)| (place.to_string(), column, true));
    Ok(RecordBatch::try_from_iter_with_nullable(named)?)
}

fn of_batch(batch: &RecordBatch, keys: usize) -> Spine {
    let (keys, times) = batch.columns().split_at(keys);
    let times = |place: usize| times.get(place).map(|times| times.as_primitive::<Int64Type>().clone());
    let as_of = times(0).unwrap_or_else(|| Int64Array::from(Vec::<i64>::new()));
    Spine { keys: keys.to_vec(), as_of, known_at: times(1), since: times(2) }
}

/// What a view found for every row of a spine, part by part.
pub(super) struct Found {
    parts: Blocks,
    schema: SchemaRef,
}

/// How features are computed part by part.
pub(super) struct Computing<'a> {
    pub workspace: &'a Workspace,
    /// So many parts side by side.
    pub at_once: u64,
    /// So many views whose features are read together.
    pub together: usize,
    pub stage: Option<&'a dyn Stage>,
}

impl Computing<'_> {
    /// The `wanted` outputs of a view for the rows of a spine, of records up to a commit.
    pub fn run(&self, events: &Spilled<'_>, commit: u64, spine: &Blocks, wanted: &[usize]) -> Result<Found> {
        let outputs = wanted.iter().map(|output| &events.view.outputs()[*output]);
        let fields: Vec<Field> =
            outputs.map(|output| Field::new(&output.name, output.value_type.arrow(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let blocks = spill::blocks(self.workspace) / self.together as u64;
        let found = Mutex::new(BlocksWriter::new(&self.workspace.temporary()?, spine.parts(), blocks)?);
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= spine.parts() {
                    return Ok(());
                }
                if spine.rows(part) > 0 {
                    let of_part =
                        self.part(events, commit, spine, part)?.project(wanted)?.with_schema(schema.clone())?;
                    found.lock().unwrap_or_else(PoisonError::into_inner).write(part, &of_part)?;
                }
            }
        };
        std::thread::scope(|scope| {
            let worker = || {
                let done = work();
                if done.is_err() {
                    // Nobody takes more once one has failed.
                    next.store(spine.parts(), Ordering::Relaxed);
                }
                done
            };
            let workers: Vec<_> = (0..self.at_once).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a part's work does not panic"))
        })?;
        let parts = found.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
        Ok(Found { parts, schema })
    }

    fn part(&self, events: &Spilled<'_>, commit: u64, spine: &Blocks, part: usize) -> Result<RecordBatch> {
        let threads = self.at_once as usize / spine.parts().min(self.at_once as usize);
        let pass = events.pass(part)?.with_threads(threads);
        let rows = spine.read(part).collect::<Result<Vec<_>>>()?;
        let rows = concat_batches(&rows[0].schema(), &rows)?;
        let found = pass.run(&of_batch(&rows, events.view.key_columns().len()), Some(commit))?;
        self.stage.iter().for_each(|stage| stage.advance(rows.num_rows() as u64));
        Ok(found)
    }
}

impl Found {
    /// To be asked for the rows of the spine from the first on.
    pub fn joined(&self) -> Joined {
        let parts =
            (0..self.parts.parts()).map(|part| Standing { batches: self.parts.read(part), batch: None, row: 0 });
        Joined { parts: parts.collect(), schema: self.schema.clone() }
    }
}

/// What was found in the order of the spine.
pub(super) struct Joined {
    parts: Vec<Standing<Reading>>,
    schema: SchemaRef,
}

/// Where a part is gone through.
struct Standing<B> {
    batches: B,
    /// The batch that it stands in, with the batch's place among those that rows are taken from.
    batch: Option<(RecordBatch, usize)>,
    row: usize,
}

impl Joined {
    /// What was found for the next rows, of which these parts have one each.
    pub fn next(&mut self, parts: &UInt8Array) -> Result<RecordBatch> {
        next_of(&mut self.parts, &self.schema, parts)
    }
}

fn next_of<B: Iterator<Item = Result<RecordBatch>>>(
    standing: &mut [Standing<B>],
    schema: &SchemaRef,
    parts: &UInt8Array,
) -> Result<RecordBatch> {
    if parts.is_empty() {
        return Ok(RecordBatch::new_empty(schema.clone()));
    }
    let mut taken: Vec<RecordBatch> = Vec::new();
    for part in standing.iter_mut() {
        if let Some((batch, place)) = &mut part.batch {
            *place = taken.len();
            taken.push(batch.clone());
        }
    }
    let mut places = Vec::with_capacity(parts.len());
    for part in parts.values() {
        let part = &mut standing[usize::from(*part)];
        while part.batch.as_ref().is_none_or(|(batch, _)| part.row == batch.num_rows()) {
            let batch = part.batches.next().context("a part has fewer rows than were put there")??;
            part.batch = Some((batch.clone(), taken.len()));
            part.row = 0;
            taken.push(batch);
        }
        let place = part.batch.as_ref().map_or(0, |(_, place)| *place);
        places.push((place, part.row));
        part.row += 1;
    }
    let column = |index: usize| {
        let columns: Vec<&dyn Array> = taken.iter().map(|batch| batch.column(index).as_ref()).collect();
        interleave(&columns, &places)
    };
    let columns = (0..schema.fields().len()).map(column).collect::<Result<_, _>>()?;
    // A model may take nothing of a view.
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use proptest::prelude::*;

    use super::*;

    fn batch(rows: &[usize]) -> RecordBatch {
        let numbers: Int64Array = rows.iter().map(|row| (row % 5 > 0).then_some(*row as i64)).collect();
        let texts: StringArray = rows.iter().map(|row| (row % 3 > 0).then(|| row.to_string())).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("number", Arc::new(numbers) as ArrayRef, true),
            ("text", Arc::new(texts), true),
        ])
        .unwrap()
    }

    proptest! {
        #[test]
        fn each_row_finds_its_own_in_its_part(
            parts in prop::collection::vec(0..5u8, 0..300),
            block in 1..40usize,
            asked in 1..70usize,
        ) {
            let all: Vec<usize> = (0..parts.len()).collect();
            let mut standing: Vec<_> = (0..5).map(|part| {
                let rows: Vec<usize> = all.iter().copied().filter(|row| parts[*row] == part).collect();
                let batches: Vec<_> = rows.chunks(block).map(|rows| Ok(batch(rows))).collect();
                Standing { batches: batches.into_iter(), batch: None, row: 0 }
            }).collect();
            let schema = batch(&[]).schema();
            for (rows, parts) in all.chunks(asked).zip(parts.chunks(asked)) {
                let found = next_of(&mut standing, &schema, &UInt8Array::from(parts.to_vec())).unwrap();
                prop_assert_eq!(found, batch(rows));
            }
            prop_assert!(standing.iter_mut().all(|part| part.batches.next().is_none()), "nothing is left");
        }
    }
}
