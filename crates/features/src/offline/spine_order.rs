//! The order of a spine's rows: one that depends on their values alone, so that equal data train equally however their
//! history came about, and that puts a key's rows together in the order of their times.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, take_record_batch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use crate::error::FeatureError;

/// Rows by their columns from the first to the last, ascending, nulls last.
pub fn in_spine_order(rows: RecordBatch) -> Result<RecordBatch, FeatureError> {
    sort(rows).map_err(|error| FeatureError::Batch(error.to_string()))
}

fn sort(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut order = match rows.columns() {
        [first, second, ..] => by_words(words(first).zip(words(second)), rows.num_rows()),
        _ => by_words(None, rows.num_rows()),
    };
    // A key and a time mostly settle it: only rows that agree on both are compared in the rest.
    let agree = |a: &(i64, i64, u32), b: &(i64, i64, u32)| (a.0, a.1) == (b.0, b.1);
    let tied = |tied: &&[(i64, i64, u32)]| tied.len() > 1;
    let undecided = order.chunk_by(agree).filter(tied).flatten().map(|(_, _, row)| *row);
    let encoded = encode(&take_record_batch(&rows, &UInt32Array::from_iter_values(undecided))?)?;
    let mut before = 0;
    for group in order.chunk_by_mut(agree).filter(|group| group.len() > 1) {
        let mut places: Vec<(usize, u32)> =
            group.iter().enumerate().map(|(place, (_, _, row))| (before + place, *row)).collect();
        before += group.len();
        places.sort_by(|(a, _), (b, _)| encoded.row(*a).cmp(&encoded.row(*b)));
        for (cell, (_, row)) in group.iter_mut().zip(places) {
            cell.2 = row;
        }
    }
    if order.iter().enumerate().all(|(place, (_, _, row))| place == *row as usize) {
        return Ok(rows);
    }
    take_record_batch(&rows, &UInt32Array::from_iter_values(order.into_iter().map(|(_, _, row)| row)))
}

/// Rows in the order of two columns of words; without them, as they stand and all alike.
fn by_words(words: Option<(Vec<i64>, Vec<i64>)>, rows: usize) -> Vec<(i64, i64, u32)> {
    let Some((first, second)) = words else { return (0..rows as u32).map(|row| (0, 0, row)).collect() };
    let mut order: Vec<(i64, i64, u32)> =
        first.into_iter().zip(second).zip(0..).map(|((first, second), row)| (first, second, row)).collect();
    order.sort_unstable();
    order
}

/// A column without nulls whose order is that of 64-bit words.
fn words(column: &ArrayRef) -> Option<Vec<i64>> {
    if column.null_count() > 0 {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().values().to_vec()),
        DataType::Date32 => {
            Some(column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Some(column.as_primitive::<TimestampMicrosecondType>().values().to_vec())
        }
        _ => None,
    }
}

/// Bytes that compare as the rows do.
fn encode(rows: &RecordBatch) -> Result<Rows, ArrowError> {
    let options = SortOptions { descending: false, nulls_first: false };
    let fields = rows.columns().iter().map(|column| SortField::new_with_options(column.data_type().clone(), options));
    RowConverter::new(fields.collect())?.convert_columns(rows.columns())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn sorted(columns: Vec<(&str, ArrayRef)>) -> Vec<Vec<String>> {
        let rows =
            sort(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap());
        let rows = rows.unwrap();
        let cell = |column: &ArrayRef, row| karat_core::Value::from_array(column, row).to_string();
        (0..rows.num_rows()).map(|row| rows.columns().iter().map(|column| cell(column, row)).collect()).collect()
    }

    #[test]
    fn rows_are_sorted_by_every_column_nulls_last() {
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![2, 1, 1, 1, 2]));
        let times: ArrayRef = Arc::new(Int64Array::from(vec![5, 7, 6, 7, 5]));
        let rest: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(0.5), None, Some(-0.5), Some(1.0)]));
        let by_words = sorted(vec![("key", keys.clone()), ("time", times.clone()), ("rest", rest.clone())]);
        assert_eq!(by_words.concat().join(" "), "1 6 null 1 7 -0.5 1 7 0.5 2 5 1 2 5 null");

        // The same rows under keys of text, with a null among them.
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some("a"), Some("a"), None]));
        let by_bytes = sorted(vec![("key", texts), ("time", times), ("rest", rest)]);
        assert_eq!(by_bytes.concat().join(" "), "a 6 null a 7 -0.5 a 7 0.5 null 5 1 null 5 null");
    }

    #[test]
    fn one_column_and_no_rows_are_fine() {
        assert_eq!(sorted(vec![("key", Arc::new(Int64Array::from(vec![3, 1])))]), [["1"], ["3"]]);
        assert!(sorted(vec![("key", Arc::new(Int64Array::from(Vec::<i64>::new())))]).is_empty());
    }
}
