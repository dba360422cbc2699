//! The order of a spine's rows: one that depends on their values alone, so that equal data train equally however their
//! history came about, and that puts a key's rows together in the order of their times.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{SortOptions, take, take_record_batch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::error::FeatureError;

/// Rows by their columns from the first to the last, ascending, nulls last.
pub fn in_spine_order(rows: RecordBatch) -> Result<RecordBatch, FeatureError> {
    sort(rows).map_err(|error| FeatureError::Batch(error.to_string()))
}

fn sort(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let leading = leading(&rows);
    let leads = leading.is_some();
    let mut order = by_words(leading, rows.num_rows());
    // A key and a time mostly settle it: only rows that agree on both are compared in the rest.
    let agree = |a: &Placed, b: &Placed| (a.first, a.second) == (b.first, b.second);
    let undecided = order.chunk_by(agree).filter(|tied| tied.len() > 1).flatten().map(|placed| placed.row);
    let undecided = take_record_batch(&rows, &UInt32Array::from_iter_values(undecided))?;
    let encoded = encoder(&rows)?.convert_columns(undecided.columns())?;
    let mut before = 0;
    for group in order.chunk_by_mut(agree).filter(|group| group.len() > 1) {
        let mut places: Vec<(usize, u32)> =
            group.iter().enumerate().map(|(place, placed)| (before + place, placed.row)).collect();
        before += group.len();
        places.sort_by(|(a, _), (b, _)| encoded.row(*a).cmp(&encoded.row(*b)));
        for (placed, (_, row)) in group.iter_mut().zip(places) {
            placed.row = row;
        }
    }
    if order.iter().enumerate().all(|(place, placed)| place == placed.row as usize) {
        return Ok(rows);
    }
    let places = UInt32Array::from_iter_values(order.iter().map(|placed| placed.row));
    let column = |(index, column): (usize, &ArrayRef)| match index {
        0 if leads => Ok(of_words(column.data_type(), order.iter().map(|placed| placed.first))),
        1 if leads => Ok(of_words(column.data_type(), order.iter().map(|placed| placed.second))),
        _ => take(column, &places, None),
    };
    let columns = rows.columns().iter().enumerate().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(rows.schema(), columns)
}

pub(super) type Words = ScalarBuffer<i64>;

/// The words of the key and the time, where the first two columns are such.
pub(super) fn leading(rows: &RecordBatch) -> Option<(Words, Words)> {
    match rows.columns() {
        [first, second, ..] => words(first).zip(words(second)),
        _ => None,
    }
}

/// A row under the words it is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    first: i64,
    second: i64,
    row: u32,
}

/// Rows in the order of two columns of words; without them, as they stand and all alike.
fn by_words(words: Option<(Words, Words)>, rows: usize) -> Vec<Placed> {
    let placed = |first, second, row: usize| Placed { first, second, row: row as u32 };
    let Some((first, second)) = words else { return (0..rows).map(|row| placed(0, 0, row)).collect() };
    let (Some(least), Some(greatest)) = (first.iter().min(), first.iter().max()) else { return Vec::new() };
    // First into stretches of about so many rows, by how far the word lies from the least; then each in a cache.
    let spread = greatest.abs_diff(*least);
    let stretches = (rows / STRETCH_ROWS).next_power_of_two();
    let shift = (u64::BITS - spread.leading_zeros()).saturating_sub(stretches.trailing_zeros());
    let stretch = |word: i64| word.abs_diff(*least).checked_shr(shift).unwrap_or(0) as usize;
    let mut next = vec![0u32; stretches + 1];
    first.iter().for_each(|word| next[stretch(*word) + 1] += 1);
    let mut before = 0;
    for count in &mut next {
        before += *count;
        *count = before;
    }
    let mut order = vec![Placed::default(); rows];
    for (row, (first, second)) in first.iter().zip(second.iter()).enumerate() {
        let place = &mut next[stretch(*first)];
        order[*place as usize] = placed(*first, *second, row);
        *place += 1;
    }
    let mut start = 0;
    for end in next.into_iter().take(stretches) {
        order[start..end as usize].sort_unstable();
        start = end as usize;
    }
    order
}

const STRETCH_ROWS: usize = 256;

/// A column without nulls whose order is that of 64-bit words.
fn words(column: &ArrayRef) -> Option<Words> {
    if column.null_count() > 0 {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().values().clone()),
        DataType::Date32 => {
            Some(column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Some(column.as_primitive::<TimestampMicrosecondType>().values().clone())
        }
        _ => None,
    }
}

/// The column that these are the [`words`] of.
fn of_words(data_type: &DataType, words: impl Iterator<Item = i64>) -> ArrayRef {
    match data_type {
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(words)),
        DataType::Date32 => Arc::new(Date32Array::from_iter_values(words.map(|day| day as i32))),
        _ => Arc::new(TimestampMicrosecondArray::from_iter_values(words).with_data_type(data_type.clone())),
    }
}

/// Gives rows bytes that compare as the rows do.
pub(super) fn encoder(rows: &RecordBatch) -> Result<RowConverter, ArrowError> {
    let options = SortOptions { descending: false, nulls_first: false };
    let fields = rows.columns().iter().map(|column| SortField::new_with_options(column.data_type().clone(), options));
    RowConverter::new(fields.collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn words_anywhere_are_sorted(
            words in prop_oneof![
                prop::collection::vec((any::<i64>(), any::<i64>()), 0..2000),
                prop::collection::vec((-3..3i64, -3..3i64), 0..2000),
                prop::collection::vec((prop_oneof![Just(i64::MIN), Just(i64::MAX), 0..900i64], 0..9i64), 0..2000),
            ],
        ) {
            let (first, second): (Vec<i64>, Vec<i64>) = words.iter().copied().unzip();
            let found = by_words(Some((first.into(), second.into())), words.len());
            let mut wanted: Vec<Placed> = words.iter().enumerate()
                .map(|(row, (first, second))| Placed { first: *first, second: *second, row: row as u32 })
                .collect();
            wanted.sort();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn one_column_and_no_rows_are_fine() {
        assert_eq!(sorted(vec![("key", Arc::new(Int64Array::from(vec![3, 1])))]), [["1"], ["3"]]);
        assert!(sorted(vec![("key", Arc::new(Int64Array::from(Vec::<i64>::new())))]).is_empty());
    }
}
