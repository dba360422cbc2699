//! CSV records with the physical line each begins on, over `csv-core`.

use std::io::{self, Read};

use csv_core::ReadRecordResult;
use karat_project::spec::Csv;

/// A longer record is a quote left open, not data.
pub(crate) const MAX_RECORD: usize = 16 << 20;

pub(crate) struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    core: csv_core::Reader,
}

/// One record; its memory is used again for the next.
pub(crate) struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    cells: usize,
    /// The line it begins on; 1 is the file's first.
    pub line: u64,
}

#[derive(Debug)]
pub(crate) enum RecordError {
    Io(io::Error),
    /// Longer than [`MAX_RECORD`].
    TooLong {
        line: u64,
    },
}

impl Record {
    pub(crate) fn new() -> Record {
        Record { text: vec![0; 1 << 12], ends: vec![0; 64], cells: 0, line: 0 }
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
        Records { input, buffer: vec![0; 1 << 18], start: 0, end: 0, core }
    }

    /// Reads the next record; false at the end of the input. Empty lines are no records.
    pub(crate) fn read(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        if !self.skip_line_ends().map_err(RecordError::Io)? {
            return Ok(false);
        }
        record.line = self.core.line();
        let (mut written, mut ended) = (0, 0);
        loop {
            let input = &self.buffer[self.start..self.end];
            let (result, read, wrote, ends) =
                self.core.read_record(input, &mut record.text[written..], &mut record.ends[ended..]);
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
                ReadRecordResult::Record => {
                    record.cells = ended;
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
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes off a byte order mark; call it first.
    pub(crate) fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        while self.end < 3 {
            let read = self.input.read(&mut self.buffer[self.end..])?;
            if read == 0 {
                break;
            }
            self.end += read;
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
        records.skip_byte_order_mark().unwrap();
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
    fn a_quote_left_open_is_an_error_with_its_line() {
        let text = format!("a,b\n\"1,2\n{}", "3,4\n".repeat(MAX_RECORD / 4));
        let mut records = Records::new(text.as_bytes(), &Csv::default());
        let mut record = Record::new();
        assert!(records.read(&mut record).unwrap());
        assert!(matches!(records.read(&mut record), Err(RecordError::TooLong { line: 2 })));
    }
}
