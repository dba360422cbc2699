//! The order of rows: one that depends on their values alone, so that equal data train equally however their history came
//! about, and that puts a key's rows together in the order of their times.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{SortOptions, concat_batches, take, take_arrays, take_record_batch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::key_search::{Beside, key_of};
use super::row_merge::RowMerge;
use crate::error::FeatureError;

/// An order of rows by their columns from the first on, ascending, nulls last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowOrder {
    /// As many as there are, where there are fewer. Rows that are alike in them stand in any order.
    columns: usize,
}

impl RowOrder {
    /// By all columns.
    pub const WHOLE: RowOrder = RowOrder { columns: usize::MAX };

    /// By the first so many.
    pub fn by_first(columns: usize) -> RowOrder {
        RowOrder { columns }
    }

    /// The rows of some batches in this order.
    pub fn sort(self, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<RecordBatch, FeatureError> {
        sort(self, schema, batches).map_err(|error| FeatureError::Batch(error.to_string()))
    }

    /// The rows of some runs, which are in this order each and have the same columns, in batches of so many, but for the last.
    pub fn merge<I, E>(self, runs: impl IntoIterator<Item = I>, batch_rows: usize) -> Result<RowMerge<I>, E>
    where
        I: Iterator<Item = Result<RecordBatch, E>>,
        E: From<FeatureError>,
    {
        RowMerge::new(self, runs, batch_rows)
    }

    /// Where, among rows in this order, those begin that are like the last of them.
    pub fn start_of_last(self, rows: &RecordBatch) -> Result<usize, FeatureError> {
        let Some(last) = rows.num_rows().checked_sub(1) else { return Ok(0) };
        let columns = self.columns(rows);
        let beside = Beside::new(columns, &key_of(columns, last));
        beside.map(|beside| beside.start()).map_err(|error| FeatureError::Batch(error.to_string()))
    }

    /// Whether a key and a time say all there is to say.
    pub(super) fn is_of_words(self) -> bool {
        self.columns <= LEADING
    }

    /// The columns that rows are compared in.
    pub(super) fn columns(self, rows: &RecordBatch) -> &[ArrayRef] {
        &rows.columns()[..self.columns.min(rows.num_columns())]
    }

    /// The words of the key and the time, where the first two columns are such and count.
    pub(super) fn words(self, rows: &RecordBatch) -> Option<(Words, Words)> {
        match self.columns(rows) {
            [first, second, ..] => words(first).zip(words(second)),
            _ => None,
        }
    }

    /// Gives rows bytes that compare as the rows do.
    pub(super) fn encoder(self, rows: &RecordBatch) -> Result<RowConverter, ArrowError> {
        let field = |column: &ArrayRef| SortField::new_with_options(column.data_type().clone(), ASCENDING);
        RowConverter::new(self.columns(rows).iter().map(field).collect())
    }
}

pub(super) const ASCENDING: SortOptions = SortOptions { descending: false, nulls_first: false };

fn sort(order: RowOrder, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<RecordBatch, ArrowError> {
    if batches.is_empty() {
        return Ok(RecordBatch::new_empty(schema.clone()));
    }
    let Some(words) = batches.iter().map(|batch| order.words(batch)).collect::<Option<Vec<_>>>() else {
        let rows = concat_batches(schema, &batches)?;
        drop(batches);
        let mut places: Vec<u32> = (0..rows.num_rows() as u32).collect();
        decide(&mut places, order, &rows, |_, _| true)?;
        return take_record_batch(&rows, &UInt32Array::from(places));
    };
    // A key and a time mostly settle it: only rows that agree on both are compared in the rest.
    let rest: Vec<usize> = (LEADING..schema.fields().len()).collect();
    let rest_schema = Arc::new(schema.project(&rest)?);
    let projected = batches.iter().map(|batch| batch.project(&rest)).collect::<Result<Vec<_>, _>>()?;
    drop(batches);
    let rest = concat_batches(&rest_schema, &projected)?;
    drop(projected);
    let Ordered { first, second, mut rows } = by_words(words, PART_ROWS);
    let agree = |a: usize, b: usize| (first[a], second[a]) == (first[b], second[b]);
    if !order.is_of_words() {
        decide(&mut rows, RowOrder::by_first(order.columns - LEADING), &rest, agree)?;
    }
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (words, field) in [first, second].into_iter().zip(schema.fields()) {
        columns.push(of_words(field.data_type(), words));
    }
    let rows = UInt32Array::from(rows);
    for column in rest.columns() {
        columns.push(take(column, &rows, None)?);
    }
    RecordBatch::try_new(schema.clone(), columns)
}

/// How many columns lead.
const LEADING: usize = 2;

/// Puts rows that agree so far in the order of these columns; `agree` is asked of places next to each other.
fn decide(
    places: &mut [u32],
    order: RowOrder,
    rows: &RecordBatch,
    agree: impl Fn(usize, usize) -> bool,
) -> Result<(), ArrowError> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for end in 1..=places.len() {
        if end == places.len() || !agree(end - 1, end) {
            if end - start > 1 {
                groups.push(start..end);
            }
            start = end;
        }
    }
    let columns = order.columns(rows);
    if groups.is_empty() || columns.is_empty() {
        return Ok(());
    }
    let undecided = UInt32Array::from_iter_values(groups.iter().flat_map(|group| &places[group.clone()]).copied());
    let undecided = take_arrays(columns, &undecided, None)?;
    let encoded = order.encoder(rows)?.convert_columns(&undecided)?;
    let mut before = 0;
    for group in groups {
        let group = &mut places[group];
        let mut rows: Vec<(usize, u32)> = group.iter().enumerate().map(|(place, row)| (before + place, *row)).collect();
        before += group.len();
        rows.sort_by(|(a, _), (b, _)| encoded.row(*a).cmp(&encoded.row(*b)));
        for (placed, (_, row)) in group.iter_mut().zip(rows) {
            *placed = row;
        }
    }
    Ok(())
}

/// 64 bits a row.
pub(super) type Words = ScalarBuffer<i64>;

/// The words of rows in their order, and which rows these are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ordered {
    first: Vec<i64>,
    second: Vec<i64>,
    rows: Vec<u32>,
}

/// A row under the words it is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    first: i64,
    second: i64,
    row: u32,
}

/// Rows in the order of their words; rows with the same as they stand. About so many rows are sorted at a time, and
/// all of them at once where first words are next to each other but for some far off.
fn by_words(batches: Vec<(Words, Words)>, part_rows: usize) -> Ordered {
    let firsts = || batches.iter().flat_map(|(first, _)| first.iter());
    let (Some(least), Some(greatest)) = (firsts().min(), firsts().max()) else { return Ordered::default() };
    let rows = firsts().count();
    // Into stretches of about so many rows, by how far the first word lies from the least; then each in a cache.
    let spread = greatest.abs_diff(*least);
    let stretches = (rows / STRETCH_ROWS).next_power_of_two();
    let shift = (u64::BITS - spread.leading_zeros()).saturating_sub(stretches.trailing_zeros());
    let stretch = |word: i64| word.abs_diff(*least).checked_shr(shift).unwrap_or(0) as usize;
    let mut ends = vec![0u32; stretches + 1];
    firsts().for_each(|word| ends[stretch(*word) + 1] += 1);
    let mut before = 0;
    for end in &mut ends {
        before += *end;
        *end = before;
    }
    let mut ordered =
        Ordered { first: Vec::with_capacity(rows), second: Vec::with_capacity(rows), rows: Vec::with_capacity(rows) };
    // What they are sorted in is used again.
    let together = stretches.div_ceil((rows / part_rows).next_power_of_two().min(stretches));
    let mut part: Vec<Placed> = Vec::new();
    for from in (0..stretches).step_by(together) {
        let stretch_ends = &ends[from..=from + together];
        let (start, end) = (stretch_ends[0], stretch_ends[together]);
        if start == end {
            continue;
        }
        let mut next: Vec<u32> = stretch_ends[..together].iter().map(|place| place - start).collect();
        part.resize((end - start) as usize, Placed::default());
        let mut row = 0;
        for (first, second) in &batches {
            for (first, second) in first.iter().zip(second.iter()) {
                if let Some(place) = next.get_mut(stretch(*first).wrapping_sub(from)) {
                    part[*place as usize] = Placed { first: *first, second: *second, row };
                    *place += 1;
                }
                row += 1;
            }
        }
        let mut sorted = 0;
        for end in next {
            part[sorted..end as usize].sort_unstable();
            sorted = end as usize;
        }
        ordered.first.extend(part.iter().map(|placed| placed.first));
        ordered.second.extend(part.iter().map(|placed| placed.second));
        ordered.rows.extend(part.iter().map(|placed| placed.row));
    }
    ordered
}

/// Few enough to be put in order without being divided further: a quarter less time than with 256.
const STRETCH_ROWS: usize = 16;
/// 48 MiB.
const PART_ROWS: usize = 2 << 20;

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
fn of_words(data_type: &DataType, words: Vec<i64>) -> ArrayRef {
    match data_type {
        DataType::Int64 => Arc::new(Int64Array::from(words)),
        DataType::Date32 => Arc::new(Date32Array::from_iter_values(words.into_iter().map(|day| day as i32))),
        _ => Arc::new(TimestampMicrosecondArray::from(words).with_data_type(data_type.clone())),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn sorted(columns: Vec<(&str, ArrayRef)>) -> Vec<Vec<String>> {
        let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let batches = (0..rows.num_rows()).map(|row| rows.slice(row, 1)).collect();
        let rows = RowOrder::WHOLE.sort(&rows.schema(), batches).unwrap();
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
            piece in 1..900usize,
            part_rows in 1..900usize,
        ) {
            let batches = words.chunks(piece).map(|words| {
                let (first, second): (Vec<i64>, Vec<i64>) = words.iter().copied().unzip();
                (first.into(), second.into())
            });
            let found = by_words(batches.collect(), part_rows);
            let mut placed: Vec<Placed> = words.iter().enumerate()
                .map(|(row, (first, second))| Placed { first: *first, second: *second, row: row as u32 })
                .collect();
            placed.sort();
            let wanted = Ordered {
                first: placed.iter().map(|placed| placed.first).collect(),
                second: placed.iter().map(|placed| placed.second).collect(),
                rows: placed.iter().map(|placed| placed.row).collect(),
            };
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn one_column_and_no_rows_are_fine() {
        assert_eq!(sorted(vec![("key", Arc::new(Int64Array::from(vec![3, 1])))]), [["1"], ["3"]]);
        assert!(sorted(vec![("key", Arc::new(Int64Array::from(Vec::<i64>::new())))]).is_empty());
    }
}
