//! Files of another server's folder, copied below ours: each appears whole or not at all, and none twice.

use std::fs::{File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use karat_core::Digest;
use karat_registry::import::{Counts, LeftOut, Noun};

use super::ledger::Ledger;
use super::places::Place;
use crate::Stage;

/// Files that are not whole yet begin so; the server neither lists nor gives them.
pub const STAGED: &str = ".staged-";

/// What is copied before the bar moves.
const PIECE: u64 = 8 << 20;

pub struct Files {
    from: PathBuf,
    to: PathBuf,
    stage: Box<dyn Stage>,
}

impl Files {
    pub fn new(from: PathBuf, to: PathBuf, stage: Box<dyn Stage>) -> Files {
        Files { from, to, stage }
    }

    /// Copies what is at a place, and says of whom it is where something of it is left out.
    pub fn take(&self, whose: &str, place: &Place, missing: Missing, ledger: &mut Ledger) -> Result<()> {
        let (from, to) = (join(&self.from, &place.there), join(&self.to, &place.here));
        if !from.exists() {
            if missing == Missing::IsTold {
                self.look(whose, &place.there, ledger);
            }
            return Ok(());
        }
        tokio::task::block_in_place(|| self.folder(whose, &from, &to, ledger))
    }

    /// Says where there is nothing at a place.
    pub fn look(&self, whose: &str, there: &str, ledger: &mut Ledger) {
        let from = join(&self.from, there);
        if !from.exists() {
            let why = format!("its files are not at {}", from.display());
            ledger.leave(LeftOut { what: whose.to_owned(), why, counts: Counts::default() });
        }
    }

    fn folder(&self, whose: &str, from: &Path, to: &Path, ledger: &mut Ledger) -> Result<()> {
        let failed = |path: &Path| format!("{} cannot be read", path.display());
        if from.is_file() {
            return self.file(whose, from, to, ledger).map(drop);
        }
        let mut entries: Vec<_> =
            std::fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>).with_context(|| failed(from))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut new = false;
        for entry in entries {
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().with_context(|| failed(&path))?;
            if kind.is_dir() {
                self.folder(whose, &path, &target, ledger)?;
            } else if kind.is_file() {
                new |= self.file(whose, &path, &target, ledger)?;
            } else {
                let what = format!("{} of {whose}", path.display());
                let why = "it is neither a file nor a folder".to_owned();
                ledger.leave(LeftOut { what, why, counts: Counts::default() });
            }
        }
        if new {
            File::open(to).and_then(|folder| folder.sync_all()).with_context(|| format!("{}", to.display()))?;
        }
        Ok(())
    }

    /// Whether it was copied.
    fn file(&self, whose: &str, from: &Path, to: &Path, ledger: &mut Ledger) -> Result<bool> {
        let length = std::fs::metadata(from).with_context(|| format!("{} cannot be read", from.display()))?.len();
        let mut counts = Counts::of([(Noun::Files, 1)]);
        counts.add(Noun::Bytes, length);
        ledger.there += &counts;
        let new = match std::fs::symlink_metadata(to) {
            Ok(_) if same(from, to).with_context(|| format!("{} cannot be read", to.display()))? => {
                self.stage.advance(length);
                false
            }
            Ok(_) => {
                self.stage.advance(length);
                let what = format!("{} of {whose}", from.display());
                let why = format!("another file is at {}, and stays as it is here", to.display());
                ledger.leave(LeftOut { what, why, counts });
                return Ok(false);
            }
            Err(_) => {
                self.copy(from, to)
                    .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
                ledger.new += &counts;
                true
            }
        };
        // Asked of the disk again, whatever was done to it.
        if std::fs::metadata(to).is_ok_and(|here| here.is_file() && here.len() == length) {
            ledger.here += &counts;
        }
        Ok(new)
    }

    /// The same name every time, so that a copy that was cut short leaves nothing for good.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let folder = to.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let name = to.file_name().unwrap_or_default().as_encoded_bytes();
        let staged = folder.join(format!("{STAGED}{}", &Digest::of(name).as_str()[..16]));
        let source = File::open(from)?;
        let mut target = File::create(&staged)?;
        loop {
            let copied = io::copy(&mut (&source).take(PIECE), &mut target)?;
            if copied == 0 {
                break;
            }
            self.stage.advance(copied);
        }
        target.flush()?;
        // By its time a file is known again without being read.
        target.set_times(FileTimes::new().set_modified(source.metadata()?.modified()?))?;
        target.sync_all()?;
        std::fs::rename(&staged, to)
    }
}

/// Whether files that are named and not there are worth a word: a run without files has no folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    IsTold,
    IsUsual,
}

/// How many bytes lie below a folder.
pub fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += bytes_below(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn join(folder: &Path, path: &str) -> PathBuf {
    path.split('/').fold(folder.to_owned(), |folder, name| folder.join(name))
}

/// By length and time, else by their bytes.
fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let (first, second) = (std::fs::metadata(a)?, std::fs::metadata(b)?);
    if !second.is_file() || first.len() != second.len() {
        return Ok(false);
    }
    if first.modified()? == second.modified()? {
        return Ok(true);
    }
    let (mut a, mut b) = (io::BufReader::new(File::open(a)?), io::BufReader::new(File::open(b)?));
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..read])?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
