//! From rows of history to events.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use karat_core::hidden::{self, NulledCell};
use karat_core::{Column, Instant};

use super::EventTable;
use crate::error::FeatureError;
use crate::view::{CompiledView, Plan};

impl EventTable {
    /// Appends a batch of history: declared columns and hidden ones, in any order. Rows with a null in their key
    /// describe no entity, rows of a timed source without a time are never visible: both are left out.
    pub(crate) fn push(&mut self, view: &CompiledView, batch: &RecordBatch) -> Result<(), FeatureError> {
        let plan = &view.plan;
        let batch = keep_events(view, batch)?;
        let rows = batch.num_rows();
        if self.len() + rows >= u32::MAX as usize {
            return Err(FeatureError::TooMuch("more than 4 billion events"));
        }
        for column in view.source_columns.columns() {
            typed(&batch, column)?;
        }
        let keys = key_columns(view, &batch)?;
        for argument in 0..plan.arguments.len() {
            let array = plan.arguments[argument].expression.evaluate(&batch).map_err(FeatureError::Projection)?;
            self.arguments[argument].append(&array, &mut self.texts);
        }
        self.key.extend(self.keys.intern(&keys, rows));
        let first = self.event_time.len();
        if plan.timed {
            self.event_time.extend_from_slice(words(&batch, hidden::EVENT_TIME)?.values());
        } else {
            self.event_time.resize(first + rows, 0);
        }
        let known = words(&batch, hidden::KNOWN_TIME)?;
        let times = self.event_time[first..].iter().zip(known.values());
        self.delay.extend(times.map(|(event, known)| known.wrapping_sub(*event)));
        self.commit.extend(words(&batch, hidden::COMMIT)?.values().iter().copied());
        let removed = hidden_column(&batch, hidden::REMOVED, &ArrowType::Boolean)?;
        self.removed.extend(removed.as_boolean().iter().map(|removed| removed.unwrap_or(false)));
        if let (Some(cells), Some(column)) = (&mut self.sequence, &plan.sequence) {
            cells.append(&typed(&batch, column)?, &mut self.texts);
        }
        for (cells, column) in self.identity.iter_mut().zip(&plan.identity) {
            cells.append(&typed(&batch, column)?, &mut self.texts);
        }
        if !plan.nulled.is_empty() {
            let nulled = hidden_column(&batch, hidden::NULLED, &ArrowType::Utf8)?;
            for text in nulled.as_string::<i32>() {
                let reported = text.filter(|text| reports(text, plan));
                self.nulled.push(reported.map(|text| i64::from(self.texts.intern(text.as_bytes()))));
            }
        }
        Ok(())
    }

    /// The newest event's time.
    pub(crate) fn newest(&self) -> Option<Instant> {
        self.event_time.iter().max().map(|micros| Instant::from_micros(*micros))
    }
}

fn keep_events(view: &CompiledView, batch: &RecordBatch) -> Result<RecordBatch, FeatureError> {
    let mut required = key_columns(view, batch)?;
    if view.plan.timed {
        required.push(hidden_column(batch, hidden::EVENT_TIME, &ArrowType::Int64)?);
    }
    if required.iter().all(|column| column.null_count() == 0) {
        return Ok(batch.clone());
    }
    let whole: BooleanArray =
        (0..batch.num_rows()).map(|row| Some(required.iter().all(|column| column.is_valid(row)))).collect();
    arrow::compute::filter_record_batch(batch, &whole).map_err(|error| FeatureError::Batch(error.to_string()))
}

fn key_columns(view: &CompiledView, batch: &RecordBatch) -> Result<Vec<ArrayRef>, FeatureError> {
    view.key_columns().iter().map(|column| typed(batch, column)).collect()
}

fn typed(batch: &RecordBatch, column: &Column) -> Result<ArrayRef, FeatureError> {
    let wanted = if column.name == hidden::FILE { hidden::file_type() } else { column.data_type.arrow() };
    hidden_column(batch, &column.name, &wanted)
}

fn hidden_column(batch: &RecordBatch, name: &str, wanted: &ArrowType) -> Result<ArrayRef, FeatureError> {
    match batch.column_by_name(name) {
        Some(column) if column.data_type() == wanted => Ok(column.clone()),
        Some(column) => {
            Err(FeatureError::Batch(format!("column `{name}` is {} in place of {wanted}", column.data_type())))
        }
        None => Err(FeatureError::Batch(format!("there is no column `{name}`"))),
    }
}

fn words(batch: &RecordBatch, name: &str) -> Result<Int64Array, FeatureError> {
    let column = hidden_column(batch, name, &ArrowType::Int64)?;
    if column.null_count() > 0 {
        return Err(FeatureError::Batch(format!("column `{name}` has nulls")));
    }
    Ok(column.as_primitive::<Int64Type>().clone())
}

fn reports(nulled: &str, plan: &Plan) -> bool {
    nulled_cells(nulled).iter().any(|cell| plan.nulled.contains(&cell.column))
}

/// What `_nulled` lists; nothing where it cannot be read.
pub(crate) fn nulled_cells(text: &str) -> Vec<NulledCell> {
    serde_json::from_str(text).unwrap_or_default()
}
