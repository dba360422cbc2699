//! A table or query of PostgreSQL, as the CSV that `COPY … TO STDOUT` gives: one snapshot, streamed.

use std::io;
use std::str::FromStr;

use futures::TryStreamExt;
use karat_project::spec::{Csv, Postgres};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::WantedColumn;
use super::background::Piped;

/// No text of PostgreSQL's has a control character of this kind by chance: what reads as this is null, and an empty text is empty.
pub(super) const NULL: &str = "\u{1}null\u{1}";

/// A copy that can be read once more each time it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    options: PgConnectOptions,
    statement: String,
}

/// As `COPY` writes it.
pub(crate) fn dialect() -> Csv {
    Csv { null_values: vec![NULL.to_owned()], ..Csv::default() }
}

impl Copy {
    /// `url` with its variables filled in.
    pub(crate) fn new(
        spec: &Postgres,
        url: &str,
        table: Option<&str>,
        columns: &[WantedColumn],
    ) -> Result<Copy, String> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| "what `url` stands for is no `postgres://user:password@host/database`".to_owned())?
            .application_name("karat")
            .disable_statement_logging()
            .options([
                ("DateStyle", "ISO"),
                ("TimeZone", "UTC"),
                ("extra_float_digits", "3"),
                ("default_transaction_read_only", "on"),
            ]);
        let rows = match (table, &spec.query) {
            (Some(table), _) => {
                let columns: Vec<String> = columns.iter().map(|column| quoted(&column.file_name)).collect();
                let table: Vec<String> = table.split('.').map(quoted).collect();
                format!("SELECT {} FROM {}", columns.join(", "), table.join("."))
            }
            (None, Some(query)) => query.trim().trim_end_matches(';').to_owned(),
            (None, None) => return Err("say `table` or `query`".to_owned()),
        };
        let statement = format!("COPY ({rows}\n) TO STDOUT WITH (FORMAT csv, HEADER true, NULL '{NULL}')");
        Ok(Copy { options, statement })
    }

    pub(super) fn read(&self) -> io::Result<Piped> {
        let Copy { options, statement } = self.clone();
        Piped::start(move |pipe| async move {
            let mut connection = match PgConnection::connect_with(&options).await {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = pipe.send(Err(io::Error::other(format!("cannot connect: {}", told(&error))))).await;
                    return;
                }
            };
            let mut pieces = match connection.copy_out_raw(&statement).await {
                Ok(pieces) => pieces,
                Err(error) => {
                    let _ = pipe.send(Err(refused(&error))).await;
                    return;
                }
            };
            loop {
                let piece = match pieces.try_next().await {
                    Ok(Some(piece)) => Ok(piece),
                    Ok(None) => break,
                    Err(error) => Err(refused(&error)),
                };
                let failed = piece.is_err();
                if pipe.send(piece).await.is_err() || failed {
                    return;
                }
            }
            drop(pieces);
            let _ = connection.close().await;
        })
    }
}

/// As a name of exactly these letters; one that is quoted stays as it is.
fn quoted(name: &str) -> String {
    if name.len() > 1 && name.starts_with('"') && name.ends_with('"') {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The database understood, and says no: that is a matter of the source.
fn refused(error: &sqlx::Error) -> io::Error {
    match error {
        sqlx::Error::Database(_) => io::Error::new(io::ErrorKind::InvalidData, told(error)),
        _ => io::Error::other(told(error)),
    }
}

/// The database's own words; sqlx says nothing of the password.
fn told(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}
