//! The files of a log: their names, the writer's lock, and what it takes for a file to appear whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::format::{self, HeaderProblem, Place, Step};
use crate::HistoryError;
use crate::durable::{finish, is_temporary, sync_dir, temporary};

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("segment-{number:010}.log"))
}

pub(super) fn parquet_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("part-{number:010}.parquet"))
}

/// What exists under a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Forms {
    pub segment: bool,
    pub parquet: bool,
}

#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Listing {
    pub numbers: BTreeMap<u64, Forms>,
    /// Files that were never finished.
    pub temporary: Vec<PathBuf>,
}

pub(super) fn list(dir: &Path) -> Result<Listing, HistoryError> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
        entries => entries.map_err(HistoryError::io(dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(HistoryError::io(dir))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_temporary(name) {
            listing.temporary.push(entry.path());
        } else if let Some(number) = number(name, "segment-", ".log") {
            listing.numbers.entry(number).or_default().segment = true;
        } else if let Some(number) = number(name, "part-", ".parquet") {
            listing.numbers.entry(number).or_default().parquet = true;
        }
    }
    Ok(listing)
}

fn number(name: &str, prefix: &str, suffix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()
}

/// A new, empty segment, open for writing. It has its name only once its header is on disk.
pub(super) fn create(dir: &Path, number: u64) -> Result<File, HistoryError> {
    let path = segment_path(dir, number);
    let staged = temporary(&path);
    let made = File::create(&staged).and_then(|mut file| {
        file.write_all(&format::header())?;
        Ok(file)
    });
    let file = made.map_err(HistoryError::io(&staged))?;
    finish(&file, &staged, &path)?;
    Ok(file)
}

/// A segment's bytes, the header checked.
pub(super) fn load(path: &Path) -> Result<Vec<u8>, HistoryError> {
    let bytes = fs::read(path).map_err(HistoryError::io(path))?;
    match format::check_header(&bytes) {
        Ok(()) => Ok(bytes),
        Err(HeaderProblem::Newer(found)) => {
            Err(HistoryError::Newer { path: path.display().to_string(), found, known: format::FORMAT_VERSION })
        }
        Err(HeaderProblem::Damaged) => Err(HistoryError::corrupt(path.display(), "its header is unreadable")),
    }
}

/// Where a segment's whole groups end. What follows was never acknowledged; damage before that is an error.
pub(super) fn whole_length(path: &Path, bytes: &[u8]) -> Result<usize, HistoryError> {
    let mut place = Place::START;
    loop {
        match format::step(bytes, place) {
            Step::Record { next, .. } => place = next,
            Step::End | Step::Torn => return Ok(place.offset()),
            Step::Corrupt(damage) => return Err(HistoryError::corrupt(path.display(), damage)),
        }
    }
}

/// A segment without a torn tail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repaired {
    pub length: u64,
    version: u32,
}

impl Repaired {
    /// Whether it can be appended to: one of an older format is complete as it is.
    pub fn takes_more(self) -> bool {
        self.version == format::FORMAT_VERSION
    }
}

/// Cuts a torn tail off.
pub(super) fn repair(path: &Path) -> Result<Repaired, HistoryError> {
    let bytes = load(path)?;
    let length = whole_length(path, &bytes)?;
    let torn = bytes.len() - length;
    if torn > 0 {
        tracing::warn!(
            segment = %path.display(), bytes = torn,
            "cut off what was being appended when the writer stopped; it was never acknowledged"
        );
        let file = File::options().write(true).open(path).map_err(HistoryError::io(path))?;
        file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(HistoryError::io(path))?;
    }
    Ok(Repaired { length: length as u64, version: format::version(&bytes) })
}

pub(super) fn remove(dir: &Path, number: u64) -> Result<(), HistoryError> {
    let path = segment_path(dir, number);
    fs::remove_file(&path).map_err(HistoryError::io(&path))?;
    sync_dir(dir)
}
