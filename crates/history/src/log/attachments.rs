//! Bytes that many records refer to, kept once beside them under their digest: `attachments/DIGEST`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use karat_core::Digest;

use crate::HistoryError;
use crate::durable::{finish, sync_dir, temporary};

const FOLDER: &str = "attachments";

fn path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join(FOLDER).join(digest.as_str())
}

/// On disk when this returns.
pub(super) fn attach(dir: &Path, bytes: &[u8]) -> Result<Digest, HistoryError> {
    let digest = Digest::of(bytes);
    let path = path(dir, &digest);
    if path.exists() {
        return Ok(digest);
    }
    let folder = dir.join(FOLDER);
    if !folder.exists() {
        fs::create_dir(&folder).map_err(HistoryError::io(&folder))?;
        sync_dir(dir)?;
    }
    // A killed process leaves it; the next one writes it again.
    let staged = temporary(&path);
    let written = File::create(&staged).and_then(|mut file| file.write_all(bytes).map(|()| file));
    finish(&written.map_err(HistoryError::io(&staged))?, &staged, &path)?;
    Ok(digest)
}

/// What [`attach`](super::Log::attach) kept beside the log in `dir`.
pub fn attachment(dir: impl AsRef<Path>, digest: &Digest) -> Result<Vec<u8>, HistoryError> {
    let path = path(dir.as_ref(), digest);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(HistoryError::corrupt(path.display(), "it is missing, and records of the log refer to it"));
        }
        read => read.map_err(HistoryError::io(&path))?,
    };
    if Digest::of(&bytes) != *digest {
        return Err(HistoryError::corrupt(path.display(), "its bytes are not those its name is the digest of"));
    }
    Ok(bytes)
}
