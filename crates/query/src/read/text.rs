//! Text of any encoding as UTF-8, on its way into a parser.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

/// What stands for bytes that mean nothing in their encoding: no text of UTF-8 has it, so that the cell it falls into
/// is found wrong there, with its place.
const MALFORMED: u8 = 0xff;

/// What other formats begin with.
const MAGIC: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "is gzip data: say `compression: gzip` in the source, or name it `.gz`"),
    (b"\x28\xb5\x2f\xfd", "is zstd data: say `compression: zstd` in the source, or name it `.zst`"),
    (b"PAR1\x15", "is a Parquet file: say `format: parquet` in the source"),
    (b"PK\x03\x04", "is a zip archive (as Excel's .xlsx files are), not text"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel or Word file, not text: save it as CSV"),
];

/// `input` as UTF-8: as it is where it is declared so. A byte order mark in front wins over `encoding`, and of UTF-8 is
/// left to the reader.
pub(crate) fn as_utf8<'a>(
    mut input: Box<dyn Read + 'a>,
    encoding: &'static Encoding,
) -> io::Result<(Box<dyn Read + 'a>, &'static Encoding)> {
    let mut head = Vec::with_capacity(5);
    input.by_ref().take(5).read_to_end(&mut head)?;
    if let Some((_, problem)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, *problem));
    }
    let encoding = Encoding::for_bom(&head).map_or(encoding, |(marked, _)| marked);
    let whole = io::Cursor::new(head).chain(input);
    if encoding == UTF_8 {
        return Ok((Box::new(whole), encoding));
    }
    Ok((Box::new(Transcoder::new(whole, encoding)), encoding))
}

struct Transcoder<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    start: usize,
    end: usize,
    /// The input has no more.
    ended: bool,
    /// The decoder has no more.
    finished: bool,
}

impl<R: Read> Transcoder<R> {
    fn new(input: R, encoding: &'static Encoding) -> Transcoder<R> {
        let decoder = encoding.new_decoder_with_bom_removal();
        Transcoder { input, decoder, raw: vec![0; 1 << 16], start: 0, end: 0, ended: false, finished: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        (self.start, self.end) = (0, 0);
        loop {
            match self.input.read(&mut self.raw) {
                Ok(read) => {
                    self.end = read;
                    self.ended = read == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    /// `out` has room for a few characters.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = out.len().saturating_sub(1);
        while !self.finished {
            if self.start == self.end && !self.ended {
                self.fill()?;
            }
            let raw = &self.raw[self.start..self.end];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(raw, &mut out[..room], self.ended);
            self.start += read;
            match result {
                DecoderResult::Malformed(..) => {
                    out[written] = MALFORMED;
                    return Ok(written + 1);
                }
                DecoderResult::OutputFull if written == 0 => {
                    return Err(io::Error::other("no room for a character"));
                }
                DecoderResult::OutputFull => return Ok(written),
                DecoderResult::InputEmpty => {
                    self.finished = self.ended;
                    if written > 0 {
                        return Ok(written);
                    }
                }
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], label: &str) -> Vec<u8> {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let (mut text, _) = as_utf8(Box::new(bytes), encoding).unwrap();
        let mut all = Vec::new();
        // Little by little, so that characters fall between reads.
        let mut piece = [0; 7];
        loop {
            let read = text.read(&mut piece).unwrap();
            if read == 0 {
                return all;
            }
            all.extend_from_slice(&piece[..read]);
        }
    }

    #[test]
    fn every_encoding_comes_out_as_utf8() {
        assert_eq!(decoded(b"SERVI\x82O;a\x8d\x8bo", "macintosh"), "SERVIÇO;ação".as_bytes());
        assert_eq!(decoded(b"caf\xe9 \x80", "latin1"), "café €".as_bytes());
        assert_eq!(decoded(b"\xff\xfea\x00\xe9\x00\r\x00\n\x00", "utf-8"), "aé\r\n".as_bytes());
        assert_eq!(decoded(b"\xef\xbb\xbfa\xc3\xa9", "latin1"), "\u{feff}aé".as_bytes());
        assert_eq!(decoded(b"", "macintosh"), b"");
        let long = "žluťoučký kůň ".repeat(10_000);
        let (bytes, ..) = encoding_rs::WINDOWS_1250.encode(&long);
        assert_eq!(decoded(&bytes, "windows-1250"), long.as_bytes());
    }

    #[test]
    fn what_means_nothing_is_marked_and_the_rest_goes_on() {
        assert_eq!(decoded(b"a\x81,b\x82\xa0", "shift_jis"), [b"a\xff,b", "あ".as_bytes()].concat());
        assert_eq!(decoded(b"a\x82", "shift_jis"), b"a\xff");
    }
}
