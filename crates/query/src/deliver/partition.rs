//! Accepted rows split into the partitions of a history, by a hash of their identity.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema as ArrowSchema, UInt32Type};
use karat_core::{Digest, hidden};

use super::known::KnownRows;
use super::slices::{Division, Slices};
use crate::Result;
use crate::plan::{Identity, Shape};
use crate::spool::Spool;
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
        let division = Division { below: 1, parts: self.partitions };
        let identity = self.shape.identity_columns();
        let mut slices = Slices::new(&schema, &identity, division, &self.temp_dir, self.budget);
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
            slices.push_some(&batch, |row| {
                let known = by_file && is_known(row);
                skipped += u64::from(known);
                !known
            })?;
        }
        Ok((slices.finish()?, skipped))
    }

    /// By file: whether no file before it in the delivery has the same content.
    fn first_of_content(&self) -> Vec<bool> {
        let mut seen = BTreeSet::new();
        self.digests.iter().map(|digest| seen.insert(digest)).collect()
    }
}
