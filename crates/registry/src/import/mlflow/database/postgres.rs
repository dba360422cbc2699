use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection as _, Row as _, TypeInfo as _, ValueRef as _};

use super::{Cell, PATIENCE, Record};
use crate::RegistryError;

/// Of every table.
pub(super) const COLUMNS: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) \
                                  FROM information_schema.columns WHERE table_schema = current_schema()";

/// As SQLAlchemy writes it, with a driver's name (`postgresql+psycopg2://`), or without.
pub(super) fn options(uri: &str) -> Result<PgConnectOptions, RegistryError> {
    let (_, rest) = uri.split_once("://").unwrap_or_default();
    format!("postgresql://{rest}").parse().map_err(|_| {
        RegistryError::Invalid(
            "postgresql://…: it cannot be read; expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an \
             `@` in a password, %2F for a `/` and the like"
                .to_owned(),
        )
    })
}

/// For people: without the password.
pub(super) fn shown(options: &PgConnectOptions) -> String {
    let user = options.get_username();
    let host = options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
    format!("postgresql://{user}@{host}:{}/{}", options.get_port(), options.get_database().unwrap_or(user))
}

/// Made by hand: a pool would go on trying where the error says what is wrong.
pub(super) async fn open(options: PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let options = options.application_name("karat");
    let connected = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await;
    let mut connection = connected.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
    let only_reads = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
    sqlx::raw_sql(only_reads).execute(&mut connection).await?;
    Ok(connection)
}

pub(super) fn record(row: &PgRow) -> Result<Record, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for place in 0..row.len() {
        let raw = row.try_get_raw(place)?;
        cells.push(match raw.is_null() {
            true => Cell::Null,
            false => match raw.type_info().name() {
                "BOOL" => Cell::Int(i64::from(row.try_get::<bool, _>(place)?)),
                "INT2" => Cell::Int(i64::from(row.try_get::<i16, _>(place)?)),
                "INT4" => Cell::Int(i64::from(row.try_get::<i32, _>(place)?)),
                "INT8" => Cell::Int(row.try_get(place)?),
                "FLOAT4" => Cell::Float(f64::from(row.try_get::<f32, _>(place)?)),
                "FLOAT8" => Cell::Float(row.try_get(place)?),
                _ => Cell::Text(row.try_get_unchecked(place)?),
            },
        });
    }
    Ok(Record(cells))
}
