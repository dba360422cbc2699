//! What it takes on a local disk: files that appear whole or not at all, and a lock that says who holds it.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::HistoryError;

const TEMPORARY: &str = ".tmp";

/// The name a file has until it is whole; [`is_temporary`] knows it.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

pub(crate) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}

/// Brings a written file to disk and then under its name.
pub(crate) fn finish(file: &File, staged: &Path, path: &Path) -> Result<(), HistoryError> {
    file.sync_all().map_err(HistoryError::io(staged))?;
    fs::rename(staged, path).map_err(HistoryError::io(path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes renames and removals in `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), HistoryError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(HistoryError::io(dir))
}

/// How long whoever takes a lock means to hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Until one piece of work is done.
    ForWork,
    /// As long as the process takes pushes.
    ForPushes,
}

/// What stands behind the holder's number in the lock of one that takes pushes.
const PUSHES: &str = " takes pushes";

/// Held until dropped or until the process ends, however it ends. The file stays.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// `what` names in the error the thing that somebody else is writing.
    pub fn acquire(path: &Path, held: Held, what: impl FnOnce() -> String) -> Result<Lock, HistoryError> {
        let options = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = options.map_err(HistoryError::io(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let (process, advice) = match holder.trim().strip_suffix(PUSHES) {
                    Some(process) => (process, "push the rows to it, or stop it first"),
                    None => (holder.trim(), "wait until that is done"),
                };
                let holder = if known { format!("process {process}") } else { "another process".to_owned() };
                return Err(HistoryError::Locked { what: what(), holder, lock: path.display().to_string(), advice });
            }
            Err(TryLockError::Error(source)) => return Err(HistoryError::io(path)(source)),
        }
        // Only for the message above: a lock without it holds as well.
        let suffix = if held == Held::ForPushes { PUSHES } else { "" };
        let noted = file.set_len(0).and_then(|()| file.rewind());
        let noted = noted.and_then(|()| write!(file, "{}{suffix}", std::process::id()));
        if let Err(error) = noted {
            tracing::debug!(lock = %path.display(), %error, "the lock's holder was not noted");
        }
        Ok(Lock(file))
    }
}
