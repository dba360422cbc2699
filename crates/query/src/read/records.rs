//! CSV records with the physical line each begins on, over `csv-core`.

use std::io::{self, Read};

use csv_core::ReadRecordResult;
use karat_project::spec::Csv;

use super::quoting::Quoting;

/// Enough of a file to see how it ends its lines.
const HEAD: usize = 1 << 14;

/// A longer record is a quote left open, not data.
pub(crate) const MAX_RECORD: usize = 16 << 20;

pub(crate) struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    core: csv_core::Reader,
    quoting: Quoting,
    line_ends: LineEnds,
}

/// How the file ends its lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnds {
    /// With a line feed, whatever stands before it.
    Feeds,
    /// With a carriage return alone, as on the first Macintoshes: read as line feeds.
    Returns,
}

/// One record; its memory is used again for the next.
pub(crate) struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    cells: usize,
    /// The line it begins on; 1 is the file's first.
    pub line: u64,
    /// A cell in it has text after its closing quote.
    pub misquoted: bool,
}

#[derive(Debug)]
pub(crate) enum RecordError {
    Io(io::Error),
    /// Longer than [`MAX_RECORD`].
    TooLong {
        line: u64,
    },
    /// The file ends inside a quoted cell of the record that begins here.
    OpenQuote {
        line: u64,
    },
}

impl Record {
    pub(crate) fn new() -> Record {
        Record { text: vec![0; 1 << 12], ends: vec![0; 64], cells: 0, line: 0, misquoted: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.cells
    }

    pub(crate) fn cell(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.cells).map(|index| self.cell(index))
    }
}

impl<R: Read> Records<R> {
    /// `dialect` is validated: its delimiter and quote are ASCII.
    pub(crate) fn new(input: R, dialect: &Csv) -> Records<R> {
        let core = csv_core::ReaderBuilder::new().delimiter(dialect.delimiter as u8).quote(dialect.quote as u8).build();
        Records {
            input,
            buffer: vec![0; 1 << 18],
            start: 0,
            end: 0,
            core,
            quoting: Quoting::new(dialect.quote as u8, dialect.delimiter as u8),
            line_ends: LineEnds::Feeds,
        }
    }

    /// Reads the next record; false at the end of the input. Empty lines are no records.
    pub(crate) fn read(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        if !self.skip_line_ends().map_err(RecordError::Io)? {
            return Ok(false);
        }
        record.line = self.core.line();
        self.quoting.begin();
        let (mut written, mut ended) = (0, 0);
        loop {
            let input = &self.buffer[self.start..self.end];
            let (result, read, wrote, ends) =
                self.core.read_record(input, &mut record.text[written..], &mut record.ends[ended..]);
            self.quoting.pass(&input[..read]);
            self.start += read;
            written += wrote;
            ended += ends;
            match result {
                ReadRecordResult::InputEmpty => {
                    self.fill().map_err(RecordError::Io)?;
                }
                ReadRecordResult::OutputFull if record.text.len() >= MAX_RECORD => {
                    return Err(RecordError::TooLong { line: record.line });
                }
                ReadRecordResult::OutputFull => record.text.resize(record.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => record.ends.resize(record.ends.len() * 2, 0),
                ReadRecordResult::Record if self.quoting.is_open() => {
                    return Err(RecordError::OpenQuote { line: record.line });
                }
                ReadRecordResult::Record => {
                    record.cells = ended;
                    record.misquoted = self.quoting.is_misquoted();
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// `csv-core` leaves the line feed of a CRLF to the next record and skips empty lines inside one; done here, a
    /// record's line is the line it begins on. Also takes off a byte order mark.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        loop {
            if self.start == self.end && !self.fill()? {
                return Ok(false);
            }
            match self.buffer[self.start] {
                b'\n' => self.core.set_line(self.core.line() + 1),
                b'\r' => {}
                _ => return Ok(true),
            }
            self.start += 1;
        }
    }

    /// Whether there is more.
    fn fill(&mut self) -> io::Result<bool> {
        self.start = 0;
        self.end = 0;
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(read) => {
                    self.end = read;
                    self.feed_lines();
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn feed_lines(&mut self) {
        if self.line_ends == LineEnds::Returns {
            self.buffer[..self.end].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
    }

    /// Looks at the file's beginning: takes off a byte order mark, sees how lines end. Call it first.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        while self.end < HEAD {
            let read = self.input.read(&mut self.buffer[self.end..])?;
            if read == 0 {
                break;
            }
            self.end += read;
        }
        let head = &self.buffer[..self.end];
        let first_end = head.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        if first_end.is_some_and(|at| head[at] == b'\r' && head.get(at + 1).is_some_and(|next| *next != b'\n')) {
            self.line_ends = LineEnds::Returns;
            self.feed_lines();
        }
        if self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.start = 3;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::new(text.as_bytes(), &Csv::default());
        records.begin().unwrap();
        let mut record = Record::new();
        let mut all = Vec::new();
        while records.read(&mut record).unwrap() {
            all.push((record.line, record.cells().map(|c| String::from_utf8_lossy(c).into_owned()).collect()));
        }
        all
    }

    #[test]
    fn lines_are_physical_whatever_ends_them() {
        let wanted = vec![(1, vec!["a", "b"]), (2, vec!["1\n2", "x"]), (5, vec!["3", ""]), (6, vec!["4", "é\"q"])];
        let wanted: Vec<(u64, Vec<String>)> =
            wanted.into_iter().map(|(line, cells)| (line, cells.into_iter().map(str::to_owned).collect())).collect();
        let unix = "\u{feff}a,b\n\"1\n2\",x\n\n3,\n4,\"é\"\"q\"";
        assert_eq!(read(unix), wanted);
        assert_eq!(read(&format!("{unix}\n")), wanted);
        let windows = unix.replace('\n', "\r\n");
        let wanted: Vec<(u64, Vec<String>)> = wanted
            .into_iter()
            .map(|(line, cells)| (line, cells.into_iter().map(|c| c.replace('\n', "\r\n")).collect()))
            .collect();
        assert_eq!(read(&windows), wanted);
    }

    #[test]
    fn carriage_returns_alone_end_lines_too() {
        let wanted: Vec<(u64, Vec<String>)> =
            [(1, "a"), (2, "1"), (4, "2")].map(|(line, cell)| (line, vec![cell.to_owned()])).into();
        assert_eq!(read("a\r1\r\r2\r"), wanted);
    }

    #[test]
    fn text_after_a_closing_quote_is_noticed() {
        let text = "\"a\"b,c\n\"a\"\"\",\"c\"\na\"b,c\n";
        let mut records = Records::new(text.as_bytes(), &Csv::default());
        let mut record = Record::new();
        let mut found = Vec::new();
        while records.read(&mut record).unwrap() {
            found.push(record.misquoted);
        }
        assert_eq!(found, [true, false, false]);
    }

    #[test]
    fn a_quote_open_at_the_end_is_an_error_with_its_line() {
        let mut records = Records::new("a,b\n1,\"2\n3,4\n".as_bytes(), &Csv::default());
        let mut record = Record::new();
        assert!(records.read(&mut record).unwrap());
        assert!(matches!(records.read(&mut record), Err(RecordError::OpenQuote { line: 2 })));
    }

    #[test]
    fn a_quote_left_open_is_an_error_with_its_line() {
        let text = format!("a,b\n\"1,2\n{}", "3,4\n".repeat(MAX_RECORD / 4));
        let mut records = Records::new(text.as_bytes(), &Csv::default());
        let mut record = Record::new();
        assert!(records.read(&mut record).unwrap());
        assert!(matches!(records.read(&mut record), Err(RecordError::TooLong { line: 2 })));
    }
}
