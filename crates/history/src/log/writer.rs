//! What stands behind one lock: the active segment, and what it takes to write a group of records to it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LogOptions, format, segments};
use crate::HistoryError;

pub(super) struct Writer {
    dir: PathBuf,
    options: LogOptions,
    number: u64,
    file: Arc<File>,
    /// Of the active segment.
    length: u64,
    /// When to seal it: later than the options say after a failure to do so.
    seal_at: u64,
    /// Why nothing may be appended any more.
    failed: Option<String>,
    /// The last write was refused, and taken back: the next may go through.
    refused: bool,
    /// The memory of the group written last, for the next one.
    pub(super) spare: Vec<u8>,
}

impl Writer {
    pub(super) fn new(dir: &Path, options: LogOptions, number: u64, file: File, length: u64) -> Writer {
        let seal_at = options.segment_bytes;
        Writer {
            dir: dir.to_path_buf(),
            options,
            number,
            file: Arc::new(file),
            length,
            seal_at,
            failed: None,
            refused: false,
            spare: Vec::new(),
        }
    }

    /// One write for all of `records`. After an error none of them is there.
    pub(super) fn write(&mut self, records: &[u8]) -> Result<(), HistoryError> {
        self.check()?;
        if let Err(error) = self.file.write_all_at(records, self.length) {
            return Err(self.undo(error));
        }
        self.length += records.len() as u64;
        self.refused = false;
        Ok(())
    }

    /// An error once nothing may be appended any more; else whether the last write was refused.
    pub(super) fn check(&self) -> Result<bool, HistoryError> {
        match &self.failed {
            None => Ok(self.refused),
            Some(problem) => {
                Err(HistoryError::LogFailed { path: self.dir.display().to_string(), problem: problem.clone() })
            }
        }
    }

    /// The disk takes records again.
    pub(super) fn recovered(&mut self) {
        self.refused = false;
    }

    /// What was written last is in this file, or in one before.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    pub(super) fn is_full(&self) -> bool {
        self.length >= self.seal_at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length <= format::HEADER_BYTES as u64
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Goes on in the segment after this one; the number of the one that is complete now.
    pub(super) fn go_on_in(&mut self, next: File) -> u64 {
        let complete = self.number;
        self.number += 1;
        self.file = Arc::new(next);
        self.length = format::HEADER_BYTES as u64;
        self.seal_at = self.options.segment_bytes;
        complete
    }

    /// The segment grows on beyond its length, and is looked at again later.
    pub(super) fn grow_on(&mut self) {
        self.seal_at = self.length + self.options.segment_bytes / 8;
    }

    /// Takes half a group back, so that the next one follows the last whole record.
    fn undo(&mut self, error: std::io::Error) -> HistoryError {
        self.refused = true;
        if let Err(second) = self.file.set_len(self.length) {
            self.failed = Some(format!("{error}; then {second}"));
        }
        HistoryError::io(&self.path())(error)
    }

    /// After a failed sync the kernel may have dropped the pages and would report success next time, so nothing
    /// that is appended later could be trusted to follow what was before.
    pub(super) fn unsynced(&mut self, error: std::io::Error) -> HistoryError {
        self.failed = Some(format!("waiting for the disk failed: {error}"));
        HistoryError::io(&self.path())(error)
    }

    fn path(&self) -> PathBuf {
        segments::segment_path(&self.dir, self.number)
    }
}
