use std::fs::{self, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::future::BoxFuture;
use karat_core::Digest;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::parts::STAGED;
use super::{Announced, FilesError, Incoming, Writers};

/// A file on its way into a folder: beside its place until it is whole.
pub struct Arriving {
    path: String,
    /// Until it is finished.
    file: Option<File>,
    staged: PathBuf,
    target: PathBuf,
    modified: Option<SystemTime>,
    /// Folders whose names have to reach the disk, the deepest first.
    unsettled: Vec<PathBuf>,
    placed: bool,
}

impl Arriving {
    pub fn begin(path: &str, target: PathBuf, announced: Announced) -> Result<Arriving, FilesError> {
        let failed = |error| FilesError::disk(path, error);
        let folder = target.parent().map(Path::to_owned).unwrap_or_default();
        let mut unsettled = vec![folder.clone()];
        for above in folder.ancestors().take_while(|folder| !folder.exists()) {
            unsettled.extend(above.parent().map(Path::to_owned));
        }
        // That something else is in the way is no lack of a folder.
        fs::create_dir_all(&folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FilesError::Clash { path: path.to_owned() },
            _ => failed(error),
        })?;
        let staged = folder.join(staged_name(&target, announced.writers));
        let file = match announced.writers {
            Writers::Any => fs::File::create_new(&staged),
            Writers::Alone => fs::File::create(&staged),
        };
        let file = Some(File::from_std(file.map_err(failed)?));
        let (path, modified) = (path.to_owned(), announced.modified);
        Ok(Arriving { path, file, staged, target, modified, unsettled, placed: false })
    }

    async fn place(mut self) -> Result<(), FilesError> {
        let path = self.path.clone();
        let failed = |error| FilesError::disk(&path, error);
        let mut file = self.file.take().ok_or_else(|| failed(io::Error::other("it is finished already")))?;
        file.flush().await.map_err(failed)?;
        let file = file.into_std().await;
        let placed = tokio::task::spawn_blocking(move || {
            if let Some(modified) = self.modified {
                file.set_times(FileTimes::new().set_modified(modified))?;
            }
            file.sync_all()?;
            fs::rename(&self.staged, &self.target)?;
            self.placed = true;
            self.unsettled.iter().try_for_each(|folder| fs::File::open(folder)?.sync_all())
        });
        placed.await.unwrap_or_else(|failed| Err(io::Error::other(failed))).map_err(failed)
    }
}

impl Incoming for Arriving {
    fn write<'a>(&'a mut self, piece: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>> {
        Box::pin(async move {
            let Some(file) = &mut self.file else { return Ok(()) };
            file.write_all(piece).await.map_err(|error| FilesError::disk(&self.path, error))
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), FilesError>> {
        Box::pin((*self).place())
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.placed {
            // Should it stay, it is never listed.
            let _ = fs::remove_file(&self.staged);
        }
    }
}

fn staged_name(target: &Path, writers: Writers) -> String {
    match writers {
        Writers::Any => format!("{STAGED}{}", uuid::Uuid::now_v7().simple()),
        Writers::Alone => {
            let name = target.file_name().unwrap_or_default().as_encoded_bytes();
            format!("{STAGED}{}", &Digest::of(name).as_str()[..16])
        }
    }
}
