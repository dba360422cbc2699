//! Room on the disk for LMDB's table of readers.
//!
//! LMDB makes `lock.mdb` as long as the table and maps it, without asking for the blocks: where the disk is full, the
//! first look at the table ends the process with a bus error. Written beforehand, a full disk is an error.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What LMDB takes for a reader, and more than it takes for what stands before them.
const READER_BYTES: u64 = 64;
const HEAD_BYTES: u64 = 8192;

/// Only ever appends: another process may be using the file. A longer one is as good.
pub(super) fn reserve(dir: &Path, max_readers: u32) -> io::Result<()> {
    let path = dir.join("lock.mdb");
    let wanted = HEAD_BYTES + u64::from(max_readers) * READER_BYTES;
    let length = match fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    // Once it is long enough it is not opened: closing it would give up the locks this process holds on it.
    if length >= wanted {
        return Ok(());
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(&vec![0; (wanted - length) as usize])
}
