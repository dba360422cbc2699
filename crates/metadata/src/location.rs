//! Where the database is, from its URI. Messages never repeat what may hold a password.

use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;

use crate::MetadataError;

#[derive(Debug)]
pub(crate) enum Location {
    /// Of `sqlite://PATH`; the path is taken as it stands, relative to the working directory.
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Location {
    pub fn of(uri: &str) -> Result<Location, MetadataError> {
        match uri.split_once("://") {
            Some(("sqlite", path)) => sqlite(uri, path),
            Some(("postgres" | "postgresql", _)) => postgres(uri),
            _ => {
                let shown = uri.split_once("://").map_or(uri, |(scheme, _)| scheme);
                refused(shown, "expected sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE")
            }
        }
    }

    /// For people.
    pub fn shown(&self) -> String {
        match self {
            Location::Sqlite(path) => path.display().to_string(),
            Location::Postgres(options) => {
                let database = options.get_database().unwrap_or(options.get_username());
                let host = options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
                format!("postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port())
            }
        }
    }
}

fn sqlite(uri: &str, path: &str) -> Result<Location, MetadataError> {
    match path {
        "" | ":memory:" => refused(uri, "several processes share the database, so it must be a file: sqlite://PATH"),
        path if path.ends_with('/') => refused(uri, "the path names a folder; expected a file"),
        path => Ok(Location::Sqlite(PathBuf::from(path))),
    }
}

fn postgres(uri: &str) -> Result<Location, MetadataError> {
    match uri.parse::<PgConnectOptions>() {
        Ok(options) => Ok(Location::Postgres(Box::new(options))),
        Err(_) => refused(
            "postgres://…",
            "it cannot be read; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an `@` in a password, \
             %2F for a `/` and the like",
        ),
    }
}

fn refused<T>(shown: &str, problem: &'static str) -> Result<T, MetadataError> {
    Err(MetadataError::Location { shown: shown.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn paths_are_taken_as_they_stand() {
        for (uri, path) in [
            ("sqlite:///a b/m.db", Path::new("/a b/m.db")),
            ("sqlite://.karat/metadata.db", Path::new(".karat/metadata.db")),
        ] {
            assert!(matches!(Location::of(uri).unwrap(), Location::Sqlite(found) if found == path));
        }
    }

    #[test]
    fn other_schemes_say_what_to_write() {
        for bad in ["metadata.db", "sqlite://", "sqlite://:memory:", "sqlite:///tmp/"] {
            assert!(Location::of(bad).unwrap_err().to_string().contains(bad), "{bad}");
        }
        assert!(Location::of("mysql://h/d").unwrap_err().to_string().contains("postgres://USER"));
    }

    #[test]
    fn passwords_are_not_repeated() {
        let location = Location::of("postgresql://ana:se%40cret@db.bank:6543/karat?sslmode=require").unwrap();
        assert_eq!(location.shown(), "postgres://ana@db.bank:6543/karat");
        for bad in
            ["postgres://ana:secret@db:port/karat", "mysql://ana:secret@db/karat", "postgres://ana:secret@[/karat"]
        {
            let error = Location::of(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
