//! One file in WAL mode: one connection that writes, several that read. Statements run in place: SQLite is a library, and
//! handing each statement and row to another thread would cost more than most of them.

mod pool;
mod row;
mod statement;

pub(crate) use pool::{Pools, Reading, Writing, open};
pub use row::SqliteRow;
pub(crate) use row::Value;
pub(crate) use statement::{each, execute, execute_rows, fetch_all, fetch_optional};

/// SQLite's primary result code: 5 busy, 6 locked, 10 I/O, 11 corrupt, 13 full, 14 cannot open, 26 not a database.
pub(crate) fn code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code & 0xff)
}

/// Whether another connection held a lock, so that trying again helps.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(5 | 6))
}
