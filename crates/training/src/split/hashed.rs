//! Shares of rows or groups by seeded hash: who is in which part depends on nothing but the seed and the row's own key.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use karat_core::DataType;

use crate::split::{Assignment, Part};
use crate::{TrainingData, TrainingError};

#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub validation: f64,
    pub test: f64,
}

/// By entity key and as_of: rows that share both stand in the same part.
pub(super) fn assign_random(
    data: &TrainingData,
    labels: &[Option<bool>],
    shares: Shares,
    seed: u32,
) -> Result<Vec<Assignment>, TrainingError> {
    if data.keys.is_empty() {
        return Err(TrainingError::NothingToSplitBy { by: "random", needs: "the entity's key columns" });
    }
    let mut hashes = vec![begin(seed); labels.len()];
    add_columns(&mut hashes, &data.keys)?;
    for (row, hash) in hashes.iter_mut().enumerate() {
        *hash = add(*hash, TIMESTAMP, &data.as_of.value(row).to_le_bytes());
    }
    Ok(deal(&hashes, labels, shares))
}

/// By group: no group stands in two parts.
pub(super) fn assign_group(
    data: &TrainingData,
    labels: &[Option<bool>],
    shares: Shares,
    seed: u32,
) -> Result<Vec<Assignment>, TrainingError> {
    let columns = if data.groups.is_empty() { &data.keys } else { &data.groups };
    if columns.is_empty() {
        return Err(TrainingError::NothingToSplitBy { by: "group", needs: "a `column`, or the entity's key columns" });
    }
    let mut hashes = vec![begin(seed); labels.len()];
    add_columns(&mut hashes, columns)?;
    Ok(deal(&hashes, labels, shares))
}

fn deal(hashes: &[u64], labels: &[Option<bool>], shares: Shares) -> Vec<Assignment> {
    let of = |hash: u64| {
        // 53 bits make an evenly spread double in [0, 1).
        let place = (finish(hash) >> 11) as f64 / (1u64 << 53) as f64;
        match place {
            place if place < shares.test => Part::Test,
            place if place < shares.test + shares.validation => Part::Validation,
            _ => Part::Train,
        }
    };
    hashes
        .iter()
        .zip(labels)
        .map(|(hash, label)| if label.is_some() { Assignment::In(of(*hash)) } else { Assignment::Unlabelled })
        .collect()
}

const NULL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const TEXT: u8 = 4;
const DATE: u8 = 5;
const TIMESTAMP: u8 = 6;

fn add_columns(hashes: &mut [u64], columns: &[ArrayRef]) -> Result<(), TrainingError> {
    for column in columns {
        let bytes_of: Box<dyn Fn(usize) -> (u8, [u8; 8])> =
            match DataType::of_arrow(column.data_type()).filter(|known| known.arrow() == *column.data_type()) {
                Some(DataType::Bool) => {
                    let values = column.as_boolean();
                    Box::new(|row| (BOOL, u64::from(values.value(row)).to_le_bytes()))
                }
                Some(DataType::Int) => {
                    let values = column.as_primitive::<Int64Type>();
                    Box::new(|row| (INT, values.value(row).to_le_bytes()))
                }
                Some(DataType::Float) => {
                    let values = column.as_primitive::<Float64Type>();
                    Box::new(|row| (FLOAT, values.value(row).to_bits().to_le_bytes()))
                }
                Some(DataType::Date) => {
                    let values = column.as_primitive::<Date32Type>();
                    Box::new(|row| (DATE, i64::from(values.value(row)).to_le_bytes()))
                }
                Some(DataType::Timestamp) => {
                    let values = column.as_primitive::<TimestampMicrosecondType>();
                    Box::new(|row| (TIMESTAMP, values.value(row).to_le_bytes()))
                }
                Some(DataType::Text) => {
                    let values = column.as_string::<i32>();
                    for (row, hash) in hashes.iter_mut().enumerate() {
                        *hash = match values.is_null(row) {
                            true => add(*hash, NULL, &[]),
                            false => add(*hash, TEXT, values.value(row).as_bytes()),
                        };
                    }
                    continue;
                }
                None => {
                    let problem = format!("a column of type {} cannot be split by", column.data_type());
                    return Err(arrow::error::ArrowError::InvalidArgumentError(problem).into());
                }
            };
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = if column.is_null(row) {
                add(*hash, NULL, &[])
            } else {
                let (tag, bytes) = bytes_of(row);
                add(*hash, tag, &bytes)
            };
        }
    }
    Ok(())
}

/// FNV-1a over typed, length-prefixed values with a mixing step at the end (MurmurHash3's): written out here because parts
/// must be the same in every version of every dependency.
fn begin(seed: u32) -> u64 {
    fnv(0xcbf2_9ce4_8422_2325, &seed.to_le_bytes())
}

fn add(hash: u64, tag: u8, bytes: &[u8]) -> u64 {
    let hash = fnv(hash, &[tag]);
    fnv(fnv(hash, &(bytes.len() as u64).to_le_bytes()), bytes)
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn finish(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
