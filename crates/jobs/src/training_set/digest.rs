//! A digest of columns: equal for equal values, however their arrays came about and in whatever batches.

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, ToByteSlice};
use karat_core::{DataType, Digest, DigestWriter};

/// Cells whose bytes are made at a time.
const CELLS: usize = 8192;

/// Of columns of Karat's types, which are given side by side, batch after batch: of each its type, its length, which rows
/// are null, and the values of the others (of a float the bits).
#[derive(Default)]
struct ColumnsDigest(Vec<ColumnDigest>);

impl ColumnsDigest {
    /// Takes the next rows of every column; of columns without rows an empty batch.
    fn push<'c>(&mut self, columns: impl IntoIterator<Item = &'c ArrayRef>) {
        for (place, column) in columns.into_iter().enumerate() {
            if place == self.0.len() {
                self.0.push(ColumnDigest::new(column));
            }
            self.0[place].push(column);
        }
    }

    fn finish(self) -> Digest {
        let columns = self.0.into_iter().map(ColumnDigest::finish);
        columns.fold(DigestWriter::new(), |digest, column| digest.bytes(column.as_str())).finish()
    }
}

/// Of everything that is learned from: columns, and which of their rows a check refuses.
#[derive(Default)]
pub(super) struct SetDigest {
    columns: ColumnsDigest,
    refused: ColumnsDigest,
    refuses: bool,
}

impl SetDigest {
    /// Takes the next rows of every column.
    pub fn push<'c>(&mut self, columns: impl IntoIterator<Item = &'c ArrayRef>, refused: &ArrayRef) {
        self.columns.push(columns);
        self.refused.push([refused]);
        self.refuses |= refused.as_boolean().true_count() > 0;
    }

    /// Of a set that nothing refuses it is that of its columns alone.
    pub fn finish(self) -> Digest {
        let SetDigest { mut columns, refused, refuses } = self;
        if refuses {
            columns.0.extend(refused.0);
        }
        columns.finish()
    }
}

struct ColumnDigest {
    data_type: DataType,
    rows: u64,
    validity: BitsDigest,
    values: DigestWriter,
}

impl ColumnDigest {
    fn new(column: &ArrayRef) -> ColumnDigest {
        let data_type = DataType::of_arrow(column.data_type()).expect("training sets have Karat's types");
        ColumnDigest { data_type, rows: 0, validity: BitsDigest::new(), values: DigestWriter::new() }
    }

    fn push(&mut self, column: &ArrayRef) {
        self.validity.push(column.nulls(), column.len());
        self.rows += column.len() as u64;
        let values = &mut self.values;
        match self.data_type {
            DataType::Int => words(values, column.as_primitive::<Int64Type>()),
            DataType::Float => words(values, column.as_primitive::<Float64Type>()),
            DataType::Date => words(values, column.as_primitive::<Date32Type>()),
            DataType::Timestamp => words(values, column.as_primitive::<TimestampMicrosecondType>()),
            DataType::Bool => {
                let flags = column.as_boolean();
                cells(values, valid(flags), |row, bytes| bytes.push(u8::from(flags.value(row))));
            }
            DataType::Text => {
                let texts = column.as_string::<i32>();
                cells(values, valid(texts), |row, bytes| {
                    let text = texts.value(row);
                    bytes.extend((text.len() as u64).to_le_bytes());
                    bytes.extend(text.as_bytes());
                });
            }
        }
    }

    fn finish(self) -> Digest {
        let ColumnDigest { data_type, rows, validity, values } = self;
        let digest = DigestWriter::new().piece(data_type.to_string()).bytes(rows.to_le_bytes());
        digest.bytes(validity.finish().as_str()).bytes(values.finish().as_str()).finish()
    }
}

/// Of which rows are not null: a bit each, the first the lowest of its byte.
struct BitsDigest {
    /// Fewer than eight between two batches.
    waiting: BooleanBufferBuilder,
    digest: DigestWriter,
}

impl BitsDigest {
    fn new() -> BitsDigest {
        BitsDigest { waiting: BooleanBufferBuilder::new(CELLS), digest: DigestWriter::new() }
    }

    fn push(&mut self, nulls: Option<&NullBuffer>, rows: usize) {
        match nulls {
            Some(nulls) => self.waiting.append_buffer(nulls.inner()),
            None => self.waiting.append_n(rows, true),
        }
        let bits = self.waiting.finish();
        let whole = bits.len() / 8;
        self.digest.update(&bits.values()[..whole]);
        self.waiting.append_buffer(&bits.slice(whole * 8, bits.len() % 8));
    }

    fn finish(mut self) -> Digest {
        let rest = self.waiting.finish();
        let byte = rest.iter().enumerate().fold(0, |byte, (place, bit)| byte | u8::from(bit) << place);
        self.digest.update(&[byte][..rest.len().min(1)]);
        self.digest.finish()
    }
}

fn valid(column: &dyn Array) -> impl Iterator<Item = usize> {
    (0..column.len()).filter(|row| column.is_valid(*row))
}

fn words<T: ArrowPrimitiveType>(digest: &mut DigestWriter, column: &PrimitiveArray<T>) {
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => digest.update(column.values().inner()),
        // What stands under a null is anything.
        Some(nulls) => {
            let mut bytes = Vec::with_capacity(size_of::<T::Native>() * (column.len() - nulls.null_count()));
            for (start, end) in nulls.valid_slices() {
                bytes.extend_from_slice(column.values()[start..end].to_byte_slice());
            }
            digest.update(&bytes);
        }
    }
}

fn cells(digest: &mut DigestWriter, rows: impl Iterator<Item = usize>, mut write: impl FnMut(usize, &mut Vec<u8>)) {
    let mut bytes = Vec::new();
    for (place, row) in rows.enumerate() {
        if place % CELLS == 0 {
            digest.update(&bytes);
            bytes.clear();
        }
        write(row, &mut bytes);
    }
    digest.update(&bytes);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Date32Array, Float64Array, Int64Array, StringArray};
    use arrow::buffer::ScalarBuffer;
    use proptest::prelude::*;

    use super::*;

    fn of(columns: &[ArrayRef]) -> Digest {
        let mut digest = ColumnsDigest::default();
        digest.push(columns);
        digest.finish()
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
            vec![Arc::new(Int64Array::from(vec![None, Some(1)]))],
            vec![Arc::new(Int64Array::from(vec![Some(1), None, None]))],
            vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![0]))],
            vec![Arc::new(Int64Array::from(Vec::<i64>::new()))],
            vec![Arc::new(Float64Array::from(Vec::<f64>::new()))],
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

    proptest! {
        #[test]
        fn batches_make_no_difference(
            rows in prop::collection::vec(
                (any::<Option<i64>>(), any::<Option<f64>>(), any::<Option<i32>>(), any::<Option<bool>>(), any::<Option<String>>()),
                0..200,
            ),
            cuts in prop::collection::vec(0..200usize, 0..6),
        ) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>()),
                Arc::new(rows.iter().map(|row| row.2).collect::<Date32Array>()),
                Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>()),
                Arc::new(rows.iter().map(|row| row.4.clone()).collect::<StringArray>()),
            ];
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).chain([rows.len()]).collect();
            ends.sort_unstable();
            let mut digest = ColumnsDigest::default();
            let mut start = 0;
            for end in ends {
                let piece: Vec<ArrayRef> = columns.iter().map(|column| column.slice(start, end - start)).collect();
                digest.push(&piece);
                start = end;
            }
            prop_assert_eq!(digest.finish(), of(&columns));
        }
    }
}
