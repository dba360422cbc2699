//! Which identities a history has, and their records: what was pushed last in memory, of all others a hash each.

use std::collections::{HashMap, HashSet};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use futures::TryStreamExt;
use karat_core::{Schema, hidden};
use karat_history::Snapshot;

use crate::Result;
use crate::hash::stable_row_hashes;
use crate::plan::Shape;

pub(super) struct Known {
    /// What is in commits.
    kept: Option<Snapshot>,
    /// Sorted hashes of the identities in it.
    sealed: Vec<u64>,
    /// What was pushed before the log turned over, while it is sealed.
    sealing: Option<Recent>,
    recent: Recent,
}

/// Records in memory, found by the hash of their identity.
#[derive(Default)]
struct Recent {
    batches: Vec<RecordBatch>,
    /// The batch and the row of each record, and the record of the same hash before it.
    places: Vec<(u32, u32, u32)>,
    /// The last record of a hash.
    last: HashMap<u64, u32>,
}

const NONE: u32 = u32::MAX;

/// Records of some identities, and perhaps of others.
pub(super) struct There(Recent);

impl Known {
    pub async fn of(shape: &Shape, kept: Option<Snapshot>) -> Result<Known> {
        let mut sealed = Vec::new();
        if let Some(kept) = &kept {
            let mut batches = identities(shape, kept);
            while let Some(batch) = batches.try_next().await? {
                sealed.extend(hashes_of(shape, &batch));
            }
        }
        sealed.sort_unstable();
        sealed.dedup();
        Ok(Known { kept, sealed, sealing: None, recent: Recent::default() })
    }

    /// The records of these identities.
    pub async fn find(&self, shape: &Shape, hashes: &[u64]) -> Result<There> {
        let mut found = Recent::default();
        let mut of_commits: HashSet<u64> = HashSet::new();
        for hash in hashes {
            if self.sealed.binary_search(hash).is_ok() {
                of_commits.insert(*hash);
            }
        }
        if let (Some(kept), false) = (&self.kept, of_commits.is_empty()) {
            let partitions: HashSet<u32> =
                of_commits.iter().map(|hash| (hash % u64::from(kept.partitions)) as u32).collect();
            for partition in partitions {
                let mut batches = kept.stream(&shape.schema, &hidden::ALL, Some(partition));
                while let Some(batch) = batches.try_next().await? {
                    let of_rows = hashes_of(shape, &batch);
                    let wanted: Vec<u32> = (0..batch.num_rows() as u32)
                        .filter(|row| of_commits.contains(&of_rows[*row as usize]))
                        .collect();
                    if !wanted.is_empty() {
                        let hashes: Vec<u64> = wanted.iter().map(|row| of_rows[*row as usize]).collect();
                        found.add(&take_record_batch(&batch, &UInt32Array::from(wanted))?, &hashes);
                    }
                }
            }
        }
        for recent in self.sealing.iter().chain([&self.recent]) {
            if let Some((batch, hashes)) = recent.of(hashes.iter().copied())? {
                found.add(&batch, &hashes);
            }
        }
        Ok(There(found))
    }

    pub fn add(&mut self, records: &RecordBatch, hashes: &[u64]) {
        self.recent.add(records, hashes);
    }

    pub fn is_sealing(&self) -> bool {
        self.sealing.is_some()
    }

    pub fn begin_sealing(&mut self) {
        self.sealing = Some(std::mem::take(&mut self.recent));
    }

    /// `kept` is what is in commits now; without it, everything stays where it was found.
    pub fn end_sealing(&mut self, kept: Option<Snapshot>) {
        let Some(sealing) = self.sealing.take() else { return };
        match kept {
            Some(kept) => {
                self.kept = Some(kept);
                self.sealed.extend(sealing.last.into_keys());
                self.sealed.sort_unstable();
                self.sealed.dedup();
            }
            None => {
                let recent = std::mem::replace(&mut self.recent, sealing);
                self.recent.append(recent);
            }
        }
    }
}

impl There {
    /// Records written meanwhile.
    pub fn add(&mut self, records: &RecordBatch, hashes: &[u64]) {
        self.0.add(records, hashes);
    }

    pub fn of(&self, hashes: &[u64]) -> Result<Option<RecordBatch>> {
        Ok(self.0.of(hashes.iter().copied())?.map(|(batch, _)| batch))
    }
}

impl Recent {
    fn add(&mut self, records: &RecordBatch, hashes: &[u64]) {
        let batch = self.batches.len() as u32;
        self.batches.push(records.clone());
        self.places.reserve(hashes.len());
        for (row, hash) in hashes.iter().enumerate() {
            let place = self.places.len() as u32;
            let before = self.last.insert(*hash, place).unwrap_or(NONE);
            self.places.push((batch, row as u32, before));
        }
    }

    fn append(&mut self, later: Recent) {
        let mut by_batch: Vec<Vec<u64>> = later.batches.iter().map(|batch| vec![0; batch.num_rows()]).collect();
        for (hash, last) in &later.last {
            let mut place = *last;
            while place != NONE {
                let (batch, row, before) = later.places[place as usize];
                by_batch[batch as usize][row as usize] = *hash;
                place = before;
            }
        }
        for (batch, hashes) in later.batches.iter().zip(by_batch) {
            self.add(batch, &hashes);
        }
    }

    /// The records of these hashes, each with its own.
    fn of(&self, hashes: impl Iterator<Item = u64>) -> Result<Option<(RecordBatch, Vec<u64>)>> {
        let mut wanted: Vec<(usize, usize)> = Vec::new();
        let mut of: Vec<u64> = Vec::new();
        let mut asked = HashSet::new();
        for hash in hashes {
            let Some(last) = self.last.get(&hash) else { continue };
            if !asked.insert(hash) {
                continue;
            }
            let mut place = *last;
            while place != NONE {
                let (batch, row, before) = self.places[place as usize];
                wanted.push((batch as usize, row as usize));
                of.push(hash);
                place = before;
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        // Only what is needed of them: there may be many.
        let mut needed: Vec<usize> = wanted.iter().map(|(batch, _)| *batch).collect();
        needed.sort_unstable();
        needed.dedup();
        let batches: Vec<&RecordBatch> = needed.iter().map(|batch| &self.batches[*batch]).collect();
        let places: Vec<(usize, usize)> = wanted
            .iter()
            .map(|(batch, row)| (needed.binary_search(batch).expect("it is among those needed"), *row))
            .collect();
        Ok(Some((interleave_record_batch(&batches, &places)?, of)))
    }
}

fn identities(
    shape: &Shape,
    kept: &Snapshot,
) -> futures::stream::BoxStream<'static, std::result::Result<RecordBatch, karat_history::HistoryError>> {
    let names = shape.identity_columns();
    let declared = shape.schema.columns().iter().filter(|column| names.contains(&column.name.as_str()));
    let hidden: Vec<&str> = hidden::ALL.into_iter().filter(|name| names.contains(name)).collect();
    kept.stream(&Schema::new(declared.cloned().collect()), &hidden, None)
}

fn hashes_of(shape: &Shape, batch: &RecordBatch) -> Vec<u64> {
    let column = |name: &&str| batch.column_by_name(name).expect("identities are read").clone();
    let identity: Vec<ArrayRef> = shape.identity_columns().iter().map(column).collect();
    stable_row_hashes(&identity, batch.num_rows())
}
