//! Projected events: of each row of history, what the view's features need and nothing else.

mod cells;
mod interner;
mod key_events;
mod project;
mod table;
mod tables;
mod uniform;

pub(crate) use cells::{Cells, compare, value};
pub(crate) use interner::Texts;
pub(crate) use key_events::{EventOrder, KeyEvents};
pub(crate) use project::{Projected, keep_events, key_columns, nulled_cells};
pub(crate) use table::{EventTable, Groups, Keys, NO_KEY};
pub(crate) use tables::{EventTables, spread};

/// The values at `rows`.
pub(crate) fn at<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}
