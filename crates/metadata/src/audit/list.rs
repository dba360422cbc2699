use super::{Entry, Head, Subject};
use crate::{Answer, Connection, MetadataError, Row, query, stored};

/// Which entries to list; what is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub subject_kind: Option<String>,
    pub subject_name: Option<String>,
    pub action: Option<String>,
    pub actor: Option<String>,
    /// Only entries older than this one: how to turn pages.
    pub before: Option<i64>,
    pub limit: Option<u32>,
}

/// The newest first.
pub fn list<'a>(connection: &'a mut Connection, filter: &'a Filter) -> Answer<'a, Vec<Entry>> {
    Box::pin(async move {
        let rows = query(
            "SELECT * FROM audit_entries \
             WHERE ($1 IS NULL OR subject_kind = $1) AND ($2 IS NULL OR subject_name = $2) \
             AND ($3 IS NULL OR action = $3) AND ($4 IS NULL OR actor = $4) AND id < $5 ORDER BY id DESC LIMIT $6",
        )
        .bind(&filter.subject_kind)
        .bind(&filter.subject_name)
        .bind(&filter.action)
        .bind(&filter.actor)
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(filter.limit.map_or(i64::MAX, i64::from))
        .fetch_all(connection)
        .await?;
        rows.iter().map(entry_of).collect()
    })
}

/// The end of the chain, to be kept where the database's writers cannot reach.
pub fn head(connection: &mut Connection) -> Answer<'_, Head> {
    Box::pin(async move {
        let row =
            query("SELECT id, hash FROM audit_entries ORDER BY id DESC LIMIT 1").fetch_optional(connection).await?;
        match row {
            Some(row) => Ok(Head { id: stored::int(&row, "id")?, hash: stored::digest(&row, "hash")? }),
            None => Ok(Head::genesis()),
        }
    })
}

fn entry_of(row: &Row) -> Result<Entry, MetadataError> {
    Ok(Entry {
        id: stored::int(row, "id")?,
        at: stored::instant(row, "at")?,
        actor: stored::text(row, "actor")?,
        action: stored::text(row, "action")?,
        subject: Subject {
            kind: stored::text(row, "subject_kind")?,
            name: stored::text(row, "subject_name")?,
            version: stored::optional_text(row, "subject_version")?,
        },
        details: stored::json(row, "details")?,
        previous: stored::digest(row, "previous")?,
        hash: stored::digest(row, "hash")?,
    })
}
