//! Brings the schema forward: all pending migrations in one write transaction, so that of several openers one migrates.
//!
//! Each database has its own files, and both end with the same tables and columns at the same number. PostgreSQL's begin
//! with the schema as it was when PostgreSQL came. What was applied is recorded as sqlx's migrator records it.

use std::collections::BTreeMap;

use sqlx::migrate::{Migration, Migrator};

use crate::connection::{Connection, Dialect};
use crate::{Metadata, MetadataError, query, query_scalar};

static SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("./migrations/postgres");

pub(crate) async fn forward(metadata: &Metadata) -> Result<(), MetadataError> {
    let migrator = match metadata.dialect() {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    };
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    let place = metadata.place();
    let refuse_newer = |found| match found > known {
        true => Err(MetadataError::Newer { place: place.to_owned(), found, known }),
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
    if found == 0 {
        transaction.script(record_table(metadata.dialect())).await?;
    }
    let before = checksums(&mut transaction).await?;
    for migration in migrator.iter() {
        let version = migration.version;
        match before.get(&version) {
            Some(checksum) if *checksum == hex(&migration.checksum) => {}
            Some(_) => return Err(MetadataError::Migrated { place: place.to_owned(), version }),
            None => apply(&mut transaction, migration).await.map_err(|source| MetadataError::Migrate {
                place: place.to_owned(),
                version,
                description: migration.description.to_string(),
                source: Box::new(source),
            })?,
        }
    }
    transaction.commit().await?;
    tracing::debug!(place, from = found, to = known, "migrated the metadata database");
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

fn record_table(dialect: Dialect) -> String {
    let (time, now, bytes) = match dialect {
        Dialect::Sqlite => ("TIMESTAMP", "CURRENT_TIMESTAMP", "BLOB"),
        Dialect::Postgres => ("TIMESTAMPTZ", "now()", "BYTEA"),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on {time} NOT NULL DEFAULT {now}, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL, \
         execution_time BIGINT NOT NULL)"
    )
}

/// Of the statements of each migration that was applied.
async fn checksums(connection: &mut Connection) -> Result<BTreeMap<i64, String>, MetadataError> {
    let query = query(match connection.dialect() {
        Dialect::Sqlite => "SELECT version, lower(hex(checksum)) AS checksum FROM _sqlx_migrations",
        Dialect::Postgres => "SELECT version, encode(checksum, 'hex') AS checksum FROM _sqlx_migrations",
    });
    query.fetch_all(connection).await?.iter().map(|row| Ok((row.get("version")?, row.get("checksum")?))).collect()
}

async fn apply(connection: &mut Connection, migration: &Migration) -> Result<(), MetadataError> {
    connection.script(migration.sql.as_str().to_owned()).await?;
    let bytes = match connection.dialect() {
        Dialect::Sqlite => format!("X'{}'", hex(&migration.checksum)),
        Dialect::Postgres => format!("'\\x{}'", hex(&migration.checksum)),
    };
    let (version, description) = (migration.version, migration.description.replace('\'', "''"));
    connection
        .script(format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES ({version}, '{description}', TRUE, {bytes}, 0)"
        ))
        .await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
