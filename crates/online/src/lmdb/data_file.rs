//! An environment's file, as a full disk or a kill leaves it before there is anything in it.
//!
//! LMDB begins a file with two pages written at once. Where only a part of them fits, the file is none that LMDB opens again; nothing
//! was ever in it, so it is made anew.

use std::fs::{self, File};
use std::io;
use std::path::Path;

const NAME: &str = "data.mdb";

/// Two pages, of 4 KiB at least.
const BEGINNING: u64 = 2 * 4096;
/// What stands at the head of a page that begins a file, after sixteen other bytes.
const MAGIC: [u8; 4] = 0xBEEF_C0DE_u32.to_ne_bytes();

/// Who makes the file anew, until this is dropped: others who open it wait, and find it whole.
#[must_use]
pub(super) struct Beginning<'f>(&'f File);

/// `None` where the file has its beginning; `turn` is locked else, and what there is of the file is removed.
pub(super) fn begin<'f>(dir: &Path, turn: &'f File) -> io::Result<Option<Beginning<'f>>> {
    if is_begun(dir)? {
        return Ok(None);
    }
    turn.lock()?;
    let beginning = Beginning(turn);
    if !is_begun(dir)? {
        remove(&dir.join(NAME))?;
    }
    Ok(Some(beginning))
}

/// What is none of LMDB's is left for it to refuse.
fn remove(path: &Path) -> io::Result<()> {
    let begun = match fs::read(path) {
        Ok(begun) => begun,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_lmdbs = begun.get(16..20) == Some(&MAGIC) || begun.iter().all(|byte| *byte == 0);
    if is_lmdbs { fs::remove_file(path) } else { Ok(()) }
}

fn is_begun(dir: &Path) -> io::Result<bool> {
    match fs::metadata(dir.join(NAME)) {
        Ok(found) => Ok(found.len() >= BEGINNING),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        super::give_back(self.0);
    }
}
