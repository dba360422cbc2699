//! From rows of history to events.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use karat_core::hidden::{self, NulledCell};
use karat_core::{Column, Instant};

use super::EventTable;
use crate::error::FeatureError;
use crate::view::{CompiledView, Plan};

/// A batch of history, reduced to what a view's features need of its rows.
pub(crate) struct Projected {
    pub(crate) rows: usize,
    pub(crate) keys: Vec<ArrayRef>,
    arguments: Vec<ArrayRef>,
    /// `None` where events have no time.
    event_time: Option<Int64Array>,
    known_time: Int64Array,
    commit: Int64Array,
    removed: BooleanArray,
    sequence: Option<ArrayRef>,
    identity: Vec<ArrayRef>,
    nulled: Option<ArrayRef>,
}

impl Projected {
    /// Of declared columns and hidden ones, in any order. Rows with a null in their key describe no entity, rows of a
    /// timed source without a time are never visible: both are left out.
    pub(crate) fn new(view: &CompiledView, batch: &RecordBatch) -> Result<Projected, FeatureError> {
        let plan = &view.plan;
        let batch = keep_events(view, batch)?;
        for column in view.source_columns.columns() {
            typed(&batch, column)?;
        }
        let evaluated = plan.arguments.iter().map(|argument| argument.expression.evaluate_or_null(&batch));
        let removed = hidden_column(&batch, hidden::REMOVED, &ArrowType::Boolean)?;
        let nulled = || hidden_column(&batch, hidden::NULLED, &ArrowType::Utf8);
        Ok(Projected {
            rows: batch.num_rows(),
            keys: key_columns(view, &batch)?,
            arguments: evaluated.collect::<Result<_, _>>().map_err(FeatureError::Projection)?,
            event_time: if plan.timed { Some(words(&batch, hidden::EVENT_TIME)?) } else { None },
            known_time: words(&batch, hidden::KNOWN_TIME)?,
            commit: words(&batch, hidden::COMMIT)?,
            removed: removed.as_boolean().clone(),
            sequence: plan.sequence.as_ref().map(|column| typed(&batch, column)).transpose()?,
            identity: plan.identity.iter().map(|column| typed(&batch, column)).collect::<Result<_, _>>()?,
            nulled: if plan.nulled.is_empty() { None } else { Some(nulled()?) },
        })
    }
}

impl EventTable {
    /// Appends the rows of a batch that are listed.
    pub(crate) fn append(&mut self, plan: &Plan, batch: &Projected, rows: &[u32]) -> Result<(), FeatureError> {
        if self.len() + rows.len() >= u32::MAX as usize {
            return Err(FeatureError::TooMuch("more than 4 billion events"));
        }
        for (cells, array) in self.arguments.iter_mut().zip(&batch.arguments) {
            cells.append(array, rows, &mut self.texts);
        }
        self.append_keys(&batch.keys, rows);
        let known = batch.known_time.values();
        match batch.event_time.as_ref().map(Int64Array::values) {
            Some(event) => {
                self.event_time.extend(rows.iter().map(|row| event[*row as usize]));
                self.delay.extend(rows.iter().map(|row| known[*row as usize].wrapping_sub(event[*row as usize])));
            }
            None => {
                self.event_time.resize(self.event_time.len() + rows.len(), 0);
                self.delay.extend(rows.iter().map(|row| known[*row as usize]));
            }
        }
        let commit = batch.commit.values();
        self.commit.extend(rows.iter().map(|row| commit[*row as usize]));
        let removed = |row: &u32| batch.removed.is_valid(*row as usize) && batch.removed.value(*row as usize);
        self.removed.extend(rows.iter().map(removed));
        if let (Some(cells), Some(array)) = (&mut self.sequence, &batch.sequence) {
            cells.append(array, rows, &mut self.texts);
        }
        for (cells, array) in self.identity.iter_mut().zip(&batch.identity) {
            cells.append(array, rows, &mut self.texts);
        }
        if let Some(nulled) = &batch.nulled {
            let nulled = nulled.as_string::<i32>();
            for row in rows.iter().map(|row| *row as usize) {
                let reported = nulled.is_valid(row).then(|| nulled.value(row)).filter(|text| reports(text, plan));
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

/// The rows of a batch that are events of an entity.
pub(crate) fn keep_events(view: &CompiledView, batch: &RecordBatch) -> Result<RecordBatch, FeatureError> {
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

pub(crate) fn key_columns(view: &CompiledView, batch: &RecordBatch) -> Result<Vec<ArrayRef>, FeatureError> {
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
