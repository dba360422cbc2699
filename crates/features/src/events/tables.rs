//! Events spread over tables by a hash of their key: what is done for the keys of one table stays in the caches, and
//! tables are worked on side by side.

use std::hash::BuildHasher;

use arrow::array::{ArrayRef, RecordBatch};
use hashbrown::DefaultHashBuilder;

use super::project::Projected;
use super::table::{EventTable, Keys, Words, key_bytes};
use crate::error::FeatureError;
use crate::view::CompiledView;

const TABLES: usize = 64;

#[derive(Debug)]
pub(crate) struct EventTables {
    tables: Vec<EventTable>,
    words: bool,
    hasher: DefaultHashBuilder,
}

impl EventTables {
    pub(crate) fn new(view: &CompiledView) -> EventTables {
        let table = || EventTable::late(view.key_columns(), &view.plan);
        EventTables {
            tables: std::iter::repeat_with(table).take(TABLES).collect(),
            words: Keys::are_words(view.key_columns()),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Appends a batch of history.
    pub(crate) fn push(&mut self, view: &CompiledView, batch: &RecordBatch) -> Result<(), FeatureError> {
        let projected = Projected::new(view, batch)?;
        let spread = self.spread(&projected.keys, projected.rows);
        let mut filled = self.tables.iter_mut().zip(&spread).filter(|(_, rows)| !rows.is_empty());
        filled.try_for_each(|(table, rows)| table.append(&view.plan, &projected, rows))
    }

    /// Makes room for so many events in all.
    pub(crate) fn reserve(&mut self, events: usize) {
        // Hashes fill no two tables quite alike.
        let share = events / TABLES + events / (16 * TABLES);
        self.tables.iter_mut().for_each(|table| table.reserve(share));
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(EventTable::len).sum()
    }

    pub(crate) fn into_tables(self) -> Vec<EventTable> {
        self.tables
    }

    /// The rows whose keys are in each table, ascending. Keys with a null are in none; their rows are with the first.
    pub(crate) fn spread(&self, keys: &[ArrayRef], rows: usize) -> Vec<Vec<u32>> {
        let mut spread: Vec<Vec<u32>> = std::iter::repeat_with(Vec::new).take(TABLES).collect();
        spread.iter_mut().for_each(|table| table.reserve(rows / TABLES + rows / (4 * TABLES)));
        if self.words {
            let words = Words::of(&keys[0]);
            for row in 0..rows {
                let hash = words.get(row).map_or(0, |word| (word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                spread[(hash >> 58) as usize].push(row as u32);
            }
        } else {
            for row in 0..rows {
                let hash = key_bytes(keys, row).map_or(0, |key| self.hasher.hash_one(&key));
                spread[(hash >> 58) as usize].push(row as u32);
            }
        }
        spread
    }
}

const _: () = assert!(TABLES == 1 << (64 - 58));
