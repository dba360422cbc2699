//! A note beside the histories of whose they are: which metadata database names their commits.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use karat_core::fresh_id;

use crate::HistoryError;
use crate::durable::{finish, temporary};

const NOTE: &str = "metadata.id";

/// Whose the histories are.
pub(super) enum Owner {
    /// This database's, by the note.
    Noted,
    /// There is no note: an older Karat left none. These sources have commits.
    Nobody { committed: Vec<String> },
}

/// An error where the note names another database, and there is anything that it could be about.
pub(super) fn look(dir: &Path, id: &str) -> Result<Owner, HistoryError> {
    let note = dir.join(NOTE);
    let owner = match fs::read_to_string(&note) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.map_err(HistoryError::io(&note))?,
    };
    let (mut committed, mut is_empty) = (Vec::new(), true);
    match owner.trim() {
        owner if owner == id => return Ok(Owner::Noted),
        owner => {
            for source in folders(dir)? {
                let within = folders(&source)?;
                // What a writer that wrote nothing left is no history.
                is_empty &= within.is_empty();
                if within.iter().any(|folder| named(folder).starts_with("commit-")) {
                    committed.push(named(&source).to_owned());
                }
            }
            if !owner.is_empty() && !is_empty {
                return Err(foreign(dir));
            }
        }
    }
    Ok(Owner::Nobody { committed })
}

pub(super) fn foreign(dir: &Path) -> HistoryError {
    HistoryError::Foreign { folder: dir.display().to_string(), note: dir.join(NOTE).display().to_string() }
}

pub(super) fn claim(dir: &Path, id: &str) -> Result<(), HistoryError> {
    let staged = temporary(&dir.join(fresh_id()));
    let mut file = File::create(&staged).map_err(HistoryError::io(&staged))?;
    file.write_all(format!("{id}\n").as_bytes()).map_err(HistoryError::io(&staged))?;
    finish(&file, &staged, &dir.join(NOTE))
}

fn named(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Links to folders among them.
fn folders(dir: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(HistoryError::io(dir))? {
        let path = entry.map_err(HistoryError::io(dir))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}
