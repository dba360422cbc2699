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
        EventTables::so_many(view, TABLES)
    }

    /// For events that are mostly few enough to stay in the caches as they are.
    pub(crate) fn one(view: &CompiledView) -> EventTables {
        EventTables::so_many(view, 1)
    }

    fn so_many(view: &CompiledView, tables: usize) -> EventTables {
        let table = || EventTable::late(view.key_columns(), &view.plan);
        EventTables {
            tables: std::iter::repeat_with(table).take(tables).collect(),
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
        let share = events / self.tables.len() + events / (16 * self.tables.len());
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
        if self.tables.len() == 1 {
            return vec![(0..rows as u32).collect()];
        }
        let of_word = |word: i64| ((word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize;
        let of_bytes = |key: &[u8]| (self.hasher.hash_one(key) >> 58) as usize;
        spread((keys, rows), TABLES, self.words, of_word, of_bytes)
    }
}

/// The rows whose keys are in each of so many places, ascending; those of a key with a null are in the first.
pub(crate) fn spread(
    (keys, rows): (&[ArrayRef], usize),
    places: usize,
    words: bool,
    of_word: impl Fn(i64) -> usize,
    of_bytes: impl Fn(&[u8]) -> usize,
) -> Vec<Vec<u32>> {
    let mut spread: Vec<Vec<u32>> = std::iter::repeat_with(Vec::new).take(places).collect();
    spread.iter_mut().for_each(|place| place.reserve(rows / places + rows / (4 * places)));
    if words {
        let words = Words::of(&keys[0]);
        for row in 0..rows {
            spread[words.get(row).map_or(0, &of_word)].push(row as u32);
        }
    } else {
        for row in 0..rows {
            spread[key_bytes(keys, row).map_or(0, |key| of_bytes(&key))].push(row as u32);
        }
    }
    spread
}

const _: () = assert!(TABLES == 1 << (64 - 58));
