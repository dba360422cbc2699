//! From rows that passed the contract to records of history.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array, new_null_array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Int32Type, Schema as ArrowSchema};
use karat_core::{Digest, Instant, Value, hidden};
use karat_features::encode_key;

use super::known::There;
use crate::Result;
use crate::deliver::DeliveryCounts;
use crate::deliver::differences::{self, Arriving, Differences, Lacking, Rules};
use crate::hash::stable_row_hashes;
use crate::plan::{Identity, Shape, SourcePlan};

/// Records under one number, with the hashes of their identities.
pub(super) struct Made {
    pub counts: DeliveryCounts,
    pub batch: RecordBatch,
    pub hashes: Vec<u64>,
}

/// Adds what identifies rows that have no column for it: `_file` is the digest of what history keeps of the row.
pub(super) fn identified(shape: &Shape, rows: &RecordBatch) -> Result<RecordBatch> {
    let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    fields.push(Arc::new(Field::new(hidden::FILE, hidden::file_type(), true)));
    let of_file: ArrayRef = match shape.identity {
        Identity::Columns(_) => new_null_array(&hidden::file_type(), rows.num_rows()),
        Identity::FileRow => {
            let place = rows.schema().index_of(hidden::ROW)?;
            columns[place] = Arc::new(Int64Array::from_value(1, rows.num_rows()));
            Arc::new(digests(shape, rows)?)
        }
    };
    columns.push(of_file);
    Ok(RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)?)
}

fn digests(shape: &Shape, rows: &RecordBatch) -> Result<DictionaryArray<Int32Type>> {
    let kept: Vec<&ArrayRef> =
        shape.schema.names().map(|name| rows.column_by_name(name).expect("accepted rows have it")).collect();
    let mut values: Vec<Value> = Vec::with_capacity(kept.len());
    let texts: StringArray = (0..rows.num_rows())
        .map(|row| {
            values.clear();
            values.extend(kept.iter().map(|column| Value::from_array(column, row)));
            Some(Digest::of(encode_key(&values)).to_string())
        })
        .collect();
    let keys = Int32Array::from_iter_values(0..rows.num_rows() as i32);
    Ok(DictionaryArray::try_new(keys, Arc::new(texts))?)
}

/// Of the identity of each row.
pub(super) fn hashes(shape: &Shape, rows: &RecordBatch) -> Vec<u64> {
    let column = |name: &&str| rows.column_by_name(name).expect("identities are there").clone();
    let identity: Vec<ArrayRef> = shape.identity_columns().iter().map(column).collect();
    stable_row_hashes(&identity, rows.num_rows())
}

/// The rows in as few rounds as leave none with two of one identity, each round in the order of the rows.
pub(super) fn waves(hashes: &[u64]) -> Vec<Vec<u32>> {
    let mut times: HashMap<u64, usize> = HashMap::with_capacity(hashes.len());
    let mut waves: Vec<Vec<u32>> = Vec::new();
    for (row, hash) in hashes.iter().enumerate() {
        let before = times.entry(*hash).or_default();
        if waves.len() == *before {
            waves.push(Vec::new());
        }
        waves[*before].push(row as u32);
        *before += 1;
    }
    waves
}

/// Some of the rows, with their hashes.
pub(super) struct Wave {
    pub rows: RecordBatch,
    pub hashes: Vec<u64>,
}

pub(super) fn take(rows: &RecordBatch, hashes: &[u64], wave: &[u32]) -> Result<Wave> {
    if wave.len() == rows.num_rows() {
        return Ok(Wave { rows: rows.clone(), hashes: hashes.to_vec() });
    }
    let rows = take_record_batch(rows, &UInt32Array::from(wave.to_vec()))?;
    Ok(Wave { rows, hashes: wave.iter().map(|row| hashes[*row as usize]).collect() })
}

pub(super) fn find(plan: &SourcePlan, wave: &Wave, there: &There, at: Instant, number: u64) -> Result<Differences> {
    let rules = Rules {
        source: plan.source().name.clone(),
        shape: plan.shape().clone(),
        at: at.micros(),
        commit: number as i64,
        labels: Vec::new(),
        arriving: Arriving::Pushed,
        lacking: Lacking::Removed,
    };
    let there = there.of(&wave.hashes)?;
    let mut found = differences::find(&rules, &wave.rows, there.as_ref(), None)?;
    found.counts.read = wave.rows.num_rows() as u64;
    Ok(found)
}

pub(super) fn one(records: &[RecordBatch]) -> Result<RecordBatch> {
    match records {
        [only] => Ok(only.clone()),
        several => Ok(concat_batches(&several[0].schema(), several)?),
    }
}

pub(super) fn partitions(hashes: &[u64], of: u32) -> Vec<u32> {
    hashes.iter().map(|hash| (hash % u64::from(of)) as u32).collect()
}
