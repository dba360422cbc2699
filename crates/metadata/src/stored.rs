//! Between columns and the types of `karat-core`: what the crates that keep their SQL beside their nouns share.

use std::collections::BTreeMap;

use karat_core::{Digest, Instant};

use crate::{MetadataError, Row};

pub fn text(row: &Row, column: &str) -> Result<String, MetadataError> {
    row.get(column)
}

pub fn optional_text(row: &Row, column: &str) -> Result<Option<String>, MetadataError> {
    row.get(column)
}

pub fn int(row: &Row, column: &str) -> Result<i64, MetadataError> {
    row.get(column)
}

pub fn count(row: &Row, column: &str) -> Result<u64, MetadataError> {
    let value = int(row, column)?;
    u64::try_from(value).map_err(|_| corrupt(column, value, "a number from 0"))
}

pub fn instant(row: &Row, column: &str) -> Result<Instant, MetadataError> {
    Ok(Instant::from_micros(int(row, column)?))
}

pub fn digest(row: &Row, column: &str) -> Result<Digest, MetadataError> {
    let value = text(row, column)?;
    Digest::parse(&value).ok_or_else(|| corrupt(column, value, "a SHA-256 digest"))
}

pub fn json(row: &Row, column: &str) -> Result<serde_json::Value, MetadataError> {
    let value = text(row, column)?;
    serde_json::from_str(&value).map_err(|_| corrupt(column, value, "JSON"))
}

/// A word that a column's check constraint knows, through its type's parser.
pub fn word<T>(row: &Row, column: &str, parse: fn(&str) -> Option<T>) -> Result<T, MetadataError> {
    let value = text(row, column)?;
    parse(&value).ok_or_else(|| corrupt(column, value, "one of the known words"))
}

/// Columns `key` and `value` of rows, as a map.
pub fn pairs(rows: &[Row]) -> Result<BTreeMap<String, String>, MetadataError> {
    rows.iter().map(|row| Ok((text(row, "key")?, text(row, "value")?))).collect()
}

/// For binding: SQL has no unsigned numbers, and nothing here counts that far.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn corrupt(column: &str, value: impl std::fmt::Display, wanted: &str) -> MetadataError {
    let value: String = value.to_string().chars().take(80).collect();
    MetadataError::Corrupt(format!("column `{column}` is `{value}`, expected {wanted}"))
}
