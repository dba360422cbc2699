//! Files of runs and models: named bytes, written once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path as FilePath, PathBuf};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::HistoryError;
use crate::durable::sync_dir;
use crate::root::{Root, blocking};

/// Staged folders begin so; no artifact's path does.
const STAGED: &str = ".staged-";

/// Named bytes under a directory. Paths are relative, of `/`-separated parts.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: Root,
}

impl Artifacts {
    /// The artifacts in a directory (a path or `file://PATH`), which is made if missing.
    pub fn open(root: impl AsRef<FilePath>) -> Result<Artifacts, HistoryError> {
        Ok(Artifacts { root: Root::open(root.as_ref())? })
    }

    /// Writes `files` under `prefix`: readers see all of them or none, also after a crash. Writing the very same files
    /// again is fine; anything else where the prefix exists is [`HistoryError::ArtifactsExist`].
    pub fn put_all<'a>(
        &'a self,
        prefix: &'a str,
        files: &'a BTreeMap<String, Vec<u8>>,
    ) -> BoxFuture<'a, Result<(), HistoryError>> {
        Box::pin(async move {
            let target = parse(prefix)?;
            let mut named = Vec::with_capacity(files.len());
            for (name, bytes) in files {
                named.push((parse(name)?, bytes.clone()));
            }
            if self.exists_under(&target).await? {
                return self.compare(prefix, &target, files).await;
            }
            let staged = self.root.file(&Path::from(format!("{STAGED}{}", uuid::Uuid::now_v7().simple())));
            let (target_dir, described) = (self.root.file(&target), prefix.to_owned());
            blocking(move || {
                let placed = stage(&staged, &named).and_then(|()| place(&staged, &target_dir, &described));
                if placed.is_err() {
                    // The error is what matters; a folder left behind is in nobody's way.
                    let _ = fs::remove_dir_all(&staged);
                }
                placed
            })
            .await
        })
    }

    /// Writes one artifact, whole; replaces one of that path.
    pub fn put<'a>(&'a self, path: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), HistoryError>> {
        Box::pin(async move {
            let path = parse(path)?;
            self.root.store.put(&path, PutPayload::from(bytes)).await.map_err(self.root.error(&path))?;
            self.root.settle(&[path]).await
        })
    }

    /// [`HistoryError::NoArtifact`] when there is none.
    pub fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Vec<u8>, HistoryError>> {
        Box::pin(async move {
            let location = parse(path)?;
            let found = async { self.root.store.get(&location).await?.bytes().await }.await;
            match found {
                Ok(bytes) => Ok(bytes.into()),
                Err(object_store::Error::NotFound { .. }) => Err(HistoryError::NoArtifact { path: path.to_owned() }),
                Err(error) => Err(self.root.error(&location)(error)),
            }
        })
    }

    /// The paths of all artifacts under a prefix (the whole parts of it; empty for all), sorted, each with its size.
    pub fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, u64)>, HistoryError>> {
        Box::pin(async move {
            let prefix = if prefix.is_empty() { Path::default() } else { parse(prefix)? };
            let found: Vec<_> =
                self.root.store.list(Some(&prefix)).try_collect().await.map_err(self.root.error(&prefix))?;
            let mut listed: Vec<(String, u64)> = found
                .into_iter()
                .map(|object| (object.location.to_string(), object.size))
                .filter(|(path, _)| !path.starts_with(STAGED))
                .collect();
            listed.sort_unstable();
            Ok(listed)
        })
    }

    pub fn exists<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, HistoryError>> {
        Box::pin(async move {
            let path = parse(path)?;
            match self.root.store.head(&path).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(self.root.error(&path)(error)),
            }
        })
    }

    /// Deletes the artifact of this path, or all under this prefix. Not an error when there is none.
    pub fn delete<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<(), HistoryError>> {
        Box::pin(async move {
            let path = parse(path)?;
            match self.root.store.head(&path).await {
                Ok(_) => self.root.store.delete(&path).await.map_err(self.root.error(&path)),
                Err(_) => self.root.remove_tree(&path).await,
            }
        })
    }

    /// The directory of them all.
    pub fn directory(&self) -> &FilePath {
        self.root.dir()
    }

    /// Where an artifact is on the local disk, for tools that need a file.
    pub fn local_path(&self, path: &str) -> Result<PathBuf, HistoryError> {
        Ok(self.root.file(&parse(path)?))
    }

    async fn exists_under(&self, prefix: &Path) -> Result<bool, HistoryError> {
        let mut listed = self.root.store.list(Some(prefix));
        Ok(listed.try_next().await.map_err(self.root.error(prefix))?.is_some())
    }

    async fn compare(
        &self,
        prefix: &str,
        target: &Path,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), HistoryError> {
        let listed = self.list(target.as_ref()).await?;
        let wanted = files.iter().map(|(name, bytes)| (format!("{target}/{name}"), bytes.len() as u64));
        let mut same = listed.iter().cloned().eq(wanted);
        for (name, bytes) in files {
            same = same && self.get(&format!("{target}/{name}")).await? == *bytes;
        }
        if same { Ok(()) } else { Err(HistoryError::ArtifactsExist { prefix: prefix.to_owned() }) }
    }
}

fn stage(staged: &FilePath, files: &[(Path, Vec<u8>)]) -> Result<(), HistoryError> {
    fs::create_dir_all(staged).map_err(HistoryError::io(staged))?;
    let mut folders = vec![staged.to_path_buf()];
    for (name, bytes) in files {
        let file = name.parts().fold(staged.to_path_buf(), |file, part| file.join(part.as_ref()));
        let folder = file.parent().unwrap_or(staged);
        fs::create_dir_all(folder).map_err(HistoryError::io(folder))?;
        folders.extend(folder.ancestors().take_while(|folder| folder.starts_with(staged)).map(FilePath::to_path_buf));
        let written = File::create_new(&file).and_then(|mut open| {
            open.write_all(bytes)?;
            open.sync_all()
        });
        written.map_err(HistoryError::io(&file))?;
    }
    folders.sort_unstable();
    folders.dedup();
    folders.iter().rev().try_for_each(|folder| sync_dir(folder))
}

fn place(staged: &FilePath, target: &FilePath, prefix: &str) -> Result<(), HistoryError> {
    let parent = target.parent().unwrap_or(target);
    fs::create_dir_all(parent).map_err(HistoryError::io(parent))?;
    match fs::rename(staged, target) {
        // Renaming onto an empty folder replaces it, onto any other fails: somebody else was first.
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists) =>
        {
            Err(HistoryError::ArtifactsExist { prefix: prefix.to_owned() })
        }
        renamed => {
            renamed.map_err(HistoryError::io(target))?;
            parent
                .ancestors()
                .take_while(|folder| staged.parent().is_some_and(|root| folder.starts_with(root)))
                .try_for_each(sync_dir)
        }
    }
}

/// A relative path that stays under the root, and that every store can hold.
fn parse(path: &str) -> Result<Path, HistoryError> {
    let problem = if path.is_empty() {
        "it is empty"
    } else if path.starts_with('/') {
        "it is absolute; artifacts are under the store's root"
    } else if path.contains('\\') || path.chars().any(char::is_control) {
        "it holds a backslash or a control character"
    } else if path.split('/').any(|part| part == "." || part == "..") {
        "it holds `.` or `..`"
    } else if path.split('/').any(str::is_empty) {
        "it holds an empty part"
    } else if path.starts_with(STAGED) {
        "it begins like a folder that is being written"
    } else if path.split('/').any(|part| part.len() > 255) {
        "a part of it is longer than 255 bytes"
    } else {
        match Path::parse(path) {
            Ok(parsed) if parsed.as_ref() == path => return Ok(parsed),
            _ => "object stores cannot hold it",
        }
    };
    Err(HistoryError::ArtifactPath { path: path.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_under_the_root() {
        for good in ["a", "models/credit_default/1/model.json", "a b/ü (1).txt", "..a/b..", "a~b/c%d"] {
            assert_eq!(parse(good).unwrap().as_ref(), good);
        }
        let long = "x".repeat(256);
        for bad in ["", "/", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\\b", "a\0b", ".staged-1/a", &long] {
            assert!(matches!(parse(bad), Err(HistoryError::ArtifactPath { .. })), "{bad:?}");
        }
    }
}
