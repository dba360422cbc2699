//! Files of another server's folder, copied to where ours are: each appears whole or not at all, and none twice.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use karat_history::files::{Announced, FileStore, Found, Writers};
use karat_registry::import::{Counts, LeftOut, Noun};

use super::ledger::Ledger;
use super::places::{Place, is_plain};
use super::server::{Listed, MlflowServer};
use crate::Stage;

pub use karat_history::files::STAGED;

/// What is copied at once.
const PIECE: usize = 256 << 10;

pub struct Files {
    from: Origin,
    to: Arc<dyn FileStore>,
    /// The folder of files on their way from a server.
    passing: PathBuf,
    stage: Box<dyn Stage>,
}

/// Where files come from.
pub enum Origin {
    Folder(PathBuf),
    /// Those behind it.
    Server(Arc<MlflowServer>),
}

impl Files {
    pub fn new(from: Origin, to: Arc<dyn FileStore>, passing: PathBuf, stage: Box<dyn Stage>) -> Files {
        Files { from, to, passing, stage }
    }

    /// Copies what is at a place, and says of whom it is where something of it is left out.
    pub async fn take(&self, whose: &str, place: &Place, missing: Missing, ledger: &mut Ledger) -> Result<()> {
        let found = match &self.from {
            Origin::Folder(root) => {
                let from = join(root, &place.there);
                let found = from.exists();
                if found {
                    self.folder(whose, &from, &place.here, ledger).await?;
                }
                found
            }
            Origin::Server(server) => self.below(server, (whose, &place.there), &place.here, ledger).await?,
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
        to: &str,
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
                    self.fetch(server, (whose, &listed), &format!("{to}/{below}"), ledger).await?;
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
        to: &str,
        ledger: &mut Ledger,
    ) -> Result<()> {
        let counts = counts(listed.bytes);
        ledger.there += &counts;
        match self.found(to).await? {
            Some(Found::File { bytes, .. }) if bytes == listed.bytes => self.stage.advance(listed.bytes),
            Some(_) => {
                let why = format!("another file is at {}, and stays as it is here", self.to.describe(to));
                ledger.leave(LeftOut { what: format!("{} of {whose}", listed.path), why, counts });
                return Ok(());
            }
            None => {
                let passing = self.passing.join("import");
                server.download(&listed.path, || File::create(&passing)).await?;
                self.copy(&passing, to).await?;
                ledger.new += &counts;
            }
        }
        self.here(to, &counts, ledger).await
    }

    /// Everything below a folder, or the file that is there, one folder after the other.
    async fn folder(&self, whose: &str, from: &Path, to: &str, ledger: &mut Ledger) -> Result<()> {
        let failed = |path: &Path| format!("{} cannot be read", path.display());
        if from.is_file() {
            return self.file(whose, from, to, ledger).await;
        }
        let mut folders = vec![(from.to_owned(), to.to_owned())];
        while let Some((from, to)) = folders.pop() {
            let entries = std::fs::read_dir(&from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut entries: Vec<_> = entries.with_context(|| failed(&from))?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                let path = entry.path();
                let kind = entry.file_type().with_context(|| failed(&path))?;
                let name = entry.file_name().into_string().ok().filter(|name| is_plain(name));
                match name.map(|name| format!("{to}/{name}")) {
                    Some(to) if kind.is_dir() => folders.push((path, to)),
                    Some(to) if kind.is_file() => self.file(whose, &path, &to, ledger).await?,
                    named => {
                        let what = format!("{} of {whose}", path.display());
                        let why = match named {
                            Some(_) => "it is neither a file nor a folder",
                            None => "its name is more than a name",
                        };
                        ledger.leave(LeftOut { what, why: why.to_owned(), counts: Counts::default() });
                    }
                }
            }
        }
        Ok(())
    }

    async fn file(&self, whose: &str, from: &Path, to: &str, ledger: &mut Ledger) -> Result<()> {
        let length = std::fs::metadata(from).with_context(|| format!("{} cannot be read", from.display()))?.len();
        let counts = counts(length);
        ledger.there += &counts;
        match self.found(to).await? {
            None => {
                self.copy(from, to).await?;
                ledger.new += &counts;
            }
            Some(found) if self.same(from, to, found).await? => self.stage.advance(length),
            Some(_) => {
                self.stage.advance(length);
                let what = format!("{} of {whose}", from.display());
                let why = format!("another file is at {}, and stays as it is here", self.to.describe(to));
                ledger.leave(LeftOut { what, why, counts });
                return Ok(());
            }
        }
        self.here(to, &counts, ledger).await
    }

    async fn found(&self, to: &str) -> Result<Option<Found>> {
        self.to.find(to).await.with_context(|| format!("{} cannot be read", self.to.describe(to)))
    }

    /// Asked of where it lies, whatever was done to it.
    async fn here(&self, to: &str, counts: &Counts, ledger: &mut Ledger) -> Result<()> {
        if matches!(self.found(to).await?, Some(Found::File { bytes, .. }) if bytes == counts.get(Noun::Bytes)) {
            ledger.here += counts;
        }
        Ok(())
    }

    async fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let failed = || format!("{} cannot be copied to {}", from.display(), self.to.describe(to));
        let mut source = File::open(from).with_context(failed)?;
        let metadata = source.metadata().with_context(failed)?;
        // By its time a file is known again without being read, where times are kept.
        let modified = metadata.modified().ok();
        let announced = Announced { bytes: Some(metadata.len()), modified, writers: Writers::Alone };
        let mut incoming = self.to.create(to, announced).await.with_context(failed)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = tokio::task::block_in_place(|| source.read(&mut piece)).with_context(failed)?;
            if read == 0 {
                break;
            }
            incoming.write(&piece[..read]).await.with_context(failed)?;
            self.stage.advance(read as u64);
        }
        incoming.finish().await.with_context(failed)
    }

    /// By length and time, else by their bytes.
    async fn same(&self, from: &Path, to: &str, found: Found) -> Result<bool> {
        let failed = || format!("{} cannot be compared with {}", from.display(), self.to.describe(to));
        let Found::File { bytes, modified } = found else { return Ok(false) };
        let mut source = File::open(from).with_context(failed)?;
        let metadata = source.metadata().with_context(failed)?;
        if metadata.len() != bytes {
            return Ok(false);
        }
        if modified.is_some() && metadata.modified().ok() == modified {
            return Ok(true);
        }
        let mut pieces = self.to.open(to).await.with_context(failed)?.read_all().await.with_context(failed)?;
        let mut beside = Vec::new();
        while let Some(piece) = pieces.try_next().await.with_context(failed)? {
            beside.resize(piece.len(), 0);
            tokio::task::block_in_place(|| source.read_exact(&mut beside)).with_context(failed)?;
            if beside != piece {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn counts(bytes: u64) -> Counts {
    let mut counts = Counts::of([(Noun::Files, 1)]);
    counts.add(Noun::Bytes, bytes);
    counts
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
