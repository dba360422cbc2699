//! The rows of files that a history has.

use std::collections::{BTreeSet, HashMap};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use karat_core::{Digest, Schema, hidden};
use karat_history::Snapshot;

use crate::Result;

/// By a file's digest, a bit for each of its rows.
#[derive(Debug, Default)]
pub(super) struct KnownRows(HashMap<Digest, Vec<u64>>);

impl KnownRows {
    /// Of these files, the rows in the history.
    pub(super) async fn of(snapshot: &Snapshot, files: &BTreeSet<Digest>) -> Result<KnownRows> {
        let mut known = KnownRows::default();
        let mut batches = snapshot.stream(&Schema::default(), &[hidden::FILE, hidden::ROW], None);
        while let Some(batch) = batches.try_next().await? {
            let column = |name: &str| batch.column_by_name(name).expect("histories give their hidden columns");
            let digests = column(hidden::FILE).as_dictionary::<Int32Type>();
            let names = digests.values().as_string::<i32>();
            let wanted: Vec<Option<Digest>> =
                names.iter().map(|name| name.and_then(Digest::parse).filter(|digest| files.contains(digest))).collect();
            if wanted.iter().all(Option::is_none) {
                continue;
            }
            let rows = column(hidden::ROW).as_primitive::<Int64Type>();
            for (code, row) in digests.keys().iter().zip(rows) {
                if let (Some(Some(digest)), Some(row)) = (code.map(|code| &wanted[code as usize]), row) {
                    known.add(digest, row as u64);
                }
            }
        }
        Ok(known)
    }

    fn add(&mut self, file: &Digest, row: u64) {
        let bits = match self.0.get_mut(file) {
            Some(bits) => bits,
            None => self.0.entry(file.clone()).or_default(),
        };
        let word = (row / 64) as usize;
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        bits[word] |= 1 << (row % 64);
    }

    pub(super) fn contains(&self, file: &Digest, row: i64) -> bool {
        let row = row as u64;
        let word = self.0.get(file).and_then(|bits| bits.get((row / 64) as usize));
        word.is_some_and(|word| word & (1 << (row % 64)) != 0)
    }
}
