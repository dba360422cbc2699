use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};

use super::{SqliteRow, Value};
use crate::bind::Bound;

/// How many rows it changed.
pub(crate) fn execute(connection: &Connection, sql: &str, bound: &[Bound]) -> Result<u64, rusqlite::Error> {
    let mut statement = prepare(connection, sql, bound)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(connection.changes())
}

pub(crate) fn fetch_all(
    connection: &Connection,
    sql: &str,
    bound: &[Bound],
) -> Result<Vec<SqliteRow>, rusqlite::Error> {
    fetch(connection, sql, bound, usize::MAX)
}

pub(crate) fn fetch_optional(
    connection: &Connection,
    sql: &str,
    bound: &[Bound],
) -> Result<Option<SqliteRow>, rusqlite::Error> {
    Ok(fetch(connection, sql, bound, 1)?.pop())
}

fn fetch(connection: &Connection, sql: &str, bound: &[Bound], most: usize) -> Result<Vec<SqliteRow>, rusqlite::Error> {
    let mut statement = prepare(connection, sql, bound)?;
    let names: Arc<[Box<str>]> = statement.column_names().into_iter().map(Box::from).collect();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while found.len() < most
        && let Some(row) = rows.next()?
    {
        let values = (0..names.len()).map(|column| Value::of(row.get_ref(column)?, column));
        found.push(SqliteRow::new(names.clone(), values.collect::<Result<_, _>>()?));
    }
    Ok(found)
}

fn prepare<'c>(connection: &'c Connection, sql: &str, bound: &[Bound]) -> Result<CachedStatement<'c>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(sql)?;
    for (number, value) in bound.iter().enumerate() {
        match value {
            Bound::Bool(value) => statement.raw_bind_parameter(number + 1, value)?,
            Bound::Int(value) => statement.raw_bind_parameter(number + 1, value)?,
            Bound::Float(value) => statement.raw_bind_parameter(number + 1, value)?,
            Bound::Text(value) => statement.raw_bind_parameter(number + 1, value.as_deref())?,
        }
    }
    Ok(statement)
}
