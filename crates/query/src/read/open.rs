//! A file opened for reading through its compression, its raw bytes counted and digested on the way.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use karat_core::{Digest, DigestWriter};

use super::compression::decompress;
use super::files::{FoundFile, Location};
use crate::{Progress, QueryError, Result};

pub(crate) struct OpenFile<'a> {
    pub text: Box<dyn Read + 'a>,
    raw: Arc<Mutex<Raw<'a>>>,
    label: &'a str,
    /// Of a file on disk: it, and what it looked like when it was opened.
    handle: Option<(File, Look)>,
}

/// Length and time of change.
type Look = (u64, Option<SystemTime>);

struct Raw<'a> {
    input: Box<dyn Read + Send>,
    digest: DigestWriter,
    bytes: u64,
    progress: &'a dyn Progress,
}

struct RawReader<'a>(Arc<Mutex<Raw<'a>>>);

impl Read for RawReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut raw = self.0.lock().expect("no reader panics while it holds the file");
        let read = raw.input.read(buffer)?;
        raw.digest.update(&buffer[..read]);
        raw.bytes += read as u64;
        raw.progress.bytes(read as u64);
        Ok(read)
    }
}

impl<'a> OpenFile<'a> {
    pub(crate) fn open(file: &'a FoundFile, progress: &'a dyn Progress) -> Result<OpenFile<'a>> {
        let label = file.label.as_str();
        let wrong = |error| unreadable(label, error);
        let (input, handle): (Box<dyn Read + Send>, Option<(File, Look)>) = match &file.location {
            Location::Local(path) => {
                let (input, handle) = open_local(label, path)?;
                (Box::new(input), Some(handle))
            }
            Location::Member { archive, member } => {
                let (input, handle) = open_local(label, archive)?;
                (Box::new(member.raw(input).map_err(wrong)?), Some(handle))
            }
            Location::Remote(object) => (Box::new(object.read().map_err(wrong)?), None),
            Location::Postgres(copy) => (Box::new(copy.read().map_err(wrong)?), None),
            Location::Command(run) => (Box::new(run.start().map_err(wrong)?), None),
        };
        let raw = Arc::new(Mutex::new(Raw { input, digest: DigestWriter::new(), bytes: 0, progress }));
        let reader = BufReader::with_capacity(1 << 17, RawReader(raw.clone()));
        let text = match &file.location {
            Location::Member { member, .. } => decompress(BufReader::new(member.content(reader)), file.compression),
            _ => decompress(reader, file.compression),
        };
        Ok(OpenFile { text: text.map_err(wrong)?, raw, label, handle })
    }

    /// The next bytes, left to be read.
    pub(crate) fn peek(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let mut text = std::mem::replace(&mut self.text, Box::new(io::empty()));
        text.by_ref().take(count).read_to_end(&mut head).map_err(|error| unreadable(self.label, error))?;
        self.text = Box::new(io::Cursor::new(head.clone()).chain(text));
        Ok(head)
    }

    /// The digest and length of the file's bytes, whatever the decoder left unread. A file that somebody wrote to
    /// meanwhile is an error: what was read may be half of one state and half of another.
    pub(crate) fn finish(self) -> Result<(Digest, u64)> {
        let wrong = |error| unreadable(self.label, error);
        io::copy(&mut RawReader(self.raw.clone()), &mut io::sink()).map_err(wrong)?;
        let raw = self.raw.lock().expect("no reader panics while it holds the file");
        if let Some((file, before)) = &self.handle
            && look(file).map_err(wrong)? != *before
        {
            let problem = "changed while it was read; run it again once it is written".to_owned();
            return Err(QueryError::Changed { path: self.label.to_owned(), problem });
        }
        Ok((raw.digest.clone().finish(), raw.bytes))
    }
}

fn open_local(label: &str, path: &Path) -> Result<(File, (File, Look))> {
    let wrong = |error| unreadable(label, error);
    let handle = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let problem = "was there when reading began, and is gone; run it again".to_owned();
            QueryError::Changed { path: label.to_owned(), problem }
        }
        _ => wrong(error),
    })?;
    let look = look(&handle).map_err(wrong)?;
    Ok((handle.try_clone().map_err(wrong)?, (handle, look)))
}

fn look(file: &File) -> io::Result<Look> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// What went wrong while reading: the file's content, or the disk below it.
pub(crate) fn unreadable(label: &str, error: io::Error) -> QueryError {
    match error.kind() {
        io::ErrorKind::InvalidData => QueryError::File { path: label.to_owned(), problem: error.to_string() },
        _ => QueryError::Io { path: label.to_owned(), error },
    }
}
