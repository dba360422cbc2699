//! The columns of a training set.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema, TimestampMicrosecondType};
use karat_serving::{InputOrigin, Pinned};

use super::cases::column;

/// The model's inputs for each row, in their order: columns that views computed, by view and output, and columns of the spine.
pub(super) fn inputs(
    pinned: &Pinned,
    rows: &RecordBatch,
    computed: impl Fn(usize, usize) -> ArrayRef,
) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(pinned.inputs.len());
    let mut columns = Vec::with_capacity(pinned.inputs.len());
    for input in &pinned.inputs {
        let column = match input.origin {
            InputOrigin::View { view, output } => computed(view, output),
            InputOrigin::Request => column(rows, &input.name)?.clone(),
        };
        fields.push(Field::new(&input.name, column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// As a training set is written: the key columns, `as_of`, the features under their own names, the label.
pub(super) fn frame(
    pinned: &Pinned,
    keys: &[ArrayRef],
    read_at: &Int64Array,
    features: &RecordBatch,
    (label_name, label): (&str, &ArrayRef),
) -> Result<RecordBatch> {
    let as_of = Arc::new(read_at.reinterpret_cast::<TimestampMicrosecondType>().with_timezone("+00:00"));
    let named = pinned.keys.iter().zip(keys);
    let mut fields: Vec<Field> =
        named.map(|(key, values)| Field::new(&key.name, values.data_type().clone(), true)).collect();
    fields.push(Field::new("as_of", as_of.data_type().clone(), false));
    let mut columns = keys.to_vec();
    columns.push(as_of);
    fields.extend(features.schema().fields().iter().map(|field| field.as_ref().clone()));
    columns.extend(features.columns().iter().cloned());
    fields.push(Field::new(label_name, label.data_type().clone(), true));
    columns.push(label.clone());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
