//! Which commits of a history lie in fewer files by now. What a manifest says is the history crate's affair.

use karat_core::{Instant, Name};
use serde_json::Value as Json;

use crate::{Answer, Connection, MetadataError, Row, WriteTx, query, stored};

#[derive(Debug, Clone, PartialEq)]
pub struct HistoryCompaction {
    pub source: Name,
    /// The first number that its rows may have.
    pub first: u64,
    /// The number of its last commit.
    pub last: u64,
    pub at: Instant,
    pub manifest: Json,
}

/// [`MetadataError::Conflict`] when there is one of the same numbers.
pub fn insert<'a>(transaction: &'a mut WriteTx, compaction: &'a HistoryCompaction) -> Answer<'a, ()> {
    Box::pin(async move {
        let inserted = query(
            "INSERT INTO history_compactions (source, first_number, last_number, at, manifest) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (source, first_number, last_number) DO NOTHING",
        )
        .bind(compaction.source.as_str())
        .bind(stored::signed(compaction.first))
        .bind(stored::signed(compaction.last))
        .bind(compaction.at.micros())
        .bind(compaction.manifest.to_string())
        .execute(transaction)
        .await?;
        match inserted {
            0 => Err(MetadataError::Conflict(format!(
                "commits {} to {} of `{}` were compacted by another process meanwhile",
                compaction.first, compaction.last, compaction.source
            ))),
            _ => Ok(()),
        }
    })
}

/// All of a source: by their first number, of those that share it the widest first.
pub fn list<'a>(connection: &'a mut Connection, source: &'a Name) -> Answer<'a, Vec<HistoryCompaction>> {
    Box::pin(async move {
        let rows = query("SELECT * FROM history_compactions WHERE source = $1 ORDER BY first_number, last_number DESC")
            .bind(source.as_str())
            .fetch_all(connection)
            .await?;
        rows.iter().map(compaction_of).collect()
    })
}

/// Nothing happens when there is none of these numbers.
pub fn remove<'a>(transaction: &'a mut WriteTx, source: &'a Name, first: u64, last: u64) -> Answer<'a, ()> {
    Box::pin(async move {
        query("DELETE FROM history_compactions WHERE source = $1 AND first_number = $2 AND last_number = $3")
            .bind(source.as_str())
            .bind(stored::signed(first))
            .bind(stored::signed(last))
            .execute(transaction)
            .await?;
        Ok(())
    })
}

fn compaction_of(row: &Row) -> Result<HistoryCompaction, MetadataError> {
    Ok(HistoryCompaction {
        source: Name::new(&stored::text(row, "source")?).map_err(|error| MetadataError::Corrupt(error.to_string()))?,
        first: stored::count(row, "first_number")?,
        last: stored::count(row, "last_number")?,
        at: stored::instant(row, "at")?,
        manifest: stored::json(row, "manifest")?,
    })
}
