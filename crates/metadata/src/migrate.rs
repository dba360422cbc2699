//! Brings the schema forward: all pending migrations in one write transaction, so that of several openers one migrates.
//!
//! Each database has its own files, and both end with the same tables and columns at the same number. PostgreSQL's begin
//! with the schema as it was when PostgreSQL came; they say `-- no-transaction`, because they run inside ours.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use crate::connection::{Connection, Dialect, Raw};
use crate::{Metadata, MetadataError, query_scalar};

static SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");
static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations/postgres");
    // The write transaction excludes others already.
    migrator.set_locking(false);
    migrator
});

pub(crate) async fn forward(metadata: &Metadata) -> Result<(), MetadataError> {
    let migrator = match metadata.dialect() {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &*POSTGRES,
    };
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    let refuse_newer = |found| match found > known {
        true => Err(MetadataError::Newer { place: metadata.place().to_owned(), found, known }),
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
    let migrated = match transaction.raw() {
        Raw::Sqlite(raw) => migrator.run_direct(None, raw, false).await,
        Raw::Postgres(raw) => migrator.run_direct(None, raw, false).await,
    };
    migrated.map_err(|source| MetadataError::Migrate { place: metadata.place().to_owned(), source })?;
    transaction.commit().await?;
    tracing::debug!(place = metadata.place(), from = found, to = known, "migrated the metadata database");
    Ok(())
}

/// The newest migration the database has; 0 for an empty one.
pub(crate) async fn applied(connection: &mut Connection) -> Result<i64, MetadataError> {
    let has_table = match connection.dialect() {
        Dialect::Sqlite => "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')",
        Dialect::Postgres => "SELECT to_regclass('_sqlx_migrations') IS NOT NULL",
    };
    if !query_scalar::<bool>(has_table).fetch_one(connection).await? {
        return Ok(0);
    }
    let newest = query_scalar::<Option<i64>>("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await?;
    Ok(newest.unwrap_or(0))
}
