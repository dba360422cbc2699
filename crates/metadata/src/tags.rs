//! Names that people give to commits of histories, so that training can go back to them.

use karat_core::{Instant, Name};
use serde::Serialize;

use crate::{Answer, Connection, MetadataError, Row, WriteTx, query, stored};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceTag {
    pub source: Name,
    pub tag: String,
    /// Of the commit.
    pub commit: u64,
    pub at: Instant,
    pub actor: String,
    pub why: String,
}

/// Gives the tag to its commit, whichever had it before; the commit must be there.
pub fn put<'a>(transaction: &'a mut WriteTx, tag: &'a SourceTag) -> Answer<'a, ()> {
    Box::pin(async move {
        query(
            "INSERT INTO source_tags (source, tag, number, at, actor, why) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (source, tag) DO UPDATE SET number = $3, at = $4, actor = $5, why = $6",
        )
        .bind(tag.source.as_str())
        .bind(&tag.tag)
        .bind(stored::signed(tag.commit))
        .bind(tag.at.micros())
        .bind(&tag.actor)
        .bind(&tag.why)
        .execute(transaction)
        .await?;
        Ok(())
    })
}

pub fn get<'a>(connection: &'a mut Connection, source: &'a Name, tag: &'a str) -> Answer<'a, Option<SourceTag>> {
    Box::pin(async move {
        let row = query("SELECT * FROM source_tags WHERE source = $1 AND tag = $2")
            .bind(source.as_str())
            .bind(tag)
            .fetch_optional(connection)
            .await?;
        row.as_ref().map(tag_of).transpose()
    })
}

/// All tags, by source, in each by commit.
pub fn list(connection: &mut Connection) -> Answer<'_, Vec<SourceTag>> {
    Box::pin(async move {
        let rows = query("SELECT * FROM source_tags ORDER BY source, number, at, tag").fetch_all(connection).await?;
        rows.iter().map(tag_of).collect()
    })
}

fn tag_of(row: &Row) -> Result<SourceTag, MetadataError> {
    let source = stored::text(row, "source")?;
    Ok(SourceTag {
        source: Name::new(&source).map_err(|error| MetadataError::Corrupt(error.to_string()))?,
        tag: stored::text(row, "tag")?,
        commit: stored::count(row, "number")?,
        at: stored::instant(row, "at")?,
        actor: stored::text(row, "actor")?,
        why: stored::text(row, "why")?,
    })
}
