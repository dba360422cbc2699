//! [`OnlineStore`] on one LMDB environment in a directory.
//!
//! State lies in one database under `generation (8 bytes, big endian) | key`. A definition's record points at its
//! base generation and, while a large `put` is being merged, at an overlay generation that readers look into first.
//! So large writes are filled in many short transactions under a generation nobody points at, and appear by one
//! change of the record. Generations that nothing points at are listed as garbage before their first entry is
//! written: a killed writer leaves only listed garbage, and the next writer removes it. A state that is filled in parts
//! ([`filling`]) has a record of its own, and so outlives its writer.
//!
//! Writers of all processes take turns on `writer.lock`; readers never wait, and hold no transaction between calls.

mod data_file;
mod errors;
mod filling;
mod layout;
mod lock_file;
mod read;
mod write;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, WithoutTls};
use karat_core::{Digest, OnlineError, OnlineStore, StateEntries, StateNote, StateOf, TellNote, WithEach};

use layout::FORMAT_VERSION;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LmdbOptions {
    /// The most the store may ever hold. Address space, not memory or disk: the file grows with what is in it.
    pub map_bytes: usize,
    /// How many reads may be under way at once, over all processes.
    pub max_readers: u32,
    /// How much a single write transaction takes; larger writes are split, and still appear at once.
    pub transaction_bytes: usize,
}

impl Default for LmdbOptions {
    fn default() -> LmdbOptions {
        LmdbOptions { map_bytes: 64 << 30, max_readers: 1024, transaction_bytes: 16 << 20 }
    }
}

/// A directory may be open once in a process, and in any number of processes.
#[derive(Debug)]
pub struct LmdbStore {
    dir: PathBuf,
    options: LmdbOptions,
    env: Env<WithoutTls>,
    tables: Tables,
    writer: Mutex<File>,
}

/// Handles of the environment's databases.
#[derive(Debug, Clone, Copy)]
struct Tables {
    /// `format` and `next_generation`.
    meta: Database<'static, Bytes, Bytes>,
    /// Digest (its 64 digits) to [`layout::Record`].
    definitions: Database<'static, Bytes, Bytes>,
    /// Generations that no record points at, being filled or to be deleted.
    garbage: Database<'static, Bytes, Bytes>,
    /// As `definitions`, of states being filled, which readers do not see; Karats that know nothing of them leave them be.
    fillings: Database<'static, Bytes, Bytes>,
    states: Database<'static, Bytes, Bytes>,
}

impl LmdbStore {
    /// Opens the store in `dir`, which is made if missing.
    pub fn open(dir: impl AsRef<Path>, options: LmdbOptions) -> Result<LmdbStore, OnlineError> {
        let dir = dir.as_ref().to_path_buf();
        let failed = |error: heed::Error| errors::convert(&dir, &options, error);
        std::fs::create_dir_all(&dir).map_err(|error| failed(error.into()))?;
        lock_file::reserve(&dir, options.max_readers).map_err(|error| failed(error.into()))?;
        let writer =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(dir.join("writer.lock"));
        let writer = writer.map_err(|error| failed(error.into()))?;
        let beginning = data_file::begin(&dir, &writer).map_err(|error| failed(error.into()))?;
        let mut open = EnvOpenOptions::new().read_txn_without_tls();
        open.map_size(options.map_bytes.next_multiple_of(64 << 10)).max_readers(options.max_readers).max_dbs(8);
        // SAFETY: LMDB asks that nobody else changes the mapped file; the directory is ours, and every process that
        // opens it does so through this function, with LMDB's own lock file beside it.
        let env = unsafe { open.open(&dir) }.map_err(failed)?;
        // Readers that were killed hold their slots, and with them the pages they looked at.
        env.clear_stale_readers().map_err(failed)?;
        let tables = env.write_txn().and_then(|txn| {
            env.create_databases_and_commit(txn, |opener, txn| {
                let meta = opener.create_database(txn, Some("meta"))?;
                let definitions = opener.create_database(txn, Some("definitions"))?;
                let garbage = opener.create_database(txn, Some("garbage"))?;
                let fillings = opener.create_database(txn, Some("fillings"))?;
                let states = opener.create_database(txn, Some("states"))?;
                let made = (meta, (definitions, (garbage, (fillings, states))));
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(made))
            })
        });
        let (meta, (definitions, (garbage, (fillings, states)))) = tables.map_err(failed)?.unwrap_commit();
        let tables = Tables { meta, definitions, garbage, fillings, states };
        drop(beginning);
        let store = LmdbStore { tables, dir, options, env, writer: Mutex::new(writer) };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), OnlineError> {
        let txn = self.env.read_txn().map_err(|error| self.error(error))?;
        let found = self.tables.meta.get(&txn, layout::FORMAT_KEY).map_err(|error| self.error(error))?;
        match found.map(<[u8; 4]>::try_from) {
            Some(Ok(version)) => layout::accept_format(&self.dir, u32::from_le_bytes(version)),
            Some(Err(_)) => Err(errors::corrupt(&self.dir, "its format version is unreadable")),
            None => {
                drop(txn);
                let mut txn = self.env.write_txn().map_err(|error| self.error(error))?;
                self.tables
                    .meta
                    .put(&mut txn, layout::FORMAT_KEY, &FORMAT_VERSION.to_le_bytes())
                    .and_then(|()| txn.commit())
                    .map_err(|error| self.error(error))
            }
        }
    }

    fn error(&self, error: heed::Error) -> OnlineError {
        errors::convert(&self.dir, &self.options, error)
    }

    /// The turn of this writer among all threads and processes; given back when dropped.
    fn turn(&self) -> Result<Turn<'_>, OnlineError> {
        let file = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match file.try_lock() {
            Ok(()) => return Ok(Turn(file)),
            Err(TryLockError::WouldBlock) => {
                tracing::info!(store = %self.dir.display(), "waiting for another process to finish writing online state");
            }
            Err(TryLockError::Error(error)) => return Err(self.error(error.into())),
        }
        file.lock().map_err(|error| self.error(error.into()))?;
        Ok(Turn(file))
    }
}

struct Turn<'a>(MutexGuard<'a, File>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        give_back(&self.0);
    }
}

/// A file's lock, which ends with the process at the latest.
fn give_back(locked: &File) {
    if let Err(error) = locked.unlock() {
        tracing::warn!(%error, "the online store's writer lock was not given back");
    }
}

impl OnlineStore for LmdbStore {
    fn read(&self, definition: &Digest, key: &[u8], with: &mut dyn FnMut(&[u8])) -> Result<bool, OnlineError> {
        self.read_state(definition, key, with)
    }

    fn read_each(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError> {
        self.read_states_noted(asked, with)
    }

    fn put(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        self.put_states(definition, note, entries)
    }

    fn put_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.put_states_after(definition, expected, note, entries)
    }

    fn replace_with(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError> {
        self.replace_states(definition, entries, note)
    }

    fn note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.read_note(definition)
    }

    fn scan(&self, definition: &Digest, with: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), OnlineError> {
        self.scan_states(definition, with)
    }

    fn definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError> {
        self.list_definitions()
    }

    fn filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.note_of_filling(definition)
    }

    fn begin_filling(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError> {
        self.begin_filling_states(definition, expected, note)
    }

    fn fill(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.fill_states(definition, expected, note, entries)
    }

    fn finish_filling(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError> {
        self.finish_filling_states(definition, expected, entries, note)
    }

    fn drop_definition(&self, definition: &Digest) -> Result<(), OnlineError> {
        self.forget(definition)
    }
}
