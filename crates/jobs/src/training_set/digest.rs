//! A digest of columns: equal for equal values, however their arrays came about.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::{DataType, Digest, DigestWriter};

/// Cells whose bytes are made at a time.
const CELLS: usize = 8192;

/// Of columns of Karat's types, one after the other: its type, its length, where it is null, its values (of a float the
/// bits).
pub(super) fn digest<'c>(columns: impl IntoIterator<Item = &'c ArrayRef>) -> Digest {
    let mut digest = DigestWriter::new();
    for column in columns {
        let data_type = DataType::of_arrow(column.data_type()).expect("training sets have Karat's types");
        digest = digest.piece(data_type.to_string()).bytes((column.len() as u64).to_le_bytes());
        digest.update(&[u8::from(column.null_count() > 0)]);
        if column.null_count() > 0 {
            cells(&mut digest, column.len(), |row, bytes| bytes.push(u8::from(column.is_valid(row))));
        }
        match data_type {
            DataType::Int => words(&mut digest, column.as_primitive::<Int64Type>()),
            DataType::Float => words(&mut digest, column.as_primitive::<Float64Type>()),
            DataType::Date => words(&mut digest, column.as_primitive::<Date32Type>()),
            DataType::Timestamp => words(&mut digest, column.as_primitive::<TimestampMicrosecondType>()),
            DataType::Bool => {
                let flags = column.as_boolean();
                cells(&mut digest, flags.len(), |row, bytes| {
                    bytes.push(u8::from(flags.is_valid(row) && flags.value(row)));
                });
            }
            DataType::Text => {
                let texts = column.as_string::<i32>();
                cells(&mut digest, texts.len(), |row, bytes| {
                    let text = if texts.is_valid(row) { texts.value(row) } else { "" };
                    bytes.extend((text.len() as u64).to_le_bytes());
                    bytes.extend(text.as_bytes());
                });
            }
        }
    }
    digest.finish()
}

fn words<T: ArrowPrimitiveType>(digest: &mut DigestWriter, column: &PrimitiveArray<T>) {
    use arrow::datatypes::ToByteSlice;
    if column.null_count() == 0 {
        return digest.update(column.values().inner());
    }
    // What stands under a null is anything.
    cells(digest, column.len(), |row, bytes| {
        let value = if column.is_valid(row) { column.value(row) } else { T::default_value() };
        bytes.extend(value.to_byte_slice());
    });
}

fn cells(digest: &mut DigestWriter, count: usize, mut write: impl FnMut(usize, &mut Vec<u8>)) {
    let mut bytes = Vec::new();
    for start in (0..count).step_by(CELLS) {
        bytes.clear();
        (start..count.min(start + CELLS)).for_each(|row| write(row, &mut bytes));
        digest.update(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};
    use arrow::buffer::{NullBuffer, ScalarBuffer};

    use super::*;

    fn of(columns: &[ArrayRef]) -> Digest {
        digest(columns)
    }

    #[test]
    fn only_values_count() {
        let under_null = |value: i64| -> ArrayRef {
            let valid = NullBuffer::from(vec![true, false]);
            Arc::new(Int64Array::new(ScalarBuffer::from(vec![1, value]), Some(valid)))
        };
        assert_eq!(of(&[under_null(2)]), of(&[under_null(3)]));
        let sliced: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2, 3]).slice(1, 2));
        assert_eq!(of(&[sliced]), of(&[Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "ab", "c"]).slice(1, 2));
        assert_eq!(of(&[texts]), of(&[Arc::new(StringArray::from(vec!["ab", "c"])) as ArrayRef]));
    }

    #[test]
    fn any_other_value_is_another_digest() {
        let columns: Vec<Vec<ArrayRef>> = vec![
            vec![],
            vec![Arc::new(Int64Array::from(vec![1, 0]))],
            vec![Arc::new(Int64Array::from(vec![Some(1), None]))],
            vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![0]))],
            vec![Arc::new(Float64Array::from(vec![0.0]))],
            vec![Arc::new(Float64Array::from(vec![-0.0]))],
            vec![Arc::new(BooleanArray::from(vec![Some(true), None]))],
            vec![Arc::new(BooleanArray::from(vec![true, false]))],
            vec![Arc::new(StringArray::from(vec!["ab", "c"]))],
            vec![Arc::new(StringArray::from(vec!["a", "bc"]))],
            vec![Arc::new(StringArray::from(vec![Some("ab"), None]))],
            vec![Arc::new(StringArray::from(vec!["ab", ""]))],
        ];
        let digests: std::collections::HashSet<String> =
            columns.iter().map(|columns| of(columns).as_str().to_owned()).collect();
        assert_eq!(digests.len(), columns.len());
    }
}
