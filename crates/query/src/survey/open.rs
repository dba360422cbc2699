//! A file told by its first bytes, and read through its compression and its encoding.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use encoding_rs::{Decoder, Encoding, UTF_8};
use karat_project::spec::{Compression, Format};

use crate::{QueryError, Result};

pub(super) struct Opened {
    pub path: PathBuf,
    pub format: Format,
    pub compression: Compression,
}

/// Bytes a dialect is told by.
const HEAD: usize = 1 << 20;

impl Opened {
    pub(super) fn new(path: &Path) -> Result<Opened> {
        let mut opened = Opened { path: path.to_owned(), format: Format::Csv, compression: Compression::None };
        let metadata = std::fs::metadata(path).map_err(|error| opened.io(error))?;
        if metadata.is_dir() {
            return Err(opened.problem("is a folder: name one file in it"));
        }
        let mut magic = Vec::new();
        File::open(path).and_then(|file| file.take(8).read_to_end(&mut magic)).map_err(|error| opened.io(error))?;
        match magic.as_slice() {
            [] => return Err(opened.problem("is empty")),
            [0x1f, 0x8b, ..] => opened.compression = Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => opened.compression = Compression::Zstd,
            [b'P', b'A', b'R', b'1', ..] => opened.format = Format::Parquet,
            [b'P', b'K', 3, 4, ..] => return Err(opened.problem("is a zip archive: unpack it first")),
            [b'{', ..] | [b'[', b'{', ..] => {
                return Err(opened.problem("looks like JSON: a project is planned from CSV or Parquet"));
            }
            _ => {}
        }
        Ok(opened)
    }

    pub(super) fn io(&self, error: io::Error) -> QueryError {
        QueryError::Io { path: self.path.display().to_string(), error }
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> QueryError {
        QueryError::File { path: self.path.display().to_string(), problem: problem.into() }
    }

    fn bytes(&self) -> io::Result<Box<dyn Read>> {
        let file = BufReader::with_capacity(1 << 17, File::open(&self.path)?);
        Ok(match self.compression {
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
            _ => Box::new(file),
        })
    }

    /// The first bytes, and whether they are all.
    pub(super) fn head(&self) -> Result<(Vec<u8>, bool)> {
        let mut head = Vec::new();
        self.bytes()
            .and_then(|bytes| bytes.take(HEAD as u64 + 1).read_to_end(&mut head))
            .map_err(|error| self.io(error))?;
        let is_whole = head.len() <= HEAD;
        head.truncate(HEAD);
        Ok((head, is_whole))
    }

    /// The first stretch of bytes that are no UTF-8; `None` where there is none.
    pub(super) fn first_beyond_utf8(&self) -> Result<Option<Vec<u8>>> {
        let mut bytes = self.bytes().map_err(|error| self.io(error))?;
        let mut stretch = Vec::new();
        loop {
            let carried = stretch.len();
            bytes.by_ref().take(HEAD as u64).read_to_end(&mut stretch).map_err(|error| self.io(error))?;
            if stretch.len() == carried {
                return Ok((!stretch.is_empty()).then_some(stretch));
            }
            match std::str::from_utf8(&stretch) {
                Ok(_) => stretch.clear(),
                Err(error) if error.error_len().is_none() => {
                    stretch.drain(..error.valid_up_to());
                }
                Err(_) => return Ok(Some(stretch)),
            }
        }
    }

    /// The content as UTF-8.
    pub(super) fn text(&self, encoding: &'static Encoding) -> Result<Box<dyn Read>> {
        let bytes = self.bytes().map_err(|error| self.io(error))?;
        Ok(if encoding == UTF_8 { bytes } else { Box::new(Decoded::new(bytes, encoding)) })
    }
}

/// Bytes of any encoding read as UTF-8.
struct Decoded<R> {
    bytes: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    fn new(bytes: R, encoding: &'static Encoding) -> Decoded<R> {
        let decoder = encoding.new_decoder();
        Decoded { bytes, decoder, raw: vec![0; 1 << 16], text: Vec::new(), given: 0, ended: false }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.ended {
            let read = self.bytes.read(&mut self.raw)?;
            self.ended = read == 0;
            let most = self.decoder.max_utf8_buffer_length(read).unwrap_or(read * 4 + 16);
            self.text.resize(most, 0);
            let (_, _, written, _) = self.decoder.decode_to_utf8(&self.raw[..read], &mut self.text, self.ended);
            self.text.truncate(written);
            self.given = 0;
        }
        let more = (&self.text[self.given..]).read(buffer)?;
        self.given += more;
        Ok(more)
    }
}
