//! Files of another server's folder, copied below ours: each appears whole or not at all, and none twice.

use std::fs::{File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use karat_core::Digest;
use karat_registry::import::{Counts, LeftOut, Noun};

use super::ledger::Ledger;
use super::places::{Place, is_plain};
use super::server::{Listed, MlflowServer};
use crate::Stage;

/// Files that are not whole yet begin so; the server neither lists nor gives them.
pub const STAGED: &str = ".staged-";

/// What is copied before the bar moves.
const PIECE: u64 = 8 << 20;

pub struct Files {
    from: Origin,
    to: PathBuf,
    stage: Box<dyn Stage>,
}

/// Where files come from.
pub enum Origin {
    Folder(PathBuf),
    /// Those behind it.
    Server(Arc<MlflowServer>),
}

impl Files {
    pub fn new(from: Origin, to: PathBuf, stage: Box<dyn Stage>) -> Files {
        Files { from, to, stage }
    }

    /// Copies what is at a place, and says of whom it is where something of it is left out.
    pub async fn take(&self, whose: &str, place: &Place, missing: Missing, ledger: &mut Ledger) -> Result<()> {
        let to = join(&self.to, &place.here);
        let found = match &self.from {
            Origin::Folder(root) => {
                let from = join(root, &place.there);
                let found = from.exists();
                if found {
                    tokio::task::block_in_place(|| self.folder(whose, &from, &to, ledger))?;
                }
                found
            }
            Origin::Server(server) => self.below(server, (whose, &place.there), &to, ledger).await?,
        };
        if !found && missing == Missing::IsTold {
            self.tell_missing(whose, &place.there, ledger);
        }
        Ok(())
    }

    /// Says where there is nothing at a place.
    pub async fn look(&self, whose: &str, there: &str, ledger: &mut Ledger) -> Result<()> {
        let found = match &self.from {
            Origin::Folder(root) => join(root, there).exists(),
            Origin::Server(server) => !server.files(there).await?.is_empty(),
        };
        if !found {
            self.tell_missing(whose, there, ledger);
        }
        Ok(())
    }

    fn tell_missing(&self, whose: &str, there: &str, ledger: &mut Ledger) {
        let at = match &self.from {
            Origin::Folder(root) => join(root, there).display().to_string(),
            Origin::Server(_) => format!("{there} behind the server"),
        };
        let why = format!("its files are not at {at}");
        ledger.leave(LeftOut { what: whose.to_owned(), why, counts: Counts::default() });
    }

    /// Takes all below a path behind a server; whether there was anything.
    async fn below(
        &self,
        server: &MlflowServer,
        (whose, root): (&str, &str),
        to: &Path,
        ledger: &mut Ledger,
    ) -> Result<bool> {
        let (mut found, mut folders) = (false, vec![root.to_owned()]);
        while let Some(folder) = folders.pop() {
            for listed in server.files(&folder).await? {
                found = true;
                let below = listed.path.strip_prefix(root).unwrap_or(&listed.path).trim_start_matches('/');
                if !below.split('/').all(is_plain) {
                    let why = "its name is more than a name".to_owned();
                    ledger.leave(LeftOut {
                        what: format!("{} of {whose}", listed.path),
                        why,
                        counts: Counts::default(),
                    });
                } else if listed.is_folder {
                    folders.push(listed.path);
                } else {
                    self.fetch(server, (whose, &listed), &join(to, below), ledger).await?;
                }
            }
        }
        Ok(found)
    }

    /// A file of the same length is the same: a server tells no more of it.
    async fn fetch(
        &self,
        server: &MlflowServer,
        (whose, listed): (&str, &Listed),
        to: &Path,
        ledger: &mut Ledger,
    ) -> Result<()> {
        let counts = counts(listed.bytes);
        ledger.there += &counts;
        let held = |to: &Path| std::fs::metadata(to).is_ok_and(|here| here.is_file() && here.len() == listed.bytes);
        if !held(to) && std::fs::symlink_metadata(to).is_ok() {
            let why = format!("another file is at {}, and stays as it is here", to.display());
            ledger.leave(LeftOut { what: format!("{} of {whose}", listed.path), why, counts });
            return Ok(());
        }
        if !held(to) {
            let place = || format!("{} cannot be written", to.display());
            let folder = to.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).with_context(place)?;
            let staged = staged(to);
            let file = server.download(&listed.path, || File::create(&staged)).await?;
            tokio::task::block_in_place(|| {
                file.sync_all()?;
                std::fs::rename(&staged, to)?;
                File::open(folder)?.sync_all()
            })
            .with_context(place)?;
            ledger.new += &counts;
        }
        self.stage.advance(listed.bytes);
        if held(to) {
            ledger.here += &counts;
        }
        Ok(())
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
        let counts = counts(length);
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

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let folder = to.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let staged = staged(to);
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

fn counts(bytes: u64) -> Counts {
    let mut counts = Counts::of([(Noun::Files, 1)]);
    counts.add(Noun::Bytes, bytes);
    counts
}

/// Beside the file; the same name every time, so that a copy that was cut short leaves nothing for good.
fn staged(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    file.with_file_name(format!("{STAGED}{}", &Digest::of(name).as_str()[..16]))
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
