//! Zip archives: their members are read where they lie in the file, nothing is unpacked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use karat_core::nearest;
use zip::{CompressionMethod, ZipArchive};

use crate::{QueryError, Result};

/// A file in an archive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub name: String,
    pub start: u64,
    /// As it lies in the archive.
    pub bytes: u64,
    size: u64,
    deflated: bool,
    crc: u32,
}

/// What systems put into archives that nobody meant.
fn is_litter(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/") || file.starts_with('.') || file == "Thumbs.db"
}

/// The members called `pattern` (a name or a glob), sorted; without one, the only one there is.
pub(crate) fn members(path: &Path, label: &str, pattern: Option<&str>) -> Result<Vec<Member>> {
    let wrong = |problem: String| QueryError::File { path: label.to_owned(), problem };
    let damaged = |error: zip::result::ZipError| {
        wrong(format!("cannot be read as a zip archive ({error}); was it written and copied whole?"))
    };
    let file = File::open(path).map_err(|error| QueryError::Io { path: label.to_owned(), error })?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let glob = match pattern {
        Some(pattern) if pattern.contains(['*', '?', '[']) => {
            Some(glob::Pattern::new(pattern).map_err(|error| wrong(format!("member `{pattern}`: {error}")))?)
        }
        _ => None,
    };
    let mut all = Vec::new();
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        if entry.is_dir() || is_litter(&name) {
            continue;
        }
        let wanted = match (pattern, &glob) {
            (None, _) => true,
            (Some(_), Some(glob)) => glob.matches(&name),
            (Some(exact), None) => name == exact,
        };
        all.push(name.clone());
        if !wanted {
            continue;
        }
        if entry.encrypted() {
            return Err(wrong(format!("its member `{name}` is encrypted, which cannot be read here")));
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                let problem =
                    format!("its member `{name}` is compressed by {other}; only stored and deflated are read");
                return Err(wrong(problem));
            }
        };
        let start = entry.data_start().ok_or_else(|| wrong(format!("its member `{name}` has no place in it")))?;
        let (bytes, size, crc) = (entry.compressed_size(), entry.size(), entry.crc32());
        found.push(Member { name, start, bytes, size, deflated, crc });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if pattern.is_none() && found.len() > 1 {
        let problem =
            format!("holds {} files ({}); say which with `member:`, a glob for several", all.len(), listed(&all));
        return Err(wrong(problem));
    }
    if found.is_empty() {
        return Err(wrong(match pattern {
            _ if all.is_empty() => "the archive is empty".to_owned(),
            None => "the archive is empty".to_owned(),
            Some(pattern) => match nearest(pattern, all.iter().map(String::as_str)) {
                Some(like) => format!("has no member `{pattern}`; did you mean `{like}`?"),
                None => format!("has no member `{pattern}`; it holds {}", listed(&all)),
            },
        }));
    }
    Ok(found)
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    format!("{}{more}", names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", "))
}

impl Member {
    /// Its bytes as they lie in the archive.
    pub(super) fn raw(&self, mut archive: File) -> io::Result<io::Take<File>> {
        archive.seek(SeekFrom::Start(self.start))?;
        Ok(archive.take(self.bytes))
    }

    /// Its bytes as they were, from those of [`Member::raw`]; checked against the archive's sum at their end.
    pub(super) fn content<'a>(&self, raw: impl BufRead + 'a) -> Box<dyn Read + 'a> {
        let inner: Box<dyn Read + 'a> =
            if self.deflated { Box::new(flate2::bufread::DeflateDecoder::new(raw)) } else { Box::new(raw) };
        Box::new(Checked { inner, crc: flate2::Crc::new(), left: self.size, wanted: self.crc })
    }
}

struct Checked<'a> {
    inner: Box<dyn Read + 'a>,
    crc: flate2::Crc,
    left: u64,
    wanted: u32,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let broken = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
        let read = self.inner.read(buffer).map_err(|error| match error.raw_os_error() {
            Some(_) => error,
            None => broken(format!("the archive is damaged here: {error}")),
        })?;
        self.crc.update(&buffer[..read]);
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(broken("the archive is damaged here: more bytes than it says".to_owned())),
        }
        if read == 0 && !buffer.is_empty() && (self.left > 0 || self.crc.sum() != self.wanted) {
            return Err(broken("the archive is damaged here: its checksum differs".to_owned()));
        }
        Ok(read)
    }
}
