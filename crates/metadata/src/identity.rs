//! What tells this database from any other, copies of it apart: whoever keeps files beside it writes it there.

use crate::{Answer, Connection, Metadata, MetadataError, query, query_scalar};

/// The database's own id, which is made when it is first asked for.
pub fn of(metadata: &Metadata) -> Answer<'_, String> {
    Box::pin(async move {
        if let Some(id) = read(&mut *metadata.read().await?).await? {
            return Ok(id);
        }
        let mut transaction = metadata.begin().await?;
        query("INSERT INTO identity (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING")
            .bind(karat_core::fresh_id())
            .execute(&mut transaction)
            .await?;
        // Another process may have been first.
        let id = read(&mut transaction).await?;
        transaction.commit().await?;
        id.ok_or_else(|| MetadataError::Corrupt("the database has no id, though one was given to it".to_owned()))
    })
}

fn read(connection: &mut Connection) -> Answer<'_, Option<String>> {
    Box::pin(async move { query_scalar("SELECT id FROM identity").fetch_optional(connection).await })
}
