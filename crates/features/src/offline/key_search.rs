//! Where a key stands among rows that are in the order of their keys.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, DynComparator, make_comparator};
use arrow::error::ArrowError;

use super::row_order::ASCENDING;

/// The keys of rows, ascending with nulls last, beside one key.
pub(super) struct Beside {
    columns: Vec<DynComparator>,
    rows: usize,
}

impl Beside {
    /// `key` has one row.
    pub(super) fn new(keys: &[ArrayRef], key: &[ArrayRef]) -> Result<Beside, ArrowError> {
        let columns = keys.iter().zip(key).map(|(column, key)| make_comparator(column, key, ASCENDING));
        Ok(Beside { columns: columns.collect::<Result<_, _>>()?, rows: keys.first().map_or(0, |column| column.len()) })
    }

    /// How a row's key stands beside the key.
    pub(super) fn order(&self, row: usize) -> Ordering {
        self.columns.iter().map(|column| column(row, 0)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The first row of the key, or of a later one.
    pub(super) fn start(&self) -> usize {
        self.first(Ordering::is_ge)
    }

    /// The first row of a later key.
    pub(super) fn end(&self) -> usize {
        self.first(Ordering::is_gt)
    }

    fn first(&self, is_there: impl Fn(Ordering) -> bool) -> usize {
        let (mut start, mut end) = (0, self.rows);
        while start < end {
            let middle = start.midpoint(end);
            if is_there(self.order(middle)) {
                end = middle;
            } else {
                start = middle + 1;
            }
        }
        start
    }
}

/// The key of a row.
pub(super) fn key_of(keys: &[ArrayRef], row: usize) -> Vec<ArrayRef> {
    keys.iter().map(|column| column.slice(row, 1)).collect()
}
