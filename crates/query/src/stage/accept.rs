//! Accepted rows on their way into the spool, with their times worked out.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Field, Int64Type, Schema as ArrowSchema, SchemaRef, TimestampMicrosecondType,
    UInt32Type,
};
use karat_core::{Instant, Zone, hidden};

use super::prepare::{Layout, holds};
use crate::Result;
use crate::plan::{Identity, Parts};
use crate::read::BadRow;
use crate::spool::{Spool, SpoolWriter};

/// `UInt32`: which of the delivery's files.
pub(crate) const ACCEPTED_FILE: &str = "_file_number";
pub(crate) const ACCEPTED_LINE: &str = "_line";

pub(super) struct AcceptWriter {
    schema: SchemaRef,
    spool: SpoolWriter,
}

impl AcceptWriter {
    pub(super) fn new(parts: &Parts, layout: &Layout, temp_dir: &Path, budget: usize) -> AcceptWriter {
        let schema = accepted_schema(parts, layout);
        AcceptWriter { spool: SpoolWriter::new(schema.clone(), temp_dir, budget), schema }
    }

    /// Takes the rows that can enter a history; gives back the others by their place, each with the check it fails.
    pub(super) fn push(&mut self, parts: &Parts, layout: &Layout, batch: &RecordBatch) -> Result<Vec<Incomplete>> {
        let (accepted, incomplete) = accept(&self.schema, parts, layout, batch)?;
        self.spool.push(accepted)?;
        Ok(incomplete)
    }

    pub(super) fn finish(self) -> Result<Spool> {
        self.spool.finish()
    }
}

/// After the declared columns: `_event_time`, `_known_time` (at their word; null for facts), `_removed` (the row says
/// so), the place, `_row`, `_nulled`.
pub(super) fn accepted_schema(parts: &Parts, layout: &Layout) -> SchemaRef {
    let mut fields = parts.shape.schema.arrow_fields();
    fields.push(Field::new(hidden::EVENT_TIME, ArrowType::Int64, true));
    fields.push(Field::new(hidden::KNOWN_TIME, ArrowType::Int64, true));
    fields.push(Field::new(hidden::REMOVED, ArrowType::Boolean, false));
    fields.push(Field::new(ACCEPTED_FILE, ArrowType::UInt32, false));
    fields.push(Field::new(ACCEPTED_LINE, ArrowType::Int64, false));
    fields.push(Field::new(hidden::ROW, ArrowType::Int64, false));
    fields.push(layout.schema.field(layout.nulled).clone());
    Arc::new(ArrowSchema::new(fields))
}

/// The rows that can enter a history, and the others by their place, each with the check it fails.
pub(super) fn accept(
    schema: &SchemaRef,
    parts: &Parts,
    layout: &Layout,
    batch: &RecordBatch,
) -> Result<(RecordBatch, Vec<Incomplete>)> {
    let places: Vec<usize> = (0..parts.prepared.columns().len()).collect();
    let removed = match &parts.deleted {
        Some(condition) => holds(condition, &batch.project(&places)?)?,
        None => BooleanArray::from(vec![false; batch.num_rows()]),
    };
    let event_time = event_times(parts, batch);
    let known_time = known_times(parts, batch, &event_time);
    let incomplete = if parts.source.keep {
        incomplete(parts, layout, batch, &removed, &event_time, &known_time)
    } else {
        Vec::new()
    };
    let mut columns: Vec<ArrayRef> = parts.kept.iter().map(|place| batch.column(*place).clone()).collect();
    columns.push(Arc::new(event_time));
    columns.push(Arc::new(known_time));
    columns.push(Arc::new(removed));
    columns.extend([layout.file, layout.line, layout.row, layout.nulled].map(|place| batch.column(place).clone()));
    let mut accepted = RecordBatch::try_new(schema.clone(), columns)?;
    if !incomplete.is_empty() {
        let mut keep = vec![true; batch.num_rows()];
        incomplete.iter().for_each(|(row, ..)| keep[*row] = false);
        accepted = filter_record_batch(&accepted, &BooleanArray::from(keep))?;
    }
    Ok((accepted, incomplete))
}

/// The places of the declared columns and `_row` in an accepted batch.
pub(crate) fn visible_columns(schema: &SchemaRef) -> Vec<usize> {
    let declared = schema.index_of(hidden::EVENT_TIME).expect("accepted batches have it");
    let row = schema.index_of(hidden::ROW).expect("accepted batches have it");
    (0..declared).chain([row]).collect()
}

fn column<'a>(parts: &Parts, batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column(parts.prepared.index_of(name).expect("the plan has checked the column"))
}

fn event_times(parts: &Parts, batch: &RecordBatch) -> Int64Array {
    match &parts.source.event_time {
        Some(name) => micros(column(parts, batch, name), &parts.source.zone()),
        None => Int64Array::new_null(batch.num_rows()),
    }
}

/// What the row itself says; null for a fact, whose first row is known always and later ones from their ingest.
fn known_times(parts: &Parts, batch: &RecordBatch, event_time: &Int64Array) -> Int64Array {
    let zone = parts.source.zone();
    match (&parts.source.known_time, parts.source.available_after) {
        (Some(name), _) => micros(column(parts, batch, name), &zone),
        (None, None) => event_time.clone(),
        (None, Some(delay)) => {
            event_time.iter().map(|t| Some(delay.end(Instant::from_micros(t?), &zone).micros())).collect()
        }
    }
}

/// Dates and timestamps as instants.
fn micros(array: &ArrayRef, zone: &Zone) -> Int64Array {
    if array.data_type() == &ArrowType::Date32 {
        let mut last = (0, zone.midnight(0).micros());
        let days = array.as_primitive::<Date32Type>().iter();
        return days
            .map(|day| {
                let day = day?;
                if day != last.0 {
                    last = (day, zone.midnight(day).micros());
                }
                Some(last.1)
            })
            .collect();
    }
    array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>()
}

pub(super) type Incomplete = (usize, &'static str, BadRow);

fn incomplete(
    parts: &Parts,
    layout: &Layout,
    batch: &RecordBatch,
    removed: &BooleanArray,
    event_time: &Int64Array,
    known_time: &Int64Array,
) -> Vec<Incomplete> {
    let mut found: Vec<Incomplete> = Vec::new();
    let mut noted = vec![false; batch.num_rows()];
    let mut add = |row: usize, check: &'static str, name: &str| {
        if std::mem::replace(&mut noted[row], true) {
            return;
        }
        let bad = BadRow {
            file: batch.column(layout.file).as_primitive::<UInt32Type>().value(row),
            line: batch.column(layout.line).as_primitive::<Int64Type>().value(row),
            column: Some(name.to_owned()),
            value: None,
            reason: format!("is null; a row without its {check} has no place in a history"),
            row: layout.raw_row(batch, row),
        };
        found.push((row, check, bad));
    };
    if let Identity::Columns(names) = &parts.shape.identity {
        for name in names {
            let array = column(parts, batch, name);
            if array.null_count() > 0 {
                (0..array.len()).filter(|row| array.is_null(*row)).for_each(|row| add(row, "key", name));
            }
        }
    }
    // A row that removes its key may leave the rest empty.
    let missing = |array: &Int64Array, row: usize| array.is_null(row) && !removed.value(row);
    if let Some(name) = &parts.source.event_time {
        (0..batch.num_rows()).filter(|row| missing(event_time, *row)).for_each(|row| add(row, "event_time", name));
    }
    if let Some(name) = &parts.source.known_time {
        (0..batch.num_rows()).filter(|row| missing(known_time, *row)).for_each(|row| add(row, "known_time", name));
    }
    found
}
