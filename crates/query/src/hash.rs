//! A hash that is the same in every version and on every machine: it says in which partition of a history a row lives.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::DataType;

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const NULL: u64 = 0x6e75_6c6c;

/// Of `bytes`, under `seed`: 0 for what is kept on disk, others where independent hashes are wanted.
pub(crate) fn stable_hash(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = mix(seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER));
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        hash = mix(hash ^ u64::from_le_bytes(word.try_into().expect("chunks of eight")));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    mix(hash ^ u64::from_le_bytes(last))
}

/// Of each row of these columns, which have Karat's types; texts may be dictionaries.
pub(crate) fn stable_row_hashes(columns: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut hashes = vec![0; rows];
    for column in columns {
        macro_rules! fold {
            ($values:expr, $bytes:expr) => {{
                let values = $values;
                for (row, hash) in hashes.iter_mut().enumerate() {
                    let value =
                        if values.is_null(row) { NULL } else { stable_hash($bytes(values.value(row)).as_ref(), 0) };
                    *hash = mix(*hash ^ value);
                }
            }};
        }
        if let Some(texts) = column.as_any_dictionary_opt() {
            let of_text = |text: Option<&str>| text.map_or(NULL, |text| stable_hash(text.as_bytes(), 0));
            let values: Vec<u64> = texts.values().as_string::<i32>().iter().map(of_text).collect();
            // Without values every row is null, and has no place among them.
            let places = if values.is_empty() { vec![0; rows] } else { texts.normalized_keys() };
            for (row, (hash, place)) in hashes.iter_mut().zip(places).enumerate() {
                *hash = mix(*hash ^ if texts.is_null(row) { NULL } else { values[place] });
            }
            continue;
        }
        match DataType::of_arrow(column.data_type()) {
            Some(DataType::Bool) => fold!(column.as_boolean(), |v: bool| [u8::from(v)]),
            Some(DataType::Int) => fold!(column.as_primitive::<Int64Type>(), i64::to_le_bytes),
            Some(DataType::Float) => fold!(column.as_primitive::<Float64Type>(), |v: f64| v.to_bits().to_le_bytes()),
            Some(DataType::Text) => fold!(column.as_string::<i32>(), str::as_bytes),
            Some(DataType::Date) => fold!(column.as_primitive::<Date32Type>(), |v: i32| i64::from(v).to_le_bytes()),
            Some(DataType::Timestamp) => fold!(column.as_primitive::<TimestampMicrosecondType>(), i64::to_le_bytes),
            None => unreachable!("columns are brought to Karat's types where they enter"),
        }
    }
    hashes
}

/// SplitMix64's finaliser.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(MULTIPLIER);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn histories_on_disk_depend_on_these_values() {
        let hashes = [b"".as_slice(), b"a", b"12345678", b"123456789"].map(|bytes| stable_hash(bytes, 0));
        assert_eq!(hashes, [12035550249420947055, 8174593624705261660, 6886526834695018221, 5751927440622658666]);
        let columns: [ArrayRef; 2] =
            [Arc::new(Int64Array::from(vec![Some(5008804), None])), Arc::new(StringArray::from(vec!["x", "y"]))];
        assert_eq!(stable_row_hashes(&columns, 2), [10004960148439281604, 7106122934324559732]);
    }
}
