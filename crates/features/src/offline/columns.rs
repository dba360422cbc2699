//! From what the shares of a pass found to columns in the spine's order.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Date32Array, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Field;
use karat_core::{DataType, ValueType};

use super::run::Share;
use crate::error::FeatureError;
use crate::events::{Cells, Texts};

/// One column in the spine's order, out of the shares' cells, which are given up.
pub(super) fn column(
    shares: &mut [Share],
    slot: usize,
    value_type: ValueType,
    rows: usize,
) -> Result<ArrayRef, FeatureError> {
    match value_type {
        ValueType::One(data_type) => {
            let found = shares.iter_mut().map(|share| Found {
                texts: &share.texts,
                cells: std::mem::replace(&mut share.found.slots[slot], Cells::new(data_type)),
                places: Cow::Borrowed(&share.rows),
            });
            Ok(placed(found, data_type, rows))
        }
        ValueType::List(element) => lists(shares, slot, element, rows),
    }
}

/// The elements of the first row's list, then those of the second's, and where each begins.
fn lists(shares: &mut [Share], slot: usize, element: DataType, rows: usize) -> Result<ArrayRef, FeatureError> {
    let mut lengths = vec![0usize; rows];
    for share in shares.iter() {
        for (index, row) in share.rows.iter().enumerate() {
            lengths[*row as usize] = share.found.slots[slot].get(index).unwrap_or_default() as usize;
        }
    }
    let total: usize = lengths.iter().sum();
    if total > i32::MAX as usize {
        return Err(FeatureError::TooMuch("more than 2 billion values in the lists of a feature"));
    }
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let found = shares.iter_mut().map(|share| {
        let places = share.rows.iter().flat_map(|row| offsets[*row as usize] as u32..offsets[*row as usize + 1] as u32);
        Found {
            texts: &share.texts,
            cells: std::mem::replace(&mut share.found.elements[slot], Cells::new(element)),
            places: Cow::Owned(places.collect()),
        }
    });
    let elements = placed(found, element, total);
    Ok(Arc::new(ListArray::new(Arc::new(Field::new_list_field(element.arrow(), true)), offsets, elements, None)))
}

/// Cells, and where each of them stands in the whole.
struct Found<'s> {
    texts: &'s Texts,
    cells: Cells,
    places: Cow<'s, [u32]>,
}

fn placed<'s>(all: impl Iterator<Item = Found<'s>>, data_type: DataType, len: usize) -> ArrayRef {
    if data_type == DataType::Text {
        let mut placed: Vec<Option<&str>> = vec![None; len];
        for Found { texts, cells, places } in all {
            for (index, place) in places.iter().enumerate() {
                placed[*place as usize] = cells.get(index).map(|code| texts.text(code as u32));
            }
        }
        return Arc::new(StringArray::from(placed));
    }
    let (words, nulls) = words(all, len);
    match data_type {
        DataType::Bool => {
            let flags = BooleanBuffer::collect_bool(len, |place| words[place] == 1);
            Arc::new(BooleanArray::new(flags, nulls))
        }
        // The words are the bits.
        DataType::Float => Arc::new(Float64Array::new(ScalarBuffer::from(Buffer::from_vec(words)), nulls)),
        DataType::Date => {
            let days: Vec<i32> = words.into_iter().map(|days| days as i32).collect();
            Arc::new(Date32Array::new(days.into(), nulls))
        }
        DataType::Timestamp => {
            Arc::new(TimestampMicrosecondArray::new(words.into(), nulls).with_data_type(data_type.arrow()))
        }
        DataType::Int | DataType::Text => Arc::new(Int64Array::new(words.into(), nulls)),
    }
}

fn words<'s>(all: impl Iterator<Item = Found<'s>>, len: usize) -> (Vec<i64>, Option<NullBuffer>) {
    let mut all = all.peekable();
    // Of a spine in the order of its keys they are in place already.
    let in_place = |found: &Found<'_>| {
        matches!(found.cells, Cells::Words { .. }) && found.places.iter().copied().eq(0..len as u32)
    };
    if let Some(Found { cells: Cells::Words { words, valid }, .. }) = all.next_if(in_place) {
        let valid = (!valid.is_empty()).then(|| BooleanBuffer::collect_bool(len, |place| valid[place]));
        return (words, valid.map(NullBuffer::new));
    }
    let mut words = vec![0i64; len];
    let mut missing: Vec<u32> = Vec::new();
    for Found { cells, places, .. } in all {
        for (index, place) in places.iter().enumerate() {
            match cells.get(index) {
                Some(word) => words[*place as usize] = word,
                None => missing.push(*place),
            }
        }
    }
    (words, nulls(&missing, len))
}

fn nulls(missing: &[u32], len: usize) -> Option<NullBuffer> {
    if missing.is_empty() {
        return None;
    }
    let mut valid = BooleanBufferBuilder::new(len);
    valid.append_n(len, true);
    missing.iter().for_each(|place| valid.set_bit(*place as usize, false));
    Some(NullBuffer::new(valid.finish()))
}
