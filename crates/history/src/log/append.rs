//! The log as its one writer sees it: records gather in the open group, and whoever commits writes them all at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::group::{Appending, Group, Open, Part};
use super::keeper::Keeper;
use super::rotate::Rotator;
use super::writer::Writer;
use super::{Durability, LogOptions, MAX_PAYLOAD_BYTES, RecordEncoder, format, segments};
use crate::HistoryError;
use crate::durable::Lock;

/// What a group's memory is kept up to, for the next group.
const SPARE_BYTES: usize = 1 << 20;

/// The one writer of a log. Shared between threads by reference; closing it (drop) waits for a rotation under way.
pub struct Log {
    // Dropped first: its thread holds the other field.
    keeper: Keeper,
    shared: Arc<Shared>,
}

/// Locks are taken in this order: sealing, writer, open group.
pub(super) struct Shared {
    dir: PathBuf,
    options: LogOptions,
    /// Held while the next segment is made, which waits for the disk; records are written meanwhile.
    sealing: Mutex<()>,
    writer: Mutex<Writer>,
    open: Mutex<Open>,
    rotator: Rotator,
    _lock: Lock,
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
        let writer = Mutex::new(Writer::new(&dir, options, number, file, length));
        let (sealing, open) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { dir, options, sealing, writer, open, rotator, _lock: lock });
        Ok(Log { keeper: Keeper::start(shared.clone())?, shared })
    }

    pub fn dir(&self) -> &Path {
        self.shared.dir()
    }

    /// Appends one record; once it returns, the record is as durable as the options say. After an error the record is
    /// not there, except that one whose wait for the disk failed may be.
    pub fn append(&self, payload: &[u8]) -> Result<(), HistoryError> {
        self.append_together([payload])
    }

    /// As [`Log::append`] for several, which follow each other, and are there all or not at all.
    pub fn append_together<'p>(&self, payloads: impl IntoIterator<Item = &'p [u8]>) -> Result<(), HistoryError> {
        let (group, _) = self.shared.gather(payloads)?;
        if self.shared.commit() {
            self.shared.seal_or_warn();
        }
        group.outcome().expect("what was gathered before a commit is written when it returns")
    }

    /// As [`Log::append_together`] for tasks: what many of them append meanwhile is one write, and one wait for the disk
    /// where there is one.
    pub fn append_all<'p>(&self, payloads: impl IntoIterator<Item = &'p [u8]>) -> Result<Appending<'_>, HistoryError> {
        let (group, part) = self.shared.gather(payloads)?;
        Ok(Appending { shared: &self.shared, keeper: &self.keeper, group, part })
    }

    /// Turns everything appended so far into Parquet, and waits for it.
    pub fn rotate(&self) -> Result<(), HistoryError> {
        self.shared.commit();
        self.shared.writer().check()?;
        self.shared.seal(|writer| !writer.is_empty())?;
        self.shared.rotator.finish()
    }
}

impl Shared {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn durability(&self) -> Durability {
        self.options.durability
    }

    /// Adds records to the open group; whoever finds it empty leads it.
    fn gather<'p>(&self, payloads: impl IntoIterator<Item = &'p [u8]>) -> Result<(Arc<Group>, Part), HistoryError> {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = open.records.len();
        let mut some = false;
        for payload in payloads {
            if payload.len() > MAX_PAYLOAD_BYTES {
                open.records.truncate(before);
                return Err(HistoryError::RecordTooLong { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
            }
            format::push_record(&mut open.records, payload);
            some = true;
        }
        if !some {
            return Ok((Group::of_nothing(), Part::Follows));
        }
        Ok((open.group.clone(), if before == 0 { Part::Leads } else { Part::Follows }))
    }

    /// Writes what has gathered, if anything has; when it returns, whatever had gathered before is written, by this
    /// call or by another. Whether the segment is full now.
    pub(super) fn commit(&self) -> bool {
        let mut writer = self.writer();
        let spare = std::mem::take(&mut writer.spare);
        let Open { mut records, group } = {
            let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if open.records.is_empty() {
                writer.spare = spare;
                return writer.is_full();
            }
            std::mem::replace(&mut *open, Open { records: spare, group: Arc::default() })
        };
        // Told under the lock: who waited for it finds the outcome.
        group.finish(writer.write(&records));
        if records.capacity() <= SPARE_BYTES {
            records.clear();
            writer.spare = records;
        }
        let full = writer.is_full();
        drop(writer);
        group.wake();
        full
    }

    /// The records are appended already: that the segment grows on beyond its length is not their caller's trouble.
    pub(super) fn seal_or_warn(&self) {
        if let Err(error) = self.seal(Writer::is_full) {
            self.writer().grow_on();
            tracing::warn!(log = %self.dir.display(), %error, "a full segment could not be closed; it grows on");
        }
    }

    /// Goes on in a new segment and hands the active one to the rotating thread, if it is to be sealed.
    fn seal(&self, is_due: fn(&Writer) -> bool) -> Result<(), HistoryError> {
        let _sealing = self.sealing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let number = {
            let writer = self.writer();
            if !is_due(&writer) {
                return Ok(());
            }
            writer.number()
        };
        // Readers take a segment for complete once a greater number exists. What is written to it until the writer
        // turns to the next is read all the same: nothing lies in the next before.
        let next = segments::create(&self.dir, number + 1)?;
        self.rotator.add(self.writer().go_on_in(next));
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic elsewhere in this file would be a defect, but none leaves the writer half changed.
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("dir", &self.shared.dir)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
