//! Rows as read into rows as checked: `prepare` applied, raw values kept aside where they are replaced.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow::compute::{concat, filter_record_batch, not};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef};
use karat_core::{Column, DataType, Value};
use karat_features::Expression;
use karat_project::spec::Action;

use crate::Result;
use crate::plan::{Identity, Parts, with_row_number};
use crate::read::{BadRow, ReadBatch};

/// Where things stand in a batch on its way through the contract.
///
/// First come the prepared columns, then the raw values of those columns that `prepare` or `set_null` replace, then
/// the row's place.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Per column read: its name and where its raw values stand.
    pub raw: Vec<(String, usize)>,
    /// Columns read whose raw values are kept aside, by their index among the columns read.
    aside: Vec<usize>,
    pub file: usize,
    pub line: usize,
    pub row: usize,
    pub nulled: usize,
    pub schema: SchemaRef,
}

impl Layout {
    pub(super) fn new(parts: &Parts) -> Layout {
        let nulled_column = |name: &str| {
            parts.rules.iter().any(|rule| rule.action == Action::SetNull && rule.column.as_deref() == Some(name))
        };
        let mut fields = parts.prepared.arrow_fields();
        let mut raw = Vec::new();
        let mut aside = Vec::new();
        for (index, column) in parts.read.columns().iter().enumerate() {
            let replaced = parts.prepare.iter().any(|prepared| prepared.name == column.name);
            if replaced || nulled_column(&column.name) {
                aside.push(index);
                raw.push((column.name.clone(), fields.len()));
                fields.push(Field::new(format!("raw {}", column.name), column.data_type.arrow(), true));
            } else {
                let place = parts.prepared.index_of(&column.name).expect("prepare keeps every column read");
                raw.push((column.name.clone(), place));
            }
        }
        let file = fields.len();
        fields.push(Field::new("_file", ArrowType::UInt32, false));
        fields.push(Field::new("_line", ArrowType::Int64, false));
        fields.push(Field::new("_row", ArrowType::Int64, false));
        fields.push(Field::new("_nulled", ArrowType::Utf8, true));
        let schema = Arc::new(ArrowSchema::new(fields));
        Layout { raw, aside, file, line: file + 1, row: file + 2, nulled: file + 3, schema }
    }

    /// A row as it was read, as JSON.
    pub(super) fn raw_row(&self, batch: &RecordBatch, row: usize) -> String {
        json_row(self.raw.iter().map(|(name, place)| (name.as_str(), batch.column(*place))), row)
    }
}

fn json_row<'a>(columns: impl Iterator<Item = (&'a str, &'a ArrayRef)>, row: usize) -> String {
    let cells: Vec<String> = columns
        .map(|(name, array)| format!("{}:{}", serde_json::Value::from(name), Value::from_array(array, row).to_json()))
        .collect();
    format!("{{{}}}", cells.join(","))
}

/// Rows in the layout of the chain.
pub(super) struct Preparing {
    pub rows: RecordBatch,
    /// Those on which an expression failed, which gave null.
    pub failed_rows: RecordBatch,
    /// Where, and why.
    pub failed: Vec<BadRow>,
}

/// Applies `prepare`. Rows on which an expression fails are returned apart.
pub(super) fn prepare(parts: &Parts, layout: &Layout, batch: ReadBatch) -> Result<Preparing> {
    let rows = batch.rows.num_rows();
    let mut columns: Vec<(Column, ArrayRef)> =
        parts.read.columns().iter().cloned().zip(batch.rows.columns().iter().cloned()).collect();
    let mut bad: Vec<BadRow> = Vec::new();
    let mut good = vec![true; rows];
    for prepared in &parts.prepare {
        let input = assemble(&columns, &batch.numbers)?;
        let mut failures = Vec::new();
        let array = evaluate(&prepared.expression, &input, 0, &mut failures)?;
        for (row, reason) in failures {
            if std::mem::replace(&mut good[row], false) {
                let read = parts.read.names().zip(batch.rows.columns());
                bad.push(BadRow {
                    file: batch.file,
                    line: batch.lines.value(row),
                    column: Some(prepared.name.clone()),
                    value: None,
                    reason,
                    row: json_row(read, row),
                });
            }
        }
        let column = Column::new(&prepared.name, prepared.expression.data_type());
        match columns.iter_mut().find(|(existing, _)| existing.name == prepared.name) {
            Some(existing) => *existing = (column, array),
            None => columns.push((column, array)),
        }
    }
    let mut arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, array)| array).collect();
    arrays.extend(layout.aside.iter().map(|index| batch.rows.column(*index).clone()));
    arrays.push(Arc::new(UInt32Array::from(vec![batch.file; rows])));
    arrays.push(Arc::new(batch.lines));
    arrays.push(match parts.shape.identity {
        Identity::Columns(_) => Arc::new(batch.numbers),
        Identity::FileRow => Arc::new(Int64Array::from_iter_values(
            batch.numbers.values().iter().map(|number| number - batch.rows_before),
        )),
    });
    arrays.push(Arc::new(StringArray::new_null(rows)));
    let staged = RecordBatch::try_new(layout.schema.clone(), arrays)?;
    if bad.is_empty() {
        return Ok(Preparing { failed_rows: staged.slice(0, 0), rows: staged, failed: bad });
    }
    let good = BooleanArray::from(good);
    let failed_rows = filter_record_batch(&staged, &not(&good)?)?;
    Ok(Preparing { rows: filter_record_batch(&staged, &good)?, failed_rows, failed: bad })
}

fn assemble(columns: &[(Column, ArrayRef)], numbers: &Int64Array) -> Result<RecordBatch> {
    let (named, mut arrays): (Vec<Column>, Vec<ArrayRef>) = columns.iter().cloned().unzip();
    arrays.push(Arc::new(numbers.clone()));
    Ok(RecordBatch::try_new(with_row_number(&named).arrow(), arrays)?)
}

/// Evaluates over the batch; where that fails, over its halves, down to the rows at fault, which give null.
pub(super) fn evaluate(
    expression: &Expression,
    batch: &RecordBatch,
    offset: usize,
    failures: &mut Vec<(usize, String)>,
) -> Result<ArrayRef> {
    match expression.evaluate(batch) {
        Ok(array) => Ok(array),
        Err(error) if batch.num_rows() <= 1 => {
            failures.push((offset, error.to_string()));
            Ok(new_null_array(&expression.data_type().arrow(), batch.num_rows()))
        }
        Err(_) => {
            let half = batch.num_rows() / 2;
            let first = evaluate(expression, &batch.slice(0, half), offset, failures)?;
            let rest = batch.slice(half, batch.num_rows() - half);
            let second = evaluate(expression, &rest, offset + half, failures)?;
            Ok(concat(&[first.as_ref(), second.as_ref()])?)
        }
    }
}

/// The true rows of a condition; null and failing rows are not.
pub(super) fn holds(condition: &Expression, batch: &RecordBatch) -> Result<BooleanArray> {
    use arrow::array::AsArray;
    debug_assert_eq!(condition.data_type(), DataType::Bool);
    let array = evaluate(condition, batch, 0, &mut Vec::new())?;
    let array = array.as_boolean();
    Ok(BooleanArray::from((0..array.len()).map(|row| array.is_valid(row) && array.value(row)).collect::<Vec<bool>>()))
}
