//! Files in a folder of this machine's.

use std::fs::{self, Metadata};
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::arriving::Arriving;
use super::parts::{STAGED, named, parts};
use super::{Announced, Content, Entry, FileStore, FilesError, Found, Incoming, Opened, Pieces};

/// What of a file is in memory at once.
const PIECE: u64 = 64 << 10;

#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned() }
    }

    fn file(&self, parts: &[&str]) -> PathBuf {
        parts.iter().fold(self.root.clone(), |folder, part| folder.join(part))
    }

    /// Where a path is, whether something is there or not: never behind a link that leads out.
    fn place(&self, path: &str, parts: &[&str]) -> Result<PathBuf, FilesError> {
        let file = self.file(parts);
        match leads_out(&self.root, &file) {
            Ok(false) => Ok(file),
            Ok(true) => Err(FilesError::LeadsOut { path: path.to_owned() }),
            Err(error) => Err(FilesError::disk(path, error)),
        }
    }

    fn listed(&self, path: &str, parts: &[&str]) -> Result<Vec<Entry>, FilesError> {
        let failed = |error| FilesError::disk(path, error);
        let folder = self.place(path, parts)?;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_link = entry.file_type().map_err(failed)?.is_symlink();
            if name.starts_with(STAGED) || is_link && leads_out(&self.root, &entry.path()).unwrap_or(true) {
                continue;
            }
            // It may be gone meanwhile, or a link to nothing.
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            listed.push(Entry { name, found: found(&metadata) });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn found(&self, path: &str, parts: &[&str]) -> Result<Option<Found>, FilesError> {
        match fs::metadata(self.place(path, parts)?) {
            Ok(metadata) => Ok(Some(found(&metadata))),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(FilesError::disk(path, error)),
        }
    }

    fn removed(&self, path: &str, parts: &[&str]) -> Result<bool, FilesError> {
        let target = self.place(path, parts)?;
        let removed = match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&target),
            Ok(_) => fs::remove_file(&target),
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => Ok(true),
            Err(error) if absent(&error) => Ok(false),
            Err(error) => Err(FilesError::disk(path, error)),
        }
    }

    /// Runs what waits for the disk off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        parts: Vec<&str>,
        work: impl FnOnce(&Folder, &str, &[&str]) -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let (folder, owned) = (self.clone(), path.to_owned());
        let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        let done = tokio::task::spawn_blocking(move || {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            work(&folder, &owned, &parts)
        });
        done.await
            .unwrap_or_else(|failed| Err(FilesError::Io { path: path.to_owned(), source: io::Error::other(failed) }))
    }
}

impl FileStore for Folder {
    fn describe(&self, path: &str) -> String {
        self.file(&path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>()).display().to_string()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), FilesError>> {
        Box::pin(async move {
            let made = tokio::fs::create_dir_all(&self.root).await;
            made.map_err(|source| FilesError::Io { path: self.root.display().to_string(), source })
        })
    }

    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, FilesError>> {
        Box::pin(async move { self.blocking(folder, parts(folder)?, Folder::listed).await })
    }

    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Found>, FilesError>> {
        Box::pin(async move { self.blocking(path, named(path)?, Folder::found).await })
    }

    fn open<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Opened, FilesError>> {
        Box::pin(async move {
            let place = self.blocking(path, named(path)?, Folder::place).await?;
            let failed = |error: io::Error| match absent(&error) {
                true => FilesError::Missing { path: path.to_owned() },
                false => FilesError::disk(path, error),
            };
            let file = File::open(&place).await.map_err(failed)?;
            let metadata = file.metadata().await.map_err(failed)?;
            match found(&metadata) {
                Found::Folder => Err(FilesError::IsFolder { path: path.to_owned() }),
                Found::File { bytes, .. } => {
                    let mark = mark(&metadata);
                    Ok(Opened { bytes, mark, content: Content::OnDisk { file, path: path.to_owned() } })
                }
            }
        })
    }

    fn create<'a>(
        &'a self,
        path: &'a str,
        announced: Announced,
    ) -> BoxFuture<'a, Result<Box<dyn Incoming>, FilesError>> {
        Box::pin(async move {
            let begin = move |folder: &Folder, path: &str, parts: &[&str]| {
                // Without the root, nothing could be told to be inside.
                fs::create_dir_all(&folder.root).map_err(|error| FilesError::disk(path, error))?;
                Arriving::begin(path, folder.place(path, parts)?, announced)
            };
            let arriving = self.blocking(path, named(path)?, begin).await?;
            Ok(Box::new(arriving) as Box<dyn Incoming>)
        })
    }

    fn delete<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>> {
        Box::pin(async move { self.blocking(path, named(path)?, Folder::removed).await })
    }

    fn extent<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<(usize, u64), FilesError>> {
        Box::pin(async move {
            let extent = |folder: &Folder, path: &str, parts: &[&str]| {
                below(&folder.place(path, parts)?).map_err(|error| FilesError::disk(path, error))
            };
            self.blocking(path, named(path)?, extent).await
        })
    }
}

/// From where it stands open; a file that was replaced meanwhile is read as it was.
pub async fn read(mut file: File, path: &str, range: Range<u64>) -> Result<Pieces, FilesError> {
    file.seek(SeekFrom::Start(range.start)).await.map_err(|error| FilesError::disk(path, error))?;
    let left = range.end - range.start;
    Ok(Box::pin(futures::stream::unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = vec![0; usize::try_from(left.min(PIECE)).expect("a piece is small")];
        match file.read(&mut piece).await {
            Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (file, 0))),
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Bytes::from(piece)), (file, left - length as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    })))
}

/// Whether a path, or as much of it as there is, lies elsewhere once links are followed.
fn leads_out(root: &Path, file: &Path) -> io::Result<bool> {
    let real = match root.canonicalize() {
        Ok(real) => real,
        // Nothing is there, and no link.
        Err(error) if absent(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    for there in file.ancestors().take_while(|there| there.starts_with(root)) {
        match there.canonicalize() {
            Ok(there) => return Ok(!there.starts_with(&real)),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn found(metadata: &fs::Metadata) -> Found {
    match metadata.is_dir() {
        true => Found::Folder,
        false => Found::File { bytes: metadata.len(), modified: metadata.modified().ok() },
    }
}

/// Links are not followed.
fn below(path: &Path) -> io::Result<(usize, u64)> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if absent(&error) => return Ok((0, 0)),
        Err(error) => return Err(error),
    };
    if !metadata.is_dir() {
        return Ok((1, metadata.len()));
    }
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(path)? {
        let (more, of) = below(&entry?.path())?;
        files += more;
        bytes += of;
    }
    Ok((files, bytes))
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Changes with what the file holds: files are replaced whole, by others.
fn mark(found: &Metadata) -> String {
    let age = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("\"{:x}-{:x}\"", age.as_nanos(), found.len())
}
