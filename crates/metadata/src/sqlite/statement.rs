use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};

use super::{SqliteRow, Value};
use crate::bind::Bound;
use crate::{Cells, MetadataError};

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

pub(crate) fn each<E: From<MetadataError>>(
    connection: &Connection,
    sql: &str,
    bound: &[Bound],
    mut see: impl FnMut(Cells<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = prepare(connection, sql, bound).map_err(MetadataError::from)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(MetadataError::from)? {
        see(Cells::Sqlite(row))?;
    }
    Ok(())
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

/// The statement for each row of values; how many rows they changed.
pub(crate) fn execute_rows(
    connection: &Connection,
    sql: &str,
    width: usize,
    values: &[Bound],
) -> Result<u64, rusqlite::Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let places = places(&statement)?;
    let mut changed = 0;
    for row in values.chunks(width) {
        bind(&mut statement, &places, row)?;
        changed += statement.raw_execute()? as u64;
    }
    Ok(changed)
}

fn prepare<'c>(connection: &'c Connection, sql: &str, bound: &[Bound]) -> Result<CachedStatement<'c>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let places = places(&statement)?;
    bind(&mut statement, &places, bound)?;
    Ok(statement)
}

/// Which value each of the statement's parameters takes. To SQLite `$2` is a name like any other, and parameters are
/// numbered as they first appear.
fn places(statement: &CachedStatement<'_>) -> Result<Vec<usize>, rusqlite::Error> {
    let place = |index: usize| match statement.parameter_name(index) {
        None => Ok(index - 1),
        Some(name) => match name[1..].parse::<usize>() {
            Ok(number @ 1..) => Ok(number - 1),
            _ => Err(rusqlite::Error::InvalidParameterName(name.to_owned())),
        },
    };
    (1..=statement.parameter_count()).map(place).collect()
}

fn bind(statement: &mut CachedStatement<'_>, places: &[usize], bound: &[Bound]) -> Result<(), rusqlite::Error> {
    for (index, place) in places.iter().enumerate() {
        let value = bound.get(*place).ok_or(rusqlite::Error::InvalidParameterCount(bound.len(), places.len()))?;
        match value {
            Bound::Bool(value) => statement.raw_bind_parameter(index + 1, value)?,
            Bound::Int(value) => statement.raw_bind_parameter(index + 1, value)?,
            Bound::Float(value) => statement.raw_bind_parameter(index + 1, value)?,
            Bound::Text(value) => statement.raw_bind_parameter(index + 1, value.as_deref())?,
        }
    }
    Ok(())
}
