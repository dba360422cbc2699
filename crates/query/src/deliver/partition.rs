//! Accepted rows split into the partitions of a history, by a hash of their identity.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray, UInt32Array, new_null_array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema as ArrowSchema, UInt32Type};
use karat_core::{Digest, hidden};

use super::known::KnownRows;
use crate::Result;
use crate::hash::stable_row_hashes;
use crate::plan::{Identity, Shape};
use crate::spool::{Spool, SpoolWriter};
use crate::stage::ACCEPTED_FILE;

pub(super) struct Splitting {
    pub shape: Shape,
    pub accepted: Spool,
    /// Of the delivery's files, by their number.
    pub digests: Vec<Digest>,
    /// What the history has of these files: a row that was quarantined then may be good by now.
    pub known: KnownRows,
    pub partitions: u32,
    pub temp_dir: PathBuf,
    pub budget: usize,
}

impl Splitting {
    /// The rows by partition, each with a `_file` column added; and how many were skipped because they are known.
    pub(super) fn run(self) -> Result<(Vec<Spool>, u64)> {
        let first = self.first_of_content();
        let mut fields: Vec<Arc<Field>> = self.accepted.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(hidden::FILE, hidden::file_type(), true)));
        let schema = Arc::new(ArrowSchema::new(fields));
        let budget = self.budget / self.partitions as usize;
        let mut writers: Vec<SpoolWriter> =
            (0..self.partitions).map(|_| SpoolWriter::new(schema.clone(), &self.temp_dir, budget)).collect();
        let digests: ArrayRef =
            Arc::new(self.digests.iter().map(|digest| Some(digest.as_str())).collect::<StringArray>());
        let by_file = self.shape.identity == Identity::FileRow;
        let mut skipped = 0;
        for batch in self.accepted.batches()? {
            let batch = batch?;
            let files =
                batch.column_by_name(ACCEPTED_FILE).expect("accepted rows have it").as_primitive::<UInt32Type>();
            let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
            columns.push(if by_file {
                let codes = files.values().iter().map(|file| *file as i32);
                Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from_iter_values(codes), digests.clone())?)
            } else {
                new_null_array(&hidden::file_type(), batch.num_rows())
            });
            let files = files.clone();
            let batch = RecordBatch::try_new(schema.clone(), columns)?;
            let numbers = batch.column_by_name(hidden::ROW).expect("accepted rows have it").as_primitive::<Int64Type>();
            let is_known = |row: usize| {
                let file = files.value(row) as usize;
                !first[file] || self.known.contains(&self.digests[file], numbers.value(row))
            };
            let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.partitions as usize];
            for (row, hash) in self.hashes(&batch).into_iter().enumerate() {
                if by_file && is_known(row) {
                    skipped += 1;
                } else {
                    rows[(hash % u64::from(self.partitions)) as usize].push(row as u32);
                }
            }
            for (rows, writer) in rows.into_iter().zip(&mut writers) {
                if rows.len() == batch.num_rows() {
                    writer.push(batch.clone())?;
                } else if !rows.is_empty() {
                    writer.push(take_record_batch(&batch, &UInt32Array::from(rows))?)?;
                }
            }
        }
        let spools = writers.into_iter().map(SpoolWriter::finish).collect::<Result<Vec<Spool>>>()?;
        Ok((spools, skipped))
    }

    /// By file: whether no file before it in the delivery has the same content.
    fn first_of_content(&self) -> Vec<bool> {
        let mut seen = BTreeSet::new();
        self.digests.iter().map(|digest| seen.insert(digest)).collect()
    }

    fn hashes(&self, batch: &RecordBatch) -> Vec<u64> {
        let identity = self.shape.identity_columns();
        let columns: Vec<ArrayRef> =
            identity.iter().map(|name| batch.column_by_name(name).expect("identities are there").clone()).collect();
        stable_row_hashes(&columns, batch.num_rows())
    }
}
