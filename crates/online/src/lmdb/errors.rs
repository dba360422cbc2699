//! LMDB's errors in the words of whoever has to act on them.

use std::path::Path;

use heed::MdbError;
use karat_core::{ErrorKind, OnlineError};

use super::LmdbOptions;

/// On every Unix.
const EIO: i32 = 5;

pub(super) fn convert(dir: &Path, options: &LmdbOptions, error: heed::Error) -> OnlineError {
    let place = dir.display();
    let (kind, message) = match &error {
        heed::Error::Mdb(MdbError::MapFull) => (
            ErrorKind::Unavailable,
            format!(
                "{place} has reached its {} bytes: raise the online store's map size, or drop definitions no longer served",
                options.map_bytes
            ),
        ),
        heed::Error::Mdb(MdbError::MapResized) => (
            ErrorKind::Unavailable,
            format!(
                "{place} was grown beyond {} bytes by another process: open it with the same map size",
                options.map_bytes
            ),
        ),
        heed::Error::Mdb(MdbError::ReadersFull) => (
            ErrorKind::Unavailable,
            format!("{place} has all its {} readers in use: raise the number of readers", options.max_readers),
        ),
        heed::Error::Mdb(
            MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Invalid
            | MdbError::VersionMismatch
            | MdbError::Incompatible,
        ) => {
            return corrupt(dir, &error.to_string());
        }
        heed::Error::EnvAlreadyOpened => {
            (ErrorKind::Conflict, format!("{place} is already open in this process: share the one that is"))
        }
        // What LMDB calls a write that took only a part.
        heed::Error::Io(io) if io.raw_os_error() == Some(EIO) => {
            (ErrorKind::Unavailable, format!("{place}: {error}: is the disk full?"))
        }
        heed::Error::Io(_) => (ErrorKind::Unavailable, format!("{place}: {error}")),
        heed::Error::Mdb(_) | heed::Error::Encoding(_) | heed::Error::Decoding(_) => {
            (ErrorKind::Internal, format!("{place}: {error}"))
        }
    };
    OnlineError { kind, message }
}

pub(super) fn corrupt(dir: &Path, what: &str) -> OnlineError {
    let message = format!(
        "{} is damaged ({what}): delete the directory and materialize again, it is rebuilt from history",
        dir.display()
    );
    OnlineError { kind: ErrorKind::Corrupt, message }
}
