//! What features' values looked like at a materialization. What the figures say is the affair of who takes them.

use karat_core::{Digest, Instant};
use serde_json::Value as Json;

use crate::{Answer, Connection, MetadataError, Row, WriteTx, query, stored};

/// Of one definition so many are kept, the newest.
const KEPT: i64 = 30;

#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    pub definition: Digest,
    /// The newest commit of the view's source that was read.
    pub commit: u64,
    pub at: Instant,
    pub figures: Json,
}

/// Replaces those of the same definition and commit.
pub fn put<'a>(transaction: &'a mut WriteTx, statistics: &'a Statistics) -> Answer<'a, ()> {
    Box::pin(async move {
        query(
            "INSERT INTO feature_statistics (definition, source_commit, at, statistics) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (definition, source_commit) DO UPDATE SET at = excluded.at, statistics = excluded.statistics",
        )
        .bind(statistics.definition.as_str())
        .bind(stored::signed(statistics.commit))
        .bind(statistics.at.micros())
        .bind(statistics.figures.to_string())
        .execute(transaction)
        .await?;
        query(
            "DELETE FROM feature_statistics WHERE definition = $1 AND source_commit NOT IN \
             (SELECT source_commit FROM feature_statistics WHERE definition = $1 ORDER BY source_commit DESC LIMIT $2)",
        )
        .bind(statistics.definition.as_str())
        .bind(KEPT)
        .execute(transaction)
        .await?;
        Ok(())
    })
}

/// Whether there are any at all.
pub fn any(connection: &mut Connection) -> Answer<'_, bool> {
    Box::pin(async move {
        let row = query("SELECT definition FROM feature_statistics LIMIT 1").fetch_optional(connection).await?;
        Ok(row.is_some())
    })
}

/// Those of the newest commit; `None` of a definition that none were taken of.
pub fn newest<'a>(connection: &'a mut Connection, definition: &'a Digest) -> Answer<'a, Option<Statistics>> {
    Box::pin(async move {
        let row = query("SELECT * FROM feature_statistics WHERE definition = $1 ORDER BY source_commit DESC LIMIT 1")
            .bind(definition.as_str())
            .fetch_optional(connection)
            .await?;
        row.as_ref().map(statistics_of).transpose()
    })
}

fn statistics_of(row: &Row) -> Result<Statistics, MetadataError> {
    Ok(Statistics {
        definition: stored::digest(row, "definition")?,
        commit: stored::count(row, "source_commit")?,
        at: stored::instant(row, "at")?,
        figures: stored::json(row, "statistics")?,
    })
}
