//! Gives a training set the values that an endpoint would decide on: what the inputs' checks put in place of others.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use karat_core::Value;
use karat_serving::{Input, Pinned};

/// `features` are the inputs as history has them, in the order of [`Pinned::inputs`]. Says too which rows an endpoint would
/// refuse; what those have is as it was.
pub(super) fn settle(pinned: &Pinned, features: RecordBatch) -> Result<(RecordBatch, BTreeSet<usize>)> {
    let mut refused = BTreeSet::new();
    let mut columns = features.columns().to_vec();
    for (input, column) in pinned.inputs.iter().zip(&mut columns).filter(|(input, _)| input.checks_act()) {
        *column = settled(input, column, &mut refused);
    }
    Ok((RecordBatch::try_new(features.schema(), columns)?, refused))
}

fn settled(input: &Input, column: &ArrayRef, refused: &mut BTreeSet<usize>) -> ArrayRef {
    let values = (0..column.len()).map(|row| {
        let was = Value::from_array(column, row);
        let mut value = was.clone();
        match input.settle(&mut value) {
            Ok(()) => value,
            Err(_) => {
                refused.insert(row);
                was
            }
        }
    });
    Value::to_array(&values.collect::<Vec<_>>(), input.data_type)
}

/// Of each row, whether it is among these.
pub(super) fn flags(rows: &BTreeSet<usize>, of: usize) -> ArrayRef {
    let mut flags = vec![false; of];
    rows.iter().for_each(|row| flags[*row] = true);
    Arc::new(BooleanArray::from(flags))
}
