//! A new project folder: written whole, over nothing that is there.

use std::fmt;
use std::path::{Path, PathBuf};

use karat_core::ErrorKind;

use crate::load::CONFIG_FILE;

/// Files for a folder, compared with what it holds.
#[derive(Debug)]
pub struct NewFolder<'a> {
    dir: &'a Path,
    files: &'a [(&'a str, &'a [u8])],
}

#[derive(Debug)]
pub enum WriteError {
    /// The folder holds a project.
    Taken(PathBuf),
    /// The file is there with another content.
    WouldChange(PathBuf),
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
}

impl WriteError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            WriteError::Taken(_) | WriteError::WouldChange(_) => ErrorKind::Invalid,
            WriteError::Io { .. } => ErrorKind::Unavailable,
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Taken(dir) => write!(f, "{} holds a project already: choose another folder", dir.display()),
            WriteError::WouldChange(path) => {
                write!(f, "{} is there already and would be overwritten: choose another folder", path.display())
            }
            WriteError::Io { path, error } => write!(f, "{} cannot be written: {error}", path.display()),
        }
    }
}

impl std::error::Error for WriteError {}

impl<'a> NewFolder<'a> {
    /// Paths are relative, with `/`. Nothing is written yet, and nothing will be where this fails.
    pub fn new(dir: &'a Path, files: &'a [(&'a str, &'a [u8])]) -> Result<NewFolder<'a>, WriteError> {
        if dir.join(CONFIG_FILE).exists() {
            return Err(WriteError::Taken(dir.to_owned()));
        }
        for (path, bytes) in files {
            let path = dir.join(path);
            let changed = match std::fs::read(&path) {
                Ok(there) => there != *bytes,
                Err(_) => path.exists(),
            };
            if changed {
                return Err(WriteError::WouldChange(path));
            }
        }
        Ok(NewFolder { dir, files })
    }

    /// `karat.yaml` comes last: a folder that has it is complete.
    pub fn write(&self) -> Result<(), WriteError> {
        let (config, others): (Vec<_>, Vec<_>) = self.files.iter().partition(|(path, _)| *path == CONFIG_FILE);
        for (path, bytes) in others.into_iter().chain(config) {
            let path = self.dir.join(path);
            let folder = path.parent().expect("a path inside a folder has a parent");
            let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
            written.map_err(|error| WriteError::Io { path, error })?;
        }
        Ok(())
    }
}
