//! The writer: appends under one mutex, shares waits for the disk, hands full segments to the rotating thread.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::rotate::Rotator;
use super::{Durability, LogOptions, MAX_PAYLOAD_BYTES, RecordEncoder, format, segments};
use crate::HistoryError;
use crate::durable::Lock;

/// The one writer of a log. Shared between threads by reference; closing it (drop) waits for a rotation under way.
pub struct Log {
    dir: PathBuf,
    options: LogOptions,
    state: Mutex<State>,
    /// Signalled when a wait for the disk is over.
    synced: Condvar,
    rotator: Rotator,
    _lock: Lock,
}

struct State {
    number: u64,
    file: Arc<File>,
    /// Of the active segment.
    length: u64,
    /// When to seal it: later than the options say after a failure to do so.
    seal_at: u64,
    /// Bytes appended since the log was opened, and how many of them are known to be on disk.
    appended: u64,
    on_disk: u64,
    /// A thread is waiting for the disk, for all that was appended before it began.
    syncing: bool,
    /// Why nothing may be appended any more.
    failed: Option<String>,
}

impl Log {
    /// Opens the log in `dir`, which is made if missing. Repairs what a killed writer left: cuts a torn tail off, and
    /// lets full segments go on turning into Parquet. Fails with [`HistoryError::Locked`] while another writer has it.
    pub fn open(
        dir: impl AsRef<Path>,
        options: LogOptions,
        encoder: Arc<dyn RecordEncoder>,
    ) -> Result<Log, HistoryError> {
        let dir = dir.as_ref().to_path_buf();
        fs::create_dir_all(&dir).map_err(HistoryError::io(&dir))?;
        let lock = Lock::acquire(&dir.join("lock"), || format!("the log {}", dir.display()))?;
        let listing = segments::list(&dir)?;
        for path in &listing.temporary {
            fs::remove_file(path).map_err(HistoryError::io(path))?;
        }
        let mut sealed = Vec::new();
        for (number, forms) in listing.numbers.iter().filter(|(_, forms)| forms.segment) {
            if forms.parquet {
                segments::remove(&dir, *number)?;
            } else {
                sealed.push((*number, segments::repair(&segments::segment_path(&dir, *number))?));
            }
        }
        let newest = listing.numbers.keys().next_back().copied();
        let (number, file, length) = match sealed.last().copied().filter(|(number, _)| Some(*number) == newest) {
            Some((number, length)) => {
                sealed.pop();
                let path = segments::segment_path(&dir, number);
                let file = File::options().write(true).open(&path).map_err(HistoryError::io(&path))?;
                (number, file, length)
            }
            None => {
                let number = newest.unwrap_or(0) + 1;
                (number, segments::create(&dir, number)?, format::HEADER_BYTES as u64)
            }
        };
        let rotator = Rotator::start(dir.clone(), encoder, sealed.into_iter().map(|(number, _)| number).collect())?;
        let state = State {
            number,
            file: Arc::new(file),
            length,
            seal_at: options.segment_bytes,
            appended: 0,
            on_disk: 0,
            syncing: false,
            failed: None,
        };
        Ok(Log { dir, options, state: Mutex::new(state), synced: Condvar::new(), rotator, _lock: lock })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one record; once it returns, the record is as durable as the options say. After an error the record is
    /// not there, except that one whose wait for the disk failed may be.
    pub fn append(&self, payload: &[u8]) -> Result<(), HistoryError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(HistoryError::RecordTooLong { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
        }
        let record = format::record(payload);
        let mut state = self.state();
        self.check(&state)?;
        if let Err(error) = state.file.write_all_at(&record, state.length) {
            return Err(self.undo(&mut state, error));
        }
        state.length += record.len() as u64;
        state.appended += record.len() as u64;
        let position = state.appended;
        if state.length >= state.seal_at {
            self.seal_or_warn(&mut state);
        }
        match self.options.durability {
            Durability::Crash => Ok(()),
            Durability::PowerLoss => self.wait_for_disk(state, position),
        }
    }

    /// Turns everything appended so far into Parquet, and waits for it.
    pub fn rotate(&self) -> Result<(), HistoryError> {
        let mut state = self.state();
        self.check(&state)?;
        if state.length > format::HEADER_BYTES as u64 {
            self.seal(&mut state)?;
        }
        drop(state);
        self.rotator.finish()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere in this file would be a defect, but none leaves the state half changed.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn check(&self, state: &State) -> Result<(), HistoryError> {
        match &state.failed {
            None => Ok(()),
            Some(problem) => {
                Err(HistoryError::LogFailed { path: self.dir.display().to_string(), problem: problem.clone() })
            }
        }
    }

    /// Takes half a record back, so that the next append follows the last whole one.
    fn undo(&self, state: &mut State, error: std::io::Error) -> HistoryError {
        if let Err(second) = state.file.set_len(state.length) {
            state.failed = Some(format!("{error}; then {second}"));
        }
        HistoryError::io(&segments::segment_path(&self.dir, state.number))(error)
    }

    /// The record is appended already: that the segment grows on beyond its length is not its caller's trouble.
    fn seal_or_warn(&self, state: &mut State) {
        if let Err(error) = self.seal(state) {
            state.seal_at = state.length + self.options.segment_bytes / 8;
            tracing::warn!(log = %self.dir.display(), %error, "a full segment could not be closed; it grows on");
        }
    }

    fn seal(&self, state: &mut State) -> Result<(), HistoryError> {
        let path = segments::segment_path(&self.dir, state.number);
        if self.options.durability == Durability::PowerLoss {
            self.sync(state, &path)?;
        }
        let next = segments::create(&self.dir, state.number + 1)?;
        self.rotator.add(state.number);
        state.number += 1;
        state.file = Arc::new(next);
        state.length = format::HEADER_BYTES as u64;
        state.seal_at = self.options.segment_bytes;
        Ok(())
    }

    fn sync(&self, state: &mut State, path: &Path) -> Result<(), HistoryError> {
        if state.on_disk == state.appended {
            return Ok(());
        }
        let synced = state.file.sync_data();
        self.note_sync(state, state.appended, &synced);
        synced.map_err(HistoryError::io(path))
    }

    /// The first to come waits for the disk on behalf of all that appended before it began; those who come later
    /// form the next group.
    fn wait_for_disk<'a>(&'a self, mut state: MutexGuard<'a, State>, position: u64) -> Result<(), HistoryError> {
        loop {
            if state.on_disk >= position {
                return Ok(());
            }
            self.check(&state)?;
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            }
            state.syncing = true;
            let (file, target) = (state.file.clone(), state.appended);
            drop(state);
            let synced = file.sync_data();
            state = self.state();
            state.syncing = false;
            self.note_sync(&mut state, target, &synced);
            self.synced.notify_all();
        }
    }

    /// After a failed sync the kernel may have dropped the pages and would report success next time, so nothing
    /// that is appended later could be trusted to follow what was before.
    fn note_sync(&self, state: &mut State, target: u64, synced: &std::io::Result<()>) {
        match synced {
            Ok(()) => state.on_disk = state.on_disk.max(target),
            Err(error) => state.failed = Some(format!("waiting for the disk failed: {error}")),
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("dir", &self.dir).field("options", &self.options).finish_non_exhaustive()
    }
}
