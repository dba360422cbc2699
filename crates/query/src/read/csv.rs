use karat_core::{DataType, nearest};

use super::arrow_stream;
use super::batch::BatchBuilder;
use super::cells::Written;
use super::files::Location;
use super::numbers::Numbers;
use super::open::{OpenFile, unreadable};
use super::records::{MAX_RECORD, Record, RecordError, Records};
use super::text::as_utf8;
use super::{FileNote, FileRead, Place, Sink, WantedColumn, postgres};
use crate::{Progress, QueryError, Result};

pub(super) fn read(read: &FileRead, place: &Place, progress: &dyn Progress, sink: &mut Sink) -> Result<FileNote> {
    let label = &place.file.label;
    let mut open = OpenFile::open(place.file, progress)?;
    if matches!(place.file.location, Location::Command(_)) && open.peek(4)? == arrow_stream::MARKER {
        return arrow_stream::read(read, place, open, progress, sink);
    }
    let rows = {
        let wrong = |error| unreadable(label, error);
        let (text, encoding) = as_utf8(Box::new(&mut open.text), read.csv.encoding()).map_err(wrong)?;
        let mut records = Records::new(text, &read.csv);
        records.begin().map_err(wrong)?;
        read_records(read, place, encoding.name(), progress, &mut records, sink)?
    };
    let (digest, bytes) = open.finish()?;
    Ok(FileNote { path: label.clone(), digest, rows, bytes })
}

fn read_records<R: std::io::Read>(
    read: &FileRead,
    place: &Place,
    encoding: &'static str,
    progress: &dyn Progress,
    records: &mut Records<R>,
    sink: &mut Sink,
) -> Result<u64> {
    let explain = |error| explain(&place.file.label, error);
    let mut record = Record::new();
    let header: Vec<String> = if read.csv.header {
        if !records.read(&mut record).map_err(explain)? {
            let problem = "the file is empty: expected a line of column names".to_owned();
            return Err(QueryError::File { path: place.file.label.clone(), problem });
        }
        header_of(&place.file.label, &record, encoding)?
    } else {
        read.columns.iter().map(|column| column.file_name.clone()).collect()
    };
    let columns = locate(&place.file.label, &header, &read.columns, record.line.max(1))?;
    let mut batch = Batch::new(read, place, encoding, header, columns);
    let mut rows = 0;
    while records.read(&mut record).map_err(explain)? {
        rows += 1;
        batch.take(&record, (place.rows_before + rows) as i64);
        if batch.rows.is_full() {
            batch.rows.send(progress, sink)?;
        }
    }
    batch.rows.send(progress, sink)?;
    Ok(rows)
}

fn header_of(label: &str, record: &Record, encoding: &str) -> Result<Vec<String>> {
    let at_header =
        |problem: &str| QueryError::Line { path: label.to_owned(), line: record.line, problem: problem.into() };
    if record.cells().any(|cell| cell.contains(&0)) {
        let problem = "the line of column names holds NUL bytes; say `csv: {encoding: utf-16le}` if the file is UTF-16";
        return Err(at_header(problem));
    }
    if record.misquoted {
        return Err(at_header(MISQUOTED));
    }
    let name = |cell| match std::str::from_utf8(cell) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(_) => {
            let shown = String::from_utf8_lossy(cell);
            let problem = format!("the column name `{shown}` is not {encoding} text; say `csv: {{encoding: …}}`");
            Err(at_header(&problem))
        }
    };
    record.cells().map(name).collect()
}

const MISQUOTED: &str = "text stands after a closing quote; a quote within a quoted cell is written twice";

fn explain(label: &str, error: RecordError) -> QueryError {
    match error {
        RecordError::Io(error) => unreadable(label, error),
        RecordError::OpenQuote { line } => {
            let problem = "a quote opened in the record that begins here is never closed".to_owned();
            QueryError::Line { path: label.to_owned(), line, problem }
        }
        RecordError::TooLong { line } => {
            let problem = format!("a record of more than {} MiB begins here; is a quote left open?", MAX_RECORD >> 20);
            QueryError::Line { path: label.to_owned(), line, problem }
        }
    }
}

/// Where each wanted column stands in the file.
fn locate(label: &str, header: &[String], wanted: &[WantedColumn], line: u64) -> Result<Vec<usize>> {
    let at_header = |problem| QueryError::Line { path: label.to_owned(), line, problem };
    let mut places = Vec::with_capacity(wanted.len());
    for column in wanted {
        let mut found =
            header.iter().enumerate().filter(|(_, name)| **name == column.file_name).map(|(index, _)| index);
        let Some(index) = found.next() else {
            let hint = match nearest(&column.file_name, header.iter().map(String::as_str)) {
                _ if other_delimiter(header).is_some() => {
                    let mark = other_delimiter(header).unwrap_or_default();
                    format!("its first line is one cell; is it written with `csv: {{delimiter: \"{mark}\"}}`?")
                }
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("it has {}", listed(header)),
            };
            return Err(at_header(format!("the file has no column `{}`; {hint}", column.file_name)));
        };
        if found.next().is_some() {
            return Err(at_header(format!("the file has two columns `{}`", column.file_name)));
        }
        places.push(index);
    }
    Ok(places)
}

/// What most likely separates the cells of a header that came out as one.
fn other_delimiter(header: &[String]) -> Option<&'static str> {
    let [only] = header else { return None };
    [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")]
        .into_iter()
        .find(|(mark, _)| only.contains(*mark))
        .map(|(_, name)| name)
}

fn listed(header: &[String]) -> String {
    let shown: Vec<String> = header.iter().take(12).map(|name| format!("`{name}`")).collect();
    let more = if header.len() > 12 { format!(" and {} more", header.len() - 12) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The cells of records on their way into a batch.
struct Batch<'a> {
    read: &'a FileRead,
    header: Vec<String>,
    places: Vec<usize>,
    written: Vec<Written>,
    rows: BatchBuilder,
}

impl<'a> Batch<'a> {
    fn new(
        read: &'a FileRead,
        place: &Place,
        encoding: &'static str,
        header: Vec<String>,
        places: Vec<usize>,
    ) -> Batch<'a> {
        let written = read.columns.iter().map(|column| written(read, column, encoding)).collect();
        Batch { read, header, places, written, rows: BatchBuilder::new(read, place) }
    }

    fn take(&mut self, record: &Record, number: i64) {
        self.rows.begin_row();
        if record.len() != self.header.len() {
            let reason = format!("has {} cells where the file has {} columns", record.len(), self.header.len());
            self.reject(record, None, None, reason);
            return;
        }
        if record.misquoted {
            self.reject(record, None, None, MISQUOTED.to_owned());
            return;
        }
        let mut good = true;
        for index in 0..self.read.columns.len() {
            let cell = record.cell(self.places[index]);
            let cell = if self.read.csv.trim { without_blanks(cell) } else { cell };
            let column = &self.read.columns[index];
            if is_null(cell, column.data_type, &self.read.csv.null_values) {
                self.rows.builders[index].append_null();
            } else if !self.rows.builders[index].append(cell, &self.written[index]) && good {
                good = false;
                let value = String::from_utf8_lossy(cell).into_owned();
                let reason = self.written[index].not_a(column.data_type, cell).into_owned();
                self.reject(record, Some(column.name.clone()), Some(value), reason);
            }
        }
        self.rows.end_row(record.line, number, good);
    }

    fn reject(&mut self, record: &Record, column: Option<String>, value: Option<String>, reason: String) {
        let row = raw_row(&self.header, record);
        self.rows.reject(record.line, column, value, reason, row);
    }
}

fn written(read: &FileRead, column: &WantedColumn, encoding: &'static str) -> Written {
    let times = match column.data_type {
        DataType::Date => column.format.as_ref().or(read.csv.date_format.as_ref()),
        DataType::Timestamp => column.format.as_ref().or(read.csv.timestamp_format.as_ref()),
        _ => None,
    };
    Written {
        zone: read.zone.clone(),
        numbers: Numbers::new(read.csv.decimal, read.csv.thousands),
        times: times.cloned(),
        encoding,
    }
}

/// Blanks of any kind: there are unbreakable ones in data.
fn without_blanks(cell: &[u8]) -> &[u8] {
    std::str::from_utf8(cell).map_or_else(|_| cell.trim_ascii(), |text| text.trim().as_bytes())
}

/// Text is taken to the letter, unless it is trimmed. Around anything else blanks mean nothing, and nothing but blanks is no value.
fn is_null(cell: &[u8], data_type: DataType, null_values: &[String]) -> bool {
    if data_type == DataType::Text {
        return null_values.iter().any(|null| null.as_bytes() == cell);
    }
    let trimmed = cell.trim_ascii();
    trimmed.is_empty() || null_values.iter().any(|null| null.as_bytes() == cell || null.as_bytes() == trimmed)
}

/// The row as JSON: an object in the file's order; a list where its cells do not match the header.
fn raw_row(header: &[String], record: &Record) -> String {
    let text = |cell: &[u8]| match cell == postgres::NULL.as_bytes() {
        true => "null".to_owned(),
        false => serde_json::Value::from(String::from_utf8_lossy(cell)).to_string(),
    };
    if record.len() != header.len() {
        let cells: Vec<String> = record.cells().map(text).collect();
        return format!("[{}]", cells.join(","));
    }
    let cells: Vec<String> = header
        .iter()
        .zip(record.cells())
        .map(|(name, cell)| format!("{}:{}", serde_json::Value::from(name.as_str()), text(cell)))
        .collect();
    format!("{{{}}}", cells.join(","))
}
