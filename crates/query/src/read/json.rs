//! JSON: an object a line, or one array of objects; columns by their paths.

use std::borrow::Cow;

use karat_core::{DataType, nearest};
use serde_json::Value as Json;

use super::batch::BatchBuilder;
use super::cells::{CellBuilder, Written};
use super::json_values::{Values, ValuesError};
use super::open::{OpenFile, unreadable};
use super::records::MAX_RECORD;
use super::text::as_utf8;
use super::{FileNote, FileRead, Place, Sink, WantedColumn};
use crate::{Progress, QueryError, Result};

/// Whether the rows of a delivery have the paths that its columns name: one that none has is a slip of the pen.
pub(super) struct PathsSeen {
    columns: Vec<(String, bool)>,
    /// The first file with rows, and the paths of its first row.
    first: Option<(String, Vec<String>)>,
}

impl PathsSeen {
    pub(super) fn new(columns: &[WantedColumn]) -> PathsSeen {
        let columns = columns.iter().map(|column| (column.file_name.clone(), false)).collect();
        PathsSeen { columns, first: None }
    }

    pub(super) fn check(self) -> Result<()> {
        let Some((label, there)) = self.first else { return Ok(()) };
        let Some((missing, _)) = self.columns.iter().find(|(_, seen)| !seen) else { return Ok(()) };
        let hint = match nearest(missing, there.iter().map(String::as_str)) {
            Some(like) => format!("did you mean `{like}`?"),
            None => format!("its first has {}", there.iter().take(12).cloned().collect::<Vec<_>>().join(", ")),
        };
        Err(QueryError::File { path: label, problem: format!("no row has `{missing}`; {hint}") })
    }
}

pub(super) fn read(
    read: &FileRead,
    place: &Place,
    progress: &dyn Progress,
    paths: &mut PathsSeen,
    sink: &mut Sink,
) -> Result<FileNote> {
    let label = &place.file.label;
    let mut open = OpenFile::open(place.file, progress)?;
    let mut batch = Batch::new(read, place);
    let mut rows = 0;
    {
        let wrong = |error| unreadable(label, error);
        let (text, _) = as_utf8(Box::new(&mut open.text), encoding_rs::UTF_8).map_err(wrong)?;
        let mut values = Values::new(text);
        let mut value = Vec::new();
        while let Some(line) = values.read(&mut value).map_err(|error| explain(label, error))? {
            rows += 1;
            batch.take(&value, line, (place.rows_before + rows) as i64, paths);
            if batch.rows.is_full() {
                batch.rows.send(progress, sink)?;
            }
        }
    }
    batch.rows.send(progress, sink)?;
    let (digest, bytes) = open.finish()?;
    Ok(FileNote { path: label.clone(), digest, rows, bytes })
}

fn explain(label: &str, error: ValuesError) -> QueryError {
    let path = label.to_owned();
    match error {
        ValuesError::Io(error) => unreadable(label, error),
        ValuesError::TooLong(line) => {
            let problem = format!("a value of more than {} MiB begins here", MAX_RECORD >> 20);
            QueryError::Line { path, line, problem }
        }
        ValuesError::Broken(line, problem) => QueryError::Line { path, line, problem: problem.to_owned() },
    }
}

/// The values of objects on their way into a batch.
struct Batch<'a> {
    label: &'a str,
    columns: &'a [WantedColumn],
    paths: Vec<Vec<&'a str>>,
    written: Vec<Written>,
    rows: BatchBuilder,
}

impl<'a> Batch<'a> {
    fn new(read: &'a FileRead, place: &Place<'a>) -> Batch<'a> {
        let written = |column: &WantedColumn| Written {
            times: column.format.clone().filter(|_| column.data_type.is_time()),
            ..Written::plainly(read.zone.clone())
        };
        Batch {
            label: &place.file.label,
            columns: &read.columns,
            paths: read.columns.iter().map(|column| column.file_name.split('.').collect()).collect(),
            written: read.columns.iter().map(written).collect(),
            rows: BatchBuilder::new(read, place),
        }
    }

    fn take(&mut self, text: &[u8], line: u64, number: i64, seen: &mut PathsSeen) {
        self.rows.begin_row();
        let row: Json = match serde_json::from_slice(text) {
            Ok(row) => row,
            Err(error) => {
                // The error's own line and column count from the value's beginning.
                let line = line + (error.line() as u64).saturating_sub(1);
                let reason = format!("not JSON: {} (column {})", without_place(&error), error.column());
                let row = Json::from(String::from_utf8_lossy(text).trim()).to_string();
                self.rows.reject(line, None, None, reason, row);
                return;
            }
        };
        if !row.is_object() {
            self.reject(&row, line, None, None, "not a JSON object".to_owned());
            return;
        }
        if seen.first.is_none() {
            let mut there = Vec::new();
            paths_of(&row, "", &mut there);
            seen.first = Some((self.label.to_owned(), there));
        }
        let mut good = true;
        for index in 0..self.columns.len() {
            let column = &self.columns[index];
            let found = find(&row, &column.file_name, &self.paths[index]);
            seen.columns[index].1 |= found.is_some();
            let cell = found.unwrap_or(&Json::Null);
            if !append(&mut self.rows.builders[index], cell, column.data_type, &self.written[index]) && good {
                good = false;
                let reason = match cell {
                    Json::String(text) => self.written[index].not_a(column.data_type, text.as_bytes()),
                    _ => self.written[index].not_a(column.data_type, b""),
                };
                let value = shown(cell).into_owned();
                self.reject(&row, line, Some(column.name.clone()), Some(value), reason.into_owned());
            }
        }
        self.rows.end_row(line, number, good);
    }

    fn reject(&mut self, row: &Json, line: u64, column: Option<String>, value: Option<String>, reason: String) {
        self.rows.reject(line, column, value, reason, row.to_string());
    }
}

/// A key may hold points itself: the whole name goes before the path.
fn find<'j>(row: &'j Json, name: &str, path: &[&str]) -> Option<&'j Json> {
    if let Some(whole) = row.get(name) {
        return Some(whole);
    }
    path.iter().try_fold(row, |json, segment| match json {
        Json::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => json.get(segment),
    })
}

/// What `find` finds, down to plain values.
fn paths_of(json: &Json, before: &str, found: &mut Vec<String>) {
    let Json::Object(entries) = json else { return };
    for (key, value) in entries {
        let path = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        if value.is_object() && path.len() < 200 {
            paths_of(value, &path, found);
        } else {
            found.push(path);
        }
    }
}

fn shown(cell: &Json) -> Cow<'_, str> {
    match cell {
        Json::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

/// Texts are read as a CSV file's cells are; nothing else becomes what it is not, save for text, which takes anything.
fn append(builder: &mut CellBuilder, cell: &Json, data_type: DataType, written: &Written) -> bool {
    let fits = match (cell, data_type) {
        (Json::Null, _) => true,
        (Json::String(_), DataType::Text) => return builder.append(shown(cell).as_bytes(), written),
        (Json::String(text), _) if !text.trim().is_empty() => return builder.append(text.as_bytes(), written),
        (Json::String(_), _) => true,
        (_, DataType::Text) => return builder.append(shown(cell).as_bytes(), written),
        (Json::Number(number), DataType::Int) => {
            let whole = number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0);
            match (number.as_i64(), whole) {
                (Some(int), _) => return builder.append(int.to_string().as_bytes(), written),
                (None, Some(whole)) => return builder.append((whole as i64).to_string().as_bytes(), written),
                (None, None) => false,
            }
        }
        (Json::Number(number), DataType::Float) => return builder.append(number.to_string().as_bytes(), written),
        // A number tells a time where its format says how.
        (Json::Number(number), DataType::Date | DataType::Timestamp) if written.times.is_some() => {
            return builder.append(number.to_string().as_bytes(), written);
        }
        (Json::Bool(value), DataType::Bool) => return builder.append(value.to_string().as_bytes(), written),
        (Json::Number(number), DataType::Bool) => return builder.append(number.to_string().as_bytes(), written),
        _ => false,
    };
    builder.append_null();
    fits
}

/// serde_json's message without the place at its end, which counts from the value's beginning.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
