use std::fmt;

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

use crate::MetadataError;
use crate::sqlite::{SqliteRow, Value};

/// A row of an answer, whichever database gave it.
#[derive(Debug)]
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub fn get<T: Column>(&self, column: &str) -> Result<T, MetadataError> {
        T::at(self, Place::Name(column))
    }

    pub(crate) fn first<T: Column>(&self) -> Result<T, MetadataError> {
        T::at(self, Place::Number(0))
    }
}

/// A column's name or number.
#[derive(Debug, Clone, Copy)]
pub enum Place<'c> {
    Name(&'c str),
    Number(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Name(name) => write!(f, "`{name}`"),
            Place::Number(number) => write!(f, "{}", number + 1),
        }
    }
}

/// What columns hold. `Option` of it where they may be null.
pub trait Column: Sized {
    fn at(row: &Row, place: Place<'_>) -> Result<Self, MetadataError>;
}

macro_rules! columns {
    ($($type:ty => $sqlite:path, $postgres:path;)*) => {$(
        impl Column for $type {
            fn at(row: &Row, place: Place<'_>) -> Result<Self, MetadataError> {
                match row {
                    Row::Sqlite(row) => row.get(place, $sqlite),
                    Row::Postgres(row) => {
                        let null = || MetadataError::Corrupt(format!("column {place} is null"));
                        $postgres(row, place)?.ok_or_else(null)
                    }
                }
            }
        }

        impl Column for Option<$type> {
            fn at(row: &Row, place: Place<'_>) -> Result<Self, MetadataError> {
                match row {
                    Row::Sqlite(row) => row.get(place, |value| match value {
                        Value::Null => Some(None),
                        value => $sqlite(value).map(Some),
                    }),
                    Row::Postgres(row) => Ok($postgres(row, place)?),
                }
            }
        }
    )*};
}

columns! {
    bool => Value::bool, postgres::<bool>;
    i64 => Value::int, postgres_int;
    f64 => Value::float, postgres::<f64>;
    String => Value::text, postgres::<String>;
}

fn postgres<T>(row: &PgRow, place: Place<'_>) -> Result<Option<T>, sqlx::Error>
where
    T: Type<Postgres> + for<'r> Decode<'r, Postgres>,
{
    match place {
        Place::Name(name) => row.try_get(name),
        Place::Number(number) => row.try_get(number),
    }
}

/// A number that stands in a statement has four bytes in PostgreSQL.
fn postgres_int(row: &PgRow, place: Place<'_>) -> Result<Option<i64>, sqlx::Error> {
    postgres::<i64>(row, place).or_else(|error| {
        let short = postgres::<i32>(row, place);
        short.map(|short| short.map(i64::from)).map_err(|_| error)
    })
}
