use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _};

use crate::MetadataError;

/// A row of an answer, whichever database gave it.
#[derive(Debug)]
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub fn get<T: Column>(&self, column: &str) -> Result<T, MetadataError> {
        Ok(T::at(self, column)?)
    }

    pub(crate) fn first<T: Column>(&self) -> Result<T, MetadataError> {
        Ok(T::at(self, 0)?)
    }
}

/// What columns hold. `Option` of it where they may be null.
pub trait Column: Sized {
    fn at<P: Place>(row: &Row, place: P) -> Result<Self, sqlx::Error>;
}

/// A column's name or number.
pub trait Place: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + Copy {}

impl<P: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + Copy> Place for P {}

macro_rules! columns {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn at<P: Place>(row: &Row, place: P) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(place),
                    Row::Postgres(row) => row.try_get(place),
                }
            }
        }
    )*};
}

columns!(bool, f64, String, Option<bool>, Option<f64>, Option<String>);

impl Column for Option<i64> {
    fn at<P: Place>(row: &Row, place: P) -> Result<Self, sqlx::Error> {
        match row {
            Row::Sqlite(row) => row.try_get(place),
            // A number that stands in a statement has four bytes in PostgreSQL.
            Row::Postgres(row) => row.try_get(place).or_else(|error| {
                row.try_get::<Option<i32>, P>(place).map(|short| short.map(i64::from)).map_err(|_| error)
            }),
        }
    }
}

impl Column for i64 {
    fn at<P: Place>(row: &Row, place: P) -> Result<Self, sqlx::Error> {
        Option::<i64>::at(row, place)?.ok_or_else(|| sqlx::Error::ColumnDecode {
            index: format!("{place:?}"),
            source: sqlx::error::UnexpectedNullError.into(),
        })
    }
}
