//! Where the database is, from its URI.

use std::path::PathBuf;

use crate::MetadataError;

/// The file of `sqlite://PATH`; the path is taken as it stands, relative to the working directory.
pub(crate) fn sqlite_path(uri: &str) -> Result<PathBuf, MetadataError> {
    let refused = |problem| Err(MetadataError::Location { uri: uri.to_owned(), problem });
    if uri.starts_with("postgres://") || uri.starts_with("postgresql://") {
        return refused("PostgreSQL is not supported yet; use sqlite://PATH");
    }
    match uri.strip_prefix("sqlite://") {
        None => refused("expected sqlite://PATH, such as sqlite://.karat/metadata.db"),
        Some("" | ":memory:") => refused("several processes share the database, so it must be a file: sqlite://PATH"),
        Some(path) if path.ends_with('/') => refused("the path names a folder; expected a file"),
        Some(path) => Ok(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_stand() {
        assert_eq!(sqlite_path("sqlite:///a b/m.db").unwrap(), PathBuf::from("/a b/m.db"));
        assert_eq!(sqlite_path("sqlite://.karat/metadata.db").unwrap(), PathBuf::from(".karat/metadata.db"));
    }

    #[test]
    fn other_schemes_say_what_to_write() {
        for bad in ["postgres://h/d", "metadata.db", "sqlite://", "sqlite://:memory:", "sqlite:///tmp/"] {
            assert!(sqlite_path(bad).unwrap_err().to_string().contains(bad), "{bad}");
        }
    }
}
