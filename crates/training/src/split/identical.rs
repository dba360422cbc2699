//! Rows on both sides of a split that a model cannot tell apart: what it knows of them by heart it seems to foresee.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::row::{RowConverter, SortField};
use std::sync::Arc;

use super::{Assigned, Part};
use crate::{TrainingData, TrainingError};

/// Rows encoded at a time.
const ROWS: usize = 8192;

/// Notes in the report how many rows of validation and test are a training row over again, in every feature and the label.
pub(crate) fn count_identical(
    data: &TrainingData,
    labels: &[bool],
    assigned: &mut Assigned,
) -> Result<(), TrainingError> {
    let fingerprints = fingerprints(data, labels)?;
    let learned: HashSet<u128> = assigned.rows_of(Part::Train).into_iter().map(|row| fingerprints[row]).collect();
    let again = |part| assigned.rows_of(part).into_iter().filter(|row| learned.contains(&fingerprints[*row])).count();
    let (validation, test) = (again(Part::Validation) as u64, again(Part::Test) as u64);
    assigned.report.validation.identical = validation;
    assigned.report.test.identical = test;
    Ok(())
}

/// Of 128 bits, so that among billions of rows no two that differ share one.
fn fingerprints(data: &TrainingData, labels: &[bool]) -> Result<Vec<u128>, TrainingError> {
    let label: ArrayRef = Arc::new(BooleanArray::from(labels.to_vec()));
    let columns: Vec<&ArrayRef> = data.features.columns().iter().chain([&label]).collect();
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let mut fingerprints = Vec::with_capacity(labels.len());
    for start in (0..labels.len()).step_by(ROWS) {
        let count = ROWS.min(labels.len() - start);
        let slices: Vec<ArrayRef> = columns.iter().map(|column| column.slice(start, count)).collect();
        let rows = converter.convert_columns(&slices)?;
        fingerprints.extend(rows.iter().map(|row| fingerprint(row.data())));
    }
    Ok(fingerprints)
}

fn fingerprint(row: &[u8]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(row);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
