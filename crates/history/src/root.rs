//! Where objects are kept: an object store, and what only a local directory can do for it (locks, bringing files to disk,
//! renaming folders).

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use karat_core::{Digest, DigestWriter};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::HistoryError;
use crate::durable::{Held, Lock, sync_dir};

#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub store: Arc<dyn ObjectStore>,
    dir: PathBuf,
}

impl Root {
    /// A directory, made if missing, or its `file://` URI.
    pub fn open(place: &FilePath) -> Result<Root, HistoryError> {
        let dir = match place.to_str().and_then(|text| text.split_once("://")) {
            None => place.to_path_buf(),
            Some(("file", path)) if !path.is_empty() => PathBuf::from(path),
            Some((scheme, _)) => {
                let problem = match scheme {
                    "file" => "file:// needs a path, such as file:///var/lib/karat",
                    "s3" | "gs" | "az" => "object stores are not supported yet; use a path or file://PATH",
                    _ => "use a path or file://PATH",
                };
                return Err(HistoryError::Location { uri: place.display().to_string(), problem });
            }
        };
        fs::create_dir_all(&dir).map_err(HistoryError::io(&dir))?;
        let dir = dir.canonicalize().map_err(HistoryError::io(&dir))?;
        let store = LocalFileSystem::new_with_prefix(&dir)
            .map_err(|source| HistoryError::Store { path: dir.display().to_string(), source })?;
        Ok(Root { store: Arc::new(store), dir })
    }

    /// What an error calls an object.
    pub fn describe(&self, path: &Path) -> String {
        self.file(path).display().to_string()
    }

    pub fn error(&self, path: &Path) -> impl FnOnce(object_store::Error) -> HistoryError {
        let path = self.describe(path);
        move |source| HistoryError::Store { path, source }
    }

    pub fn file(&self, path: &Path) -> PathBuf {
        path.parts().fold(self.dir.clone(), |file, part| file.join(part.as_ref()))
    }

    pub fn dir(&self) -> &FilePath {
        &self.dir
    }

    /// One writer at a time under `folder`, over all processes.
    pub fn lock(&self, folder: &Path, held: Held, what: impl FnOnce() -> String) -> Result<Lock, HistoryError> {
        self.lock_named(folder, "lock", held, what)
    }

    /// One of a kind of its own at a time under `folder`.
    pub fn lock_named(
        &self,
        folder: &Path,
        name: &str,
        held: Held,
        what: impl FnOnce() -> String,
    ) -> Result<Lock, HistoryError> {
        let folder = self.file(folder);
        fs::create_dir_all(&folder).map_err(HistoryError::io(&folder))?;
        Lock::acquire(&folder.join(name), held, what)
    }

    /// Brings objects, and their names, to disk.
    pub async fn settle(&self, paths: &[Path]) -> Result<(), HistoryError> {
        let files: Vec<PathBuf> = paths.iter().map(|path| self.file(path)).collect();
        let dir = self.dir.clone();
        blocking(move || {
            let mut folders: Vec<&FilePath> = Vec::new();
            for file in &files {
                File::open(file).and_then(|open| open.sync_all()).map_err(HistoryError::io(file))?;
                folders.extend(file.ancestors().skip(1).take_while(|folder| folder.starts_with(&dir)));
            }
            folders.sort_unstable();
            folders.dedup();
            // The deepest first, so that no name reaches the disk before what it names.
            folders.into_iter().rev().try_for_each(sync_dir)
        })
        .await
    }

    /// Removes everything under a folder, unfinished uploads included.
    pub async fn remove_tree(&self, folder: &Path) -> Result<(), HistoryError> {
        let found: Vec<_> = self.store.list(Some(folder)).try_collect().await.map_err(self.error(folder))?;
        for object in found {
            self.store.delete(&object.location).await.map_err(self.error(&object.location))?;
        }
        let local = self.file(folder);
        blocking(move || match fs::remove_dir_all(&local) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(HistoryError::io(&local)(error)),
            _ => Ok(()),
        })
        .await
    }

    /// The digest of an object's bytes.
    pub async fn digest(&self, path: &Path) -> Result<Digest, HistoryError> {
        let file = self.file(path);
        blocking(move || {
            let mut open = File::open(&file).map_err(HistoryError::io(&file))?;
            let (mut digest, mut buffer) = (DigestWriter::new(), vec![0; 1 << 20]);
            loop {
                match open.read(&mut buffer).map_err(HistoryError::io(&file))? {
                    0 => return Ok(digest.finish()),
                    read => digest.update(&buffer[..read]),
                }
            }
        })
        .await
    }
}

/// Runs what waits for the disk off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => {
                Err(HistoryError::Io { path: "background work".to_owned(), source: std::io::Error::other(cancelled) })
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_for_now_and_the_error_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let uri = format!("file://{}/a", dir.path().display());
        assert!(Root::open(FilePath::new(&uri)).unwrap().file(&Path::from("b/c")).ends_with("a/b/c"));
        assert!(Root::open(&dir.path().join("a")).is_ok());
        for bad in ["s3://bucket", "file://", "redis://x"] {
            assert!(Root::open(FilePath::new(bad)).unwrap_err().to_string().contains("file://"), "{bad}");
        }
    }
}
