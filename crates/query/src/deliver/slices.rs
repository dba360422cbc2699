//! Rows divided by a hash of their identity.

use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;

use crate::Result;
use crate::hash::stable_row_hashes;
use crate::spool::{Spool, SpoolWriter};

/// Which of so many parts a row is in: the digits of its hash above those that `below` partitions use.
#[derive(Clone, Copy)]
pub(super) struct Division {
    pub below: u32,
    pub parts: u32,
}

impl Division {
    pub(super) fn part_of(self, hash: u64) -> usize {
        (hash / u64::from(self.below) % u64::from(self.parts)) as usize
    }
}

pub(super) struct Slices {
    identity: Vec<String>,
    division: Division,
    writers: Vec<SpoolWriter>,
}

impl Slices {
    /// `budget` is what all of them may hold in memory.
    pub(super) fn new(
        schema: &SchemaRef,
        identity: &[&str],
        division: Division,
        temp_dir: &Path,
        budget: usize,
    ) -> Slices {
        let budget = budget / division.parts as usize;
        let writer = |_| SpoolWriter::new(schema.clone(), temp_dir, budget);
        Slices {
            identity: identity.iter().map(|name| (*name).to_owned()).collect(),
            division,
            writers: (0..division.parts).map(writer).collect(),
        }
    }

    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        match self.writers.as_mut_slice() {
            [all] => all.push(batch.clone()),
            _ => self.push_some(batch, |_| true),
        }
    }

    /// The rows, by their number, that are `wanted`.
    pub(super) fn push_some(&mut self, batch: &RecordBatch, mut wanted: impl FnMut(usize) -> bool) -> Result<()> {
        let column = |name: &String| batch.column_by_name(name).expect("identities are there").clone();
        let identity: Vec<ArrayRef> = self.identity.iter().map(column).collect();
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.writers.len()];
        for (row, hash) in stable_row_hashes(&identity, batch.num_rows()).into_iter().enumerate() {
            if wanted(row) {
                rows[self.division.part_of(hash)].push(row as u32);
            }
        }
        for (rows, writer) in rows.into_iter().zip(&mut self.writers) {
            if rows.len() == batch.num_rows() {
                writer.push(batch.clone())?;
            } else if !rows.is_empty() {
                writer.push(take_record_batch(batch, &UInt32Array::from(rows))?)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Spool>> {
        self.writers.into_iter().map(SpoolWriter::finish).collect()
    }
}
