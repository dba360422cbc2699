//! A note beside the histories of whose they are: which metadata database names their commits.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use karat_core::fresh_id;

use crate::HistoryError;
use crate::durable::temporary;

const NOTE: &str = "metadata.id";

/// Writes the note where there is none, or nothing that it could be about; an error where it names another.
pub(super) fn claim(dir: &Path, id: &str) -> Result<(), HistoryError> {
    let note = dir.join(NOTE);
    match fs::read_to_string(&note) {
        Ok(owner) if owner.trim() == id => return Ok(()),
        Ok(_) if has_histories(dir)? => return Err(HistoryError::Foreign { folder: dir.display().to_string() }),
        Ok(_) => {}
        // Written by a Karat that left no note: whoever comes first has them.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(HistoryError::io(&note)(error)),
    }
    let part = temporary(&dir.join(fresh_id()));
    fs::write(&part, format!("{id}\n")).and_then(|()| fs::rename(&part, &note)).map_err(HistoryError::io(&note))
}

/// Whether any source has commits there, or rows that were pushed: what a writer that wrote nothing left is none.
fn has_histories(dir: &Path) -> Result<bool, HistoryError> {
    for source in folders(dir)? {
        if !folders(&source)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let wrong = || HistoryError::io(dir);
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrong())? {
        let entry = entry.map_err(wrong())?;
        if entry.file_type().map_err(wrong())?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}
