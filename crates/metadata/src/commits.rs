//! The rows that make history's commits real. What a manifest or the counts say is the history crate's affair.

use karat_core::{Digest, Instant, Name};
use serde_json::Value as Json;

use crate::{Answer, Connection, MetadataError, Row, WriteTx, query, stored};

#[derive(Debug, Clone, PartialEq)]
pub struct HistoryCommit {
    pub source: Name,
    /// 1 is a source's first.
    pub number: u64,
    pub at: Instant,
    pub delivery: Digest,
    pub partitions: u32,
    pub rows: u64,
    pub manifest: Json,
    pub counts: Json,
}

/// [`MetadataError::Conflict`] when the source has a commit of this number already: another writer was first.
pub fn insert<'a>(transaction: &'a mut WriteTx, commit: &'a HistoryCommit) -> Answer<'a, ()> {
    Box::pin(async move {
        let inserted = query(
            "INSERT INTO history_commits (source, number, at, delivery, partitions, row_count, manifest, counts) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (source, number) DO NOTHING",
        )
        .bind(commit.source.as_str())
        .bind(stored::signed(commit.number))
        .bind(commit.at.micros())
        .bind(commit.delivery.as_str())
        .bind(i64::from(commit.partitions))
        .bind(stored::signed(commit.rows))
        .bind(commit.manifest.to_string())
        .bind(commit.counts.to_string())
        .execute(transaction)
        .await?;
        match inserted {
            0 => Err(MetadataError::Conflict(format!(
                "`{}` has a commit {} already: another process wrote it; try again",
                commit.source, commit.number
            ))),
            _ => Ok(()),
        }
    })
}

/// All commits of a source, the first first.
pub fn list<'a>(connection: &'a mut Connection, source: &'a Name) -> Answer<'a, Vec<HistoryCommit>> {
    Box::pin(async move {
        let rows = query("SELECT * FROM history_commits WHERE source = $1 ORDER BY number")
            .bind(source.as_str())
            .fetch_all(connection)
            .await?;
        rows.iter().map(commit_of).collect()
    })
}

pub fn latest<'a>(connection: &'a mut Connection, source: &'a Name) -> Answer<'a, Option<HistoryCommit>> {
    at_or_before(connection, source, u64::MAX)
}

/// The commit of this number, or the one before where numbers end earlier; `None` when the source has none so early.
pub fn at_or_before<'a>(
    connection: &'a mut Connection,
    source: &'a Name,
    number: u64,
) -> Answer<'a, Option<HistoryCommit>> {
    Box::pin(async move {
        let row =
            query("SELECT * FROM history_commits WHERE source = $1 AND number <= $2 ORDER BY number DESC LIMIT 1")
                .bind(source.as_str())
                .bind(stored::signed(number))
                .fetch_optional(connection)
                .await?;
        row.as_ref().map(commit_of).transpose()
    })
}

/// The names of all sources that have a commit, sorted.
pub fn sources(connection: &mut Connection) -> Answer<'_, Vec<Name>> {
    Box::pin(async move {
        let rows = query("SELECT DISTINCT source FROM history_commits ORDER BY source").fetch_all(connection).await?;
        rows.iter().map(|row| name(row, "source")).collect()
    })
}

fn commit_of(row: &Row) -> Result<HistoryCommit, MetadataError> {
    let partitions = stored::count(row, "partitions")?;
    Ok(HistoryCommit {
        source: name(row, "source")?,
        number: stored::count(row, "number")?,
        at: stored::instant(row, "at")?,
        delivery: stored::digest(row, "delivery")?,
        partitions: u32::try_from(partitions)
            .map_err(|_| MetadataError::Corrupt(format!("a history commit of {partitions} partitions")))?,
        rows: stored::count(row, "row_count")?,
        manifest: stored::json(row, "manifest")?,
        counts: stored::json(row, "counts")?,
    })
}

fn name(row: &Row, column: &str) -> Result<Name, MetadataError> {
    Name::new(&stored::text(row, column)?).map_err(|error| MetadataError::Corrupt(error.to_string()))
}
