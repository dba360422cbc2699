//! Compressed bytes as they were, with errors that say what is wrong with the file.

use std::io::{self, BufRead, Read};

use karat_project::spec::Compression;

pub(super) fn decompress<'a>(reader: impl BufRead + 'a, compression: Compression) -> io::Result<Box<dyn Read + 'a>> {
    let name = match compression {
        // An archive's member was taken out of it already.
        Compression::None | Compression::Zip => return Ok(Box::new(reader)),
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    let inner: Box<dyn Read + 'a> = match compression {
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        _ => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
    };
    Ok(Box::new(Explained { inner, name }))
}

struct Explained<'a> {
    inner: Box<dyn Read + 'a>,
    name: &'static str,
}

impl Read for Explained<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            // What the system says of the file below is no matter of its content.
            if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let name = self.name;
            let problem = match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    format!("its {name} data breaks off: the file was not written or copied whole")
                }
                _ => format!("its {name} data cannot be read: {error}"),
            };
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })
    }
}
