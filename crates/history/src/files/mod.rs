//! Files that others name and send, of any size: streamed both ways, below one root, in a folder or a bucket.
//!
//! A path is relative, of `/`-separated names; none leads out of the root. Paths that no store can hold are
//! [`FilesError::Path`], before anything is touched.

mod arriving;
mod bucket;
mod error;
mod folder;
mod parts;
mod upload;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use bucket::{Bucket, BucketFile};
pub use error::FilesError;
use folder::Folder;
pub use parts::STAGED;

/// A file's bytes as they come; an error ends them.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// A root with files. Whoever reads sees a file whole, as it was or as it is, never a part of one that is still coming.
pub trait FileStore: fmt::Debug + Send + Sync {
    /// What people call a path here.
    fn describe(&self, path: &str) -> String;

    /// Makes what is missing of the root, or says why nothing can be kept there.
    fn ready(&self) -> BoxFuture<'_, Result<(), FilesError>>;

    /// What lies directly in a folder (the root where it is empty), by name; of anything that is no folder nothing.
    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, FilesError>>;

    /// `None` where nothing is.
    fn find<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Found>, FilesError>>;

    /// [`FilesError::Missing`] where nothing is, [`FilesError::IsFolder`] where a folder is.
    fn open<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Opened, FilesError>>;

    /// Begins a file, in place of one that has the path; what is begun and dropped leaves nothing.
    fn create<'a>(
        &'a self,
        path: &'a str,
        announced: Announced,
    ) -> BoxFuture<'a, Result<Box<dyn Incoming>, FilesError>>;

    /// Removes a file, or a folder with all below; whether there was one.
    fn delete<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>>;

    /// How many files a path stands for, and their bytes.
    fn extent<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<(usize, u64), FilesError>>;
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Folder,
    File {
        bytes: u64,
        /// Of a bucket, when it came there.
        modified: Option<SystemTime>,
    },
}

/// What is known of a file before it comes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Announced {
    pub bytes: Option<u64>,
    /// When it was written, to be kept where the store keeps such times.
    pub modified: Option<SystemTime>,
    pub writers: Writers,
}

/// Who else may write a path meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Writers {
    /// The last to finish wins.
    #[default]
    Any,
    /// Nobody: what an earlier one of them left when it was killed is written over.
    Alone,
}

/// A file on its way in.
pub trait Incoming: Send {
    fn write<'a>(&'a mut self, piece: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>>;

    /// Puts it under its name at once, and for good.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), FilesError>>;
}

/// A file that was found, to be read.
pub struct Opened {
    pub bytes: u64,
    /// In quotes, as HTTP's entity tags are: another where the file is another. Empty where the store tells none.
    pub mark: String,
    content: Content,
}

enum Content {
    OnDisk { file: tokio::fs::File, path: String },
    InBucket(BucketFile),
}

impl Opened {
    /// These of its bytes, within what it has.
    pub async fn read(self, range: Range<u64>) -> Result<Pieces, FilesError> {
        if range.is_empty() {
            return Ok(Box::pin(futures::stream::empty()));
        }
        match self.content {
            Content::OnDisk { file, path } => folder::read(file, &path, range).await,
            Content::InBucket(file) => file.read(range).await,
        }
    }

    pub async fn read_all(self) -> Result<Pieces, FilesError> {
        let all = 0..self.bytes;
        self.read(all).await
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The files below a folder, which is made once it is needed.
pub fn in_folder(root: &Path) -> Arc<dyn FileStore> {
    Arc::new(Folder::new(root))
}

/// The files of `s3://BUCKET` or `s3://BUCKET/PREFIX`. It works on the threads of the runtime it is opened in, so that whoever
/// answers others does not wait for it. Nothing is asked of the bucket yet.
pub fn in_bucket(uri: &str) -> Result<Arc<dyn FileStore>, FilesError> {
    Ok(Arc::new(Bucket::new(uri)?))
}
