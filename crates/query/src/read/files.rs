use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use karat_core::{Digest, DigestWriter, nearest};
use karat_project::spec::{Compression, Format};

use super::compression::decompress;
use crate::{Progress, QueryError, Result};

/// An input file, found and told apart by its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundFile {
    pub path: PathBuf,
    /// As reports name it: relative to the project folder where it is inside.
    pub label: String,
    pub format: Format,
    pub compression: Compression,
    pub bytes: u64,
}

/// The files of `pattern` (a path or a glob, relative to `root`), sorted by path.
pub(crate) fn find(
    root: &Path,
    pattern: &str,
    format: Option<Format>,
    compression: Option<Compression>,
) -> Result<Vec<FoundFile>> {
    let whole = root.join(pattern);
    let mut paths = if pattern.contains(['*', '?', '[']) { matching(root, pattern)? } else { vec![whole] };
    paths.sort();
    paths.into_iter().map(|path| found(root, path, format, compression)).collect()
}

fn matching(root: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let file_error = |problem: String| QueryError::File { path: pattern.to_owned(), problem };
    // The project folder's own name may hold characters that mean something in a glob.
    let escaped = PathBuf::from(glob::Pattern::escape(&root.to_string_lossy())).join(pattern);
    let found = glob::glob(&escaped.to_string_lossy()).map_err(|error| file_error(error.to_string()))?;
    let mut paths = Vec::new();
    for path in found {
        let path =
            path.map_err(|error| QueryError::Io { path: error.path().display().to_string(), error: error.into() })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(file_error(format!("no file in {} matches", root.display())));
    }
    Ok(paths)
}

fn found(root: &Path, path: PathBuf, format: Option<Format>, compression: Option<Compression>) -> Result<FoundFile> {
    let label = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    let metadata = std::fs::metadata(&path).map_err(|error| match missing(&path, &label, &error) {
        Some(explained) => explained,
        None => QueryError::Io { path: label.clone(), error },
    })?;
    if metadata.is_dir() {
        let problem = format!("is a folder; write `{label}/*.csv` for the files in it");
        return Err(QueryError::File { path: label, problem });
    }
    let name = label.to_ascii_lowercase();
    let (told_compression, stem) = match name.rsplit_once('.') {
        Some((stem, "gz" | "gzip")) => (Compression::Gzip, stem),
        Some((stem, "zst" | "zstd")) => (Compression::Zstd, stem),
        _ => (Compression::None, name.as_str()),
    };
    let told_format = match stem.rsplit_once('.') {
        Some((_, "csv" | "tsv" | "txt")) => Some(Format::Csv),
        Some((_, "parquet" | "pq")) => Some(Format::Parquet),
        _ => None,
    };
    let Some(format) = format.or(told_format) else {
        let problem =
            "its name does not tell its format; say `format: csv` or `format: parquet` in the source".to_owned();
        return Err(QueryError::File { path: label, problem });
    };
    let compression = compression.unwrap_or(told_compression);
    if format == Format::Parquet && compression != Compression::None {
        let problem = "Parquet compresses inside; a compressed Parquet file cannot be read".to_owned();
        return Err(QueryError::File { path: label, problem });
    }
    Ok(FoundFile { path, label, format, compression, bytes: metadata.len() })
}

fn missing(path: &Path, label: &str, error: &io::Error) -> Option<QueryError> {
    if error.kind() != io::ErrorKind::NotFound {
        return None;
    }
    let wanted = path.file_name()?.to_string_lossy();
    let neighbours: Vec<String> = std::fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let nearest = nearest(&wanted, neighbours.iter().map(String::as_str))?;
    Some(QueryError::File {
        path: label.to_owned(),
        problem: format!("there is no such file; did you mean `{nearest}`?"),
    })
}

/// A file opened for reading through its compression, its raw bytes counted and digested on the way.
pub(crate) struct OpenFile<'a> {
    pub text: Box<dyn Read + 'a>,
    raw: Arc<Mutex<Raw<'a>>>,
    label: &'a str,
    /// Length and time of change when it was opened.
    look: (u64, Option<SystemTime>),
}

struct Raw<'a> {
    file: File,
    digest: DigestWriter,
    bytes: u64,
    progress: &'a dyn Progress,
}

struct RawReader<'a>(Arc<Mutex<Raw<'a>>>);

impl Read for RawReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut raw = self.0.lock().expect("no reader panics while it holds the file");
        let read = raw.file.read(buffer)?;
        raw.digest.update(&buffer[..read]);
        raw.bytes += read as u64;
        raw.progress.bytes(read as u64);
        Ok(read)
    }
}

impl<'a> OpenFile<'a> {
    pub(crate) fn open(file: &'a FoundFile, progress: &'a dyn Progress) -> Result<OpenFile<'a>> {
        let label = file.label.as_str();
        let handle = File::open(&file.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let problem = "was there when reading began, and is gone; run it again".to_owned();
                QueryError::Changed { path: label.to_owned(), problem }
            }
            _ => unreadable(label, error),
        })?;
        let look = look(&handle).map_err(|error| unreadable(label, error))?;
        let raw = Raw { file: handle, digest: DigestWriter::new(), bytes: 0, progress };
        let raw = Arc::new(Mutex::new(raw));
        let reader = BufReader::with_capacity(1 << 17, RawReader(raw.clone()));
        let text = decompress(reader, file.compression).map_err(|error| unreadable(label, error))?;
        Ok(OpenFile { text, raw, label, look })
    }

    /// The digest and length of the file's bytes, whatever the decoder left unread. A file that somebody wrote to
    /// meanwhile is an error: what was read may be half of one state and half of another.
    pub(crate) fn finish(self) -> Result<(Digest, u64)> {
        let label = self.label;
        let wrong = |error| unreadable(label, error);
        io::copy(&mut RawReader(self.raw.clone()), &mut io::sink()).map_err(wrong)?;
        let raw = self.raw.lock().expect("no reader panics while it holds the file");
        if look(&raw.file).map_err(wrong)? != self.look || raw.bytes != self.look.0 {
            let problem = "changed while it was read; run it again once it is written".to_owned();
            return Err(QueryError::Changed { path: label.to_owned(), problem });
        }
        Ok((raw.digest.clone().finish(), raw.bytes))
    }
}

fn look(file: &File) -> io::Result<(u64, Option<SystemTime>)> {
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
