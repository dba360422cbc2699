//! The log as its one writer sees it: records gather in the open group, and whoever commits writes them all at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use karat_core::Digest;

use super::group::{Appending, Group, Open, Part};
use super::keeper::Keeper;
use super::rotate::Rotator;
use super::segments::Repaired;
use super::writer::Writer;
use super::{Durability, LogOptions, RecordEncoder, Records, attachments, format, segments};
use crate::HistoryError;
use crate::durable::{Held, Lock, temporary};

/// Beyond this, records are written on their own; and a group's memory is not kept for the next.
const MANY_BYTES: usize = 1 << 20;

/// What a disk that takes records again has room for: more than a usual group of them.
const PROBE_BYTES: usize = 64 << 10;

/// The one writer of a log. Shared between threads by reference; closing it (drop) waits for a rotation under way.
pub struct Log {
    // Dropped first: its thread holds the other field.
    keeper: Keeper,
    shared: Arc<Shared>,
}

/// Locks are taken in this order: syncing or sealing, writer, open group.
pub(super) struct Shared {
    dir: PathBuf,
    /// Held while a group is brought to disk, so that the next one gathers meanwhile and shares one wait. Groups that
    /// need no wait are written in the meantime.
    syncing: Mutex<()>,
    /// Held while the next segment is made, or the disk tried, which waits for it; records are written meanwhile.
    sealing: Mutex<()>,
    writer: Mutex<Writer>,
    open: Mutex<Open>,
    /// Somebody writes for long: whoever must not wait leaves its group to the keeper.
    busy: AtomicBool,
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
        let lock = Lock::acquire(&dir.join("lock"), Held::ForWork, || format!("the log {}", dir.display()))?;
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
        let last = sealed.last().copied().filter(|(number, segment)| Some(*number) == newest && segment.takes_more());
        let (number, file, length) = match last {
            Some((number, Repaired { length, .. })) => {
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
        let (syncing, sealing, open) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared {
            dir,
            syncing,
            sealing,
            writer,
            open,
            busy: AtomicBool::new(false),
            rotator,
            _lock: lock,
        });
        Ok(Log { keeper: Keeper::start(shared.clone())?, shared })
    }

    pub fn dir(&self) -> &Path {
        self.shared.dir()
    }

    /// Keeps bytes beside the log, once, under their digest; on disk when this returns, so that records can refer to them.
    /// [`attachment`](super::attachment) reads them.
    pub fn attach(&self, bytes: &[u8]) -> Result<Digest, HistoryError> {
        attachments::attach(self.dir(), bytes)
    }

    /// Appends one record; once it returns, the record is as durable as was asked for. After an error the record is
    /// not there, except that one whose wait for the disk failed may be.
    pub fn append(&self, payload: &[u8], durability: Durability) -> Result<(), HistoryError> {
        self.append_together(Records::of([payload])?, durability)
    }

    /// As [`Log::append`] for several, which follow each other, and are there all or not at all.
    pub fn append_together(&self, records: Records, durability: Durability) -> Result<(), HistoryError> {
        if records.as_bytes().len() > MANY_BYTES {
            let (outcome, full) = self.shared.write_alone(&records.into_group(), durability);
            if full {
                self.shared.seal_or_warn();
            }
            return outcome;
        }
        let (group, _) = self.shared.gather(&records, durability);
        if self.shared.commit() {
            self.shared.seal_or_warn();
        }
        // Another thread may have taken the group before, and wait for the disk still.
        group.wait_for_outcome()
    }

    /// As [`Log::append_together`] for tasks: what many of them append meanwhile is one write, and one wait for the disk
    /// where one of them asks for it.
    pub fn append_all(&self, records: &Records, durability: Durability) -> Appending<'_> {
        let (group, part) = self.shared.gather(records, durability);
        Appending { shared: &self.shared, keeper: &self.keeper, group, part, durability }
    }

    /// Whether records can be appended, as far as can be told without one: an error says why not. After a refused write
    /// the disk is tried, so this may wait for it.
    pub fn check(&self) -> Result<(), HistoryError> {
        self.shared.check()
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

    fn check(&self) -> Result<(), HistoryError> {
        if !self.writer().check()? {
            return Ok(());
        }
        // One at a time; with the segment itself untouched, and under a name that is swept when the log is opened.
        let _sealing = self.sealing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let probe = temporary(&self.dir.join("probe"));
        let tried = fs::write(&probe, [1; PROBE_BYTES]);
        let removed = fs::remove_file(&probe);
        tried.and(removed).map_err(HistoryError::io(&self.dir))?;
        self.writer().recovered();
        Ok(())
    }

    /// Adds records to the open group; whoever finds it empty leads it.
    fn gather(&self, records: &Records, durability: Durability) -> (Arc<Group>, Part) {
        if records.as_bytes().is_empty() {
            return (Group::of_nothing(), Part::Follows);
        }
        let mut open = self.open();
        while !open.records.is_empty() && open.records.len() + records.as_bytes().len() > format::MAX_GROUP_BYTES {
            drop(open);
            self.commit();
            open = self.open();
        }
        let part = if open.records.is_empty() { Part::Leads } else { Part::Follows };
        if part == Part::Leads {
            format::begin_group(&mut open.records);
        }
        open.records.extend_from_slice(records.as_bytes());
        open.durability = open.durability.max(durability);
        (open.group.clone(), part)
    }

    /// Writes what has gathered, if anything has, and waits for the disk if that was asked for; when it returns, whatever
    /// had gathered before is written, or has been taken by another call that writes it. Whether the segment is full now.
    pub(super) fn commit(&self) -> bool {
        let durability = self.open().durability;
        let _turn = self.turn_to_wait(durability);
        let mut writer = self.writer();
        let taken = self.open().take(&mut writer.spare);
        self.write(writer, taken)
    }

    /// As [`Shared::commit`] unless that takes long; `None`, and nothing is done, if it does.
    pub(super) fn commit_at_once(&self) -> Option<bool> {
        if self.busy.load(Ordering::Relaxed) {
            return None;
        }
        let mut writer = self.writer();
        let taken = {
            let mut open = self.open();
            if open.durability > Durability::Crash {
                return None;
            }
            open.take(&mut writer.spare)
        };
        Some(self.write(writer, taken))
    }

    fn write(&self, mut writer: MutexGuard<'_, Writer>, taken: Option<Open>) -> bool {
        let Some(Open { mut records, group, durability }) = taken else { return writer.is_full() };
        format::end_group(&mut records);
        let written = writer.write(&records);
        if records.capacity() <= MANY_BYTES {
            records.clear();
            writer.spare = records;
        }
        let (full, file) = (writer.is_full(), writer.file());
        drop(writer);
        group.finish(written.and_then(|()| self.wait_for_disk(&file, durability)));
        full
    }

    /// Records that are so many that they are a group of their own, and not copied into one. The outcome, and whether the
    /// segment is full now.
    fn write_alone(&self, group: &[u8], durability: Durability) -> (Result<(), HistoryError>, bool) {
        let _turn = self.turn_to_wait(durability);
        let mut writer = self.writer();
        self.busy.store(true, Ordering::Relaxed);
        let written = writer.write(group);
        self.busy.store(false, Ordering::Relaxed);
        let (full, file) = (writer.is_full(), writer.file());
        drop(writer);
        (written.and_then(|()| self.wait_for_disk(&file, durability)), full)
    }

    fn turn_to_wait(&self, durability: Durability) -> Option<MutexGuard<'_, ()>> {
        let waits = durability == Durability::PowerLoss;
        waits.then(|| self.syncing.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Others write meanwhile: what they add to the file is brought to disk as well, which harms nobody.
    fn wait_for_disk(&self, file: &File, durability: Durability) -> Result<(), HistoryError> {
        match durability {
            Durability::Crash => Ok(()),
            Durability::PowerLoss => file.sync_data().map_err(|error| self.writer().unsynced(error)),
        }
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

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic elsewhere in this file would be a defect, but none leaves the writer half changed.
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::log::PayloadOnly;

    /// A log over a file that takes every write and can never be brought to disk.
    fn unsyncable(dir: &Path) -> Log {
        let log = Log::open(dir, LogOptions::default(), Arc::new(PayloadOnly)).unwrap();
        log.shared.writer().go_on_in(File::options().write(true).open("/dev/null").unwrap());
        log
    }

    fn records(payload: &[u8]) -> Records {
        Records::of([payload]).unwrap()
    }

    #[test]
    fn who_asks_for_the_disk_waits_for_it_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let log = unsyncable(dir.path());
        log.append(b"one", Durability::Crash).unwrap();
        block_on(log.append_all(&records(b"two"), Durability::Crash)).unwrap();
        log.check().unwrap();
        let error = block_on(log.append_all(&records(b"three"), Durability::PowerLoss)).unwrap_err();
        assert!(matches!(error, HistoryError::Io { .. }), "{error}");
        // What follows could not be trusted to be kept.
        assert!(matches!(log.check(), Err(HistoryError::LogFailed { .. })));
        log.append(b"four", Durability::Crash).unwrap_err();
        log.append(b"five", Durability::PowerLoss).unwrap_err();
    }

    #[test]
    fn one_who_asks_for_the_disk_is_waited_for_by_its_whole_group() {
        for asked in [[Durability::Crash, Durability::PowerLoss], [Durability::PowerLoss, Durability::Crash]] {
            let dir = tempfile::tempdir().unwrap();
            let log = unsyncable(dir.path());
            let parts = asked.map(|durability| log.append_all(&records(b"some"), durability));
            assert!(log.shared.commit_at_once().is_none(), "no task's thread waits for a disk");
            for part in parts {
                block_on(part).unwrap_err();
            }
        }
    }
}
