use karat_metadata::{Connection, MetadataError, Row, query, stored};

use super::Release;
use crate::{Answer, Registry, RegistryError};

impl Registry {
    /// `None` before anything was applied.
    pub fn current_release(&self) -> Answer<'_, Option<Release>> {
        Box::pin(async move { current(&mut *self.metadata.read().await?).await })
    }

    pub fn release(&self, number: u64) -> Answer<'_, Release> {
        Box::pin(async move {
            let row = query("SELECT * FROM releases WHERE number = $1")
                .bind(stored::signed(number))
                .fetch_optional(&mut *self.metadata.read().await?)
                .await?;
            let row = row.ok_or_else(|| RegistryError::NotFound(format!("there is no release {number}")))?;
            release_of(&row)
        })
    }

    /// The newest first.
    pub fn releases(&self, limit: u32) -> Answer<'_, Vec<Release>> {
        Box::pin(async move {
            let rows = query("SELECT * FROM releases ORDER BY number DESC LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(&mut *self.metadata.read().await?)
                .await?;
            rows.iter().map(release_of).collect()
        })
    }
}

pub(super) async fn current(connection: &mut Connection) -> Result<Option<Release>, RegistryError> {
    let row = query("SELECT * FROM releases ORDER BY number DESC LIMIT 1").fetch_optional(connection).await?;
    row.as_ref().map(release_of).transpose()
}

fn release_of(row: &Row) -> Result<Release, RegistryError> {
    let summary = serde_json::from_value(stored::json(row, "summary")?)
        .map_err(|error| MetadataError::Corrupt(format!("the summary of a release: {error}")))?;
    Ok(Release {
        number: stored::count(row, "number")?,
        digest: stored::digest(row, "digest")?,
        content: stored::json(row, "content")?,
        at: stored::instant(row, "at")?,
        actor: stored::text(row, "actor")?,
        summary,
    })
}
