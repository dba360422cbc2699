//! The values of a JSON file one after the other, as bytes: one a line, or the items of one array.

use std::io::{self, Read};

use super::records::MAX_RECORD;

pub(super) struct Values<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The line of the next byte; 1 is the first.
    line: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Not looked at yet.
    Unknown,
    Lines,
    /// In an array: before an item or its end, or behind an item.
    BeforeItem,
    BehindItem,
    /// Behind the array.
    Ended,
}

#[derive(Debug)]
pub(super) enum ValuesError {
    Io(io::Error),
    /// A value longer than [`MAX_RECORD`] begins at this line.
    TooLong(u64),
    /// The array is not one, at this line, for this reason.
    Broken(u64, &'static str),
}

impl From<io::Error> for ValuesError {
    fn from(error: io::Error) -> ValuesError {
        ValuesError::Io(error)
    }
}

impl<R: Read> Values<R> {
    pub(super) fn new(input: R) -> Values<R> {
        Values { input, buffer: vec![0; 1 << 18], start: 0, end: 0, line: 1, form: Form::Unknown }
    }

    /// Puts the next value's bytes in place of what `value` holds; gives the line it begins on, `None` at the end.
    pub(super) fn read(&mut self, value: &mut Vec<u8>) -> Result<Option<u64>, ValuesError> {
        value.clear();
        loop {
            let Some(byte) = self.skip_blanks()? else { return self.end() };
            match (self.form, byte) {
                (Form::Unknown, 0xef) if self.skip_byte_order_mark()? => {}
                (Form::Unknown, b'[') => {
                    self.start += 1;
                    self.form = Form::BeforeItem;
                }
                (Form::Unknown, _) => self.form = Form::Lines,
                (Form::Lines, _) => return self.rest_of_line(value).map(Some),
                (Form::BeforeItem | Form::BehindItem, b']') => {
                    self.start += 1;
                    self.form = Form::Ended;
                }
                (Form::BeforeItem, _) => {
                    self.form = Form::BehindItem;
                    return self.item(value).map(Some);
                }
                (Form::BehindItem, b',') => {
                    self.start += 1;
                    self.form = Form::BeforeItem;
                }
                (Form::BehindItem, _) => {
                    return Err(ValuesError::Broken(self.line, "expected `,` or `]` behind an item of the array"));
                }
                (Form::Ended, _) => {
                    return Err(ValuesError::Broken(self.line, "expected nothing behind the array's end"));
                }
            }
        }
    }

    fn end(&self) -> Result<Option<u64>, ValuesError> {
        match self.form {
            Form::Unknown | Form::Lines | Form::Ended => Ok(None),
            Form::BeforeItem | Form::BehindItem => {
                Err(ValuesError::Broken(self.line, "the file ends before the array does: it was not written whole"))
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> Result<bool, ValuesError> {
        while self.end - self.start < 3 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let read = self.input.read(&mut self.buffer[self.end..])?;
            if read == 0 {
                break;
            }
            self.end += read;
        }
        let marked = self.buffer[self.start..self.end].starts_with(b"\xef\xbb\xbf");
        if marked {
            self.start += 3;
        }
        Ok(marked)
    }

    /// The next byte that is no blank, left where it is.
    fn skip_blanks(&mut self) -> Result<Option<u8>, ValuesError> {
        loop {
            if self.start == self.end && !self.fill()? {
                return Ok(None);
            }
            match self.buffer[self.start] {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                other => return Ok(Some(other)),
            }
            self.start += 1;
        }
    }

    fn rest_of_line(&mut self, value: &mut Vec<u8>) -> Result<u64, ValuesError> {
        let line = self.line;
        loop {
            let there = &self.buffer[self.start..self.end];
            let end = there.iter().position(|byte| *byte == b'\n');
            value.extend_from_slice(&there[..end.unwrap_or(there.len())]);
            if value.len() > MAX_RECORD {
                return Err(ValuesError::TooLong(line));
            }
            self.start += end.unwrap_or(there.len());
            if end.is_some() || !self.fill()? {
                return Ok(line);
            }
        }
    }

    /// An item of the array, up to the comma or bracket behind it.
    fn item(&mut self, value: &mut Vec<u8>) -> Result<u64, ValuesError> {
        let line = self.line;
        let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
        loop {
            for at in self.start..self.end {
                let byte = self.buffer[at];
                self.line += u64::from(byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    _ if in_text => {}
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth > 0 => depth -= 1,
                    b',' | b']' if depth == 0 => {
                        value.extend_from_slice(&self.buffer[self.start..at]);
                        self.start = at;
                        return Ok(line);
                    }
                    _ => {}
                }
            }
            value.extend_from_slice(&self.buffer[self.start..self.end]);
            if value.len() > MAX_RECORD {
                return Err(ValuesError::TooLong(line));
            }
            if !self.fill()? {
                return Err(ValuesError::Broken(line, "the file ends within the item of the array that begins here"));
            }
        }
    }

    /// Whether there is more.
    fn fill(&mut self) -> Result<bool, ValuesError> {
        (self.start, self.end) = (0, 0);
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(read) => {
                    self.end = read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few bytes at a time, so that values fall between reads.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.len().min(3).min(buffer.len());
            buffer[..read].copy_from_slice(&self.0[..read]);
            self.0 = &self.0[read..];
            Ok(read)
        }
    }

    fn values(text: &str) -> Result<Vec<(u64, String)>, ValuesError> {
        let mut values = Values::new(Dripping(text.as_bytes()));
        let (mut found, mut value) = (Vec::new(), Vec::new());
        while let Some(line) = values.read(&mut value)? {
            found.push((line, String::from_utf8(value.clone()).unwrap().trim().to_owned()));
        }
        Ok(found)
    }

    fn told(found: &[(u64, &str)]) -> Vec<(u64, String)> {
        found.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn lines_and_arrays_give_the_same_values() {
        assert_eq!(values("\u{feff}{\"a\":1}\r\n\n{b\n").unwrap(), told(&[(1, "{\"a\":1}"), (3, "{b")]));
        assert_eq!(
            values(" [\n{\"a\": [1, \"]\\\"\"]},\n\n2,{\"b\":\n{}}\n]\n ").unwrap(),
            told(&[(2, "{\"a\": [1, \"]\\\"\"]}"), (4, "2"), (4, "{\"b\":\n{}}")])
        );
        assert!(values("").unwrap().is_empty() && values("[]").unwrap().is_empty());
    }

    #[test]
    fn an_array_that_is_none_is_an_error_with_its_line() {
        for (text, line) in [("[1,\n2", 2), ("[1,\n", 2), ("[1]\n[2]", 2), ("[{\n}", 1), ("[{", 1)] {
            assert!(matches!(values(text), Err(ValuesError::Broken(at, _)) if at == line), "{text}");
        }
    }
}
