//! Brings the schema forward: all pending migrations in one write transaction, so that of several openers one migrates.

use sqlx::migrate::Migrator;

use crate::{Connection, Metadata, MetadataError};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

pub(crate) async fn forward(metadata: &Metadata) -> Result<(), MetadataError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let refuse_newer = |found| match found > known {
        true => Err(MetadataError::Newer { path: metadata.path().to_owned(), found, known }),
        false => Ok(()),
    };
    // Looking first keeps the common case, nothing to do, free of the writers' lock.
    let found = applied(&mut *metadata.read().await?).await?;
    refuse_newer(found)?;
    if found == known {
        return Ok(());
    }
    let mut transaction = metadata.begin().await?;
    // Another opener may have been here while we waited.
    let found = applied(&mut transaction).await?;
    refuse_newer(found)?;
    MIGRATIONS
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|source| MetadataError::Migrate { path: metadata.path().to_owned(), source })?;
    transaction.commit().await?;
    tracing::debug!(path = %metadata.path().display(), from = found, to = known, "migrated the metadata database");
    Ok(())
}

/// The newest migration the database has; 0 for an empty one.
async fn applied(connection: &mut Connection) -> Result<i64, MetadataError> {
    let table: Option<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_optional(&mut *connection)
            .await?;
    if table.is_none() {
        return Ok(0);
    }
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await?;
    Ok(newest.unwrap_or(0))
}
