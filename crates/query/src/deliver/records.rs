use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::{Field, Schema as ArrowSchema};
use karat_core::hidden;

use super::differences::Rules;
use super::timeline::{Record, RowRef};
use crate::Result;

/// Rows a written batch.
const ROWS: usize = 32_768;

/// The records as a history writer takes them.
pub(super) fn build(
    rules: &Rules,
    delivered: &RecordBatch,
    there: Option<&RecordBatch>,
    records: &[Record],
) -> Result<Vec<RecordBatch>> {
    let declared = rules.shape.schema.names();
    let fields: Vec<Field> = rules.shape.schema.arrow_fields().into_iter().chain(hidden::fields()).collect();
    let schema = Arc::new(ArrowSchema::new(fields));
    let names: Vec<&str> = declared.chain([hidden::FILE, hidden::ROW, hidden::NULLED]).collect();
    let mut batches = Vec::new();
    for records in records.chunks(ROWS) {
        let places: Vec<(usize, usize)> = records
            .iter()
            .map(|record| match record.row {
                RowRef::Delivered(row) => (0, row),
                RowRef::There(row) => (1, row),
            })
            .collect();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for name in &names {
            let column = |batch: &RecordBatch| batch.column_by_name(name).expect("both sides have it").clone();
            let sides: Vec<ArrayRef> = std::iter::once(column(delivered)).chain(there.map(column)).collect();
            let sides: Vec<&dyn Array> = sides.iter().map(ArrayRef::as_ref).collect();
            columns.push(interleave(&sides, &places)?);
        }
        let last_three = columns.split_off(columns.len() - 3);
        let event = |record: &Record| (record.event != i64::MIN).then_some(record.event);
        columns.push(Arc::new(records.iter().map(event).collect::<Int64Array>()));
        columns.push(Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.known))));
        columns.push(Arc::new(Int64Array::from_value(rules.commit, records.len())));
        columns.push(Arc::new(BooleanArray::from_iter(records.iter().map(|record| Some(record.removed)))));
        columns.extend(last_three);
        batches.push(RecordBatch::try_new(schema.clone(), columns)?);
    }
    Ok(batches)
}
