use rusqlite::types::ValueRef;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

use crate::MetadataError;

/// A row while it is read, its values by the numbers of their columns, from 0: for answers of thousands of rows, of which
/// nothing is kept but what the reader makes of them.
pub enum Cells<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r PgRow),
}

impl<'r> Cells<'r> {
    pub fn text(&self, column: usize) -> Result<&'r str, MetadataError> {
        match self {
            Cells::Sqlite(row) => match row.get_ref(column)? {
                ValueRef::Text(bytes) => {
                    Ok(str::from_utf8(bytes).map_err(|error| rusqlite::Error::Utf8Error(column, error))?)
                }
                other => Err(unexpected(column, other)),
            },
            Cells::Postgres(row) => decoded(row, column),
        }
    }

    pub fn int(&self, column: usize) -> Result<i64, MetadataError> {
        match self {
            Cells::Sqlite(row) => match row.get_ref(column)? {
                ValueRef::Integer(number) => Ok(number),
                other => Err(unexpected(column, other)),
            },
            Cells::Postgres(row) => decoded(row, column),
        }
    }

    pub fn float(&self, column: usize) -> Result<f64, MetadataError> {
        match self {
            Cells::Sqlite(row) => match row.get_ref(column)? {
                ValueRef::Real(number) => Ok(number),
                other => Err(unexpected(column, other)),
            },
            Cells::Postgres(row) => decoded(row, column),
        }
    }

    pub fn bool(&self, column: usize) -> Result<bool, MetadataError> {
        match self {
            Cells::Sqlite(_) => Ok(self.int(column)? != 0),
            Cells::Postgres(row) => decoded(row, column),
        }
    }
}

fn decoded<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: usize) -> Result<T, MetadataError> {
    Ok(row.try_get(column)?)
}

fn unexpected(column: usize, value: ValueRef<'_>) -> MetadataError {
    MetadataError::Corrupt(format!("column {} holds {value:?}", column + 1))
}
