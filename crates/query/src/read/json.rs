//! JSON: an object a line, or one array of objects; columns by their paths.

use std::borrow::Cow;
use std::collections::HashSet;

use karat_core::{DataType, Unrepeated, Zone, nearest};
use serde_json::Value as Json;

use super::batch::BatchBuilder;
use super::cells::{CellBuilder, Written};
use super::json_values::{Values, ValuesError};
use super::open::{OpenFile, unreadable};
use super::records::MAX_RECORD;
use super::text::as_utf8;
use super::{FileNote, FileRead, Place, ReadBatch, Sink, WantedColumn};
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

/// The values of a file's objects on their way into a batch.
struct Batch<'a> {
    label: &'a str,
    cells: Cells,
    rows: BatchBuilder,
}

impl<'a> Batch<'a> {
    fn new(read: &FileRead, place: &Place<'a>) -> Batch<'a> {
        let cells = Cells::new(&read.columns, &read.zone);
        Batch { label: &place.file.label, cells, rows: BatchBuilder::new(read, place) }
    }

    fn take(&mut self, text: &[u8], line: u64, number: i64, seen: &mut PathsSeen) {
        self.rows.begin_row();
        let row = match serde_json::from_slice(text) {
            Ok(Unrepeated(row)) => row,
            Err(error) => {
                // The error's own line and column count from the value's beginning.
                let line = line + (error.line() as u64).saturating_sub(1);
                let what = if error.is_data() { "" } else { "not JSON: " };
                let reason = format!("{what}{} (column {})", without_place(&error), error.column());
                let row = Json::from(String::from_utf8_lossy(text).trim()).to_string();
                self.rows.reject(line, None, None, reason, row);
                return;
            }
        };
        if row.is_object() && seen.first.is_none() {
            let mut there = Vec::new();
            paths_of(&row, "", &mut there);
            seen.first = Some((self.label.to_owned(), there));
        }
        self.cells.take(&mut self.rows, &row, line, number, &mut |index| seen.columns[index].1 = true);
    }
}

/// Objects that stand in no file, as rows of a source.
pub(crate) struct ObjectRows {
    cells: Cells,
    rows: BatchBuilder,
    /// What fields can be called: the names of columns, and the first segments of their paths.
    fields: HashSet<String>,
}

impl ObjectRows {
    pub(crate) fn new(columns: &[WantedColumn], zone: &Zone) -> ObjectRows {
        let first = |column: &WantedColumn| column.file_name.split('.').next().unwrap_or_default().to_owned();
        let fields = columns.iter().flat_map(|column| [column.file_name.clone(), first(column)]).collect();
        ObjectRows { cells: Cells::new(columns, zone), rows: BatchBuilder::of(columns), fields }
    }

    /// `line` is told where the row is bad; `number` is the row's in its delivery. Fields that no column reads are a
    /// mistake here: nobody looks at what was sent again.
    pub(crate) fn take(&mut self, row: &Json, line: u64, number: i64) {
        self.rows.begin_row();
        let unknown = row.as_object().and_then(|row| row.keys().find(|name| !self.fields.contains(*name)));
        if let Some(name) = unknown {
            let hint = match nearest(name, self.fields.iter().map(String::as_str)) {
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("there are {}", self.cells.names().collect::<Vec<_>>().join(", ")),
            };
            let value = shown(&row[name]).into_owned();
            let reason = format!("no column is read from it; {hint}");
            self.rows.reject(line, Some(name.clone()), Some(value), reason, row.to_string());
            return;
        }
        if let Some((column, at, there)) = self.cells.blocked(row) {
            let reason = format!("`{at}` is no object, and `{}` is read from it", column.file_name);
            self.rows.reject(line, Some(column.name.clone()), Some(shown(there).into_owned()), reason, row.to_string());
            return;
        }
        self.cells.take(&mut self.rows, row, line, number, &mut |_| ());
    }

    pub(crate) fn finish(mut self) -> Result<ReadBatch> {
        self.rows.flush()
    }
}

/// How objects become the cells of a row.
struct Cells {
    columns: Vec<WantedColumn>,
    paths: Vec<Vec<String>>,
    written: Vec<Written>,
}

impl Cells {
    fn new(columns: &[WantedColumn], zone: &Zone) -> Cells {
        let written = |column: &WantedColumn| Written {
            times: column.format.clone().filter(|_| column.data_type.is_time()),
            ..Written::plainly(zone.clone())
        };
        let path = |column: &WantedColumn| column.file_name.split('.').map(str::to_owned).collect();
        Cells {
            paths: columns.iter().map(path).collect(),
            written: columns.iter().map(written).collect(),
            columns: columns.to_vec(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.file_name.as_str())
    }

    /// A column whose path goes through something that has no fields, where that stands, and what it is.
    fn blocked<'j>(&self, row: &'j Json) -> Option<(&WantedColumn, String, &'j Json)> {
        row.as_object()?;
        self.columns.iter().zip(&self.paths).filter(|(_, path)| path.len() > 1).find_map(|(column, path)| {
            if row.get(&column.file_name).is_some() {
                return None;
            }
            let mut there = row;
            for (depth, segment) in path.iter().enumerate() {
                there = match there {
                    Json::Object(fields) => fields.get(segment)?,
                    Json::Array(items) if segment.parse::<usize>().is_ok() => {
                        items.get(segment.parse::<usize>().ok()?)?
                    }
                    Json::Null => return None,
                    other => return Some((column, path[..depth].join("."), other)),
                };
            }
            None
        })
    }

    /// Calls `found` with every column that the row has.
    fn take(&self, rows: &mut BatchBuilder, row: &Json, line: u64, number: i64, found: &mut dyn FnMut(usize)) {
        if !row.is_object() {
            rows.reject(line, None, None, "not a JSON object".to_owned(), row.to_string());
            return;
        }
        let mut good = true;
        for (index, column) in self.columns.iter().enumerate() {
            let cell = find(row, &column.file_name, &self.paths[index]);
            if cell.is_some() {
                found(index);
            }
            let (cell, written) = (cell.unwrap_or(&Json::Null), &self.written[index]);
            if !append(&mut rows.builders[index], cell, column.data_type, written) && good {
                good = false;
                let text = if let Json::String(text) = cell { text.as_bytes() } else { b"" };
                let reason = written.not_a(column.data_type, text).into_owned();
                rows.reject(line, Some(column.name.clone()), Some(shown(cell).into_owned()), reason, row.to_string());
            }
        }
        rows.end_row(line, number, good);
    }
}

/// The value of a column in an object, by the column's name there; `None` where the object has none.
pub fn value_at<'j>(object: &'j Json, file_name: &str) -> Option<&'j Json> {
    let path: Vec<String> = file_name.split('.').map(str::to_owned).collect();
    find(object, file_name, &path)
}

/// A key may hold points itself: the whole name goes before the path.
fn find<'j>(row: &'j Json, name: &str, path: &[String]) -> Option<&'j Json> {
    if let Some(whole) = row.get(name) {
        return Some(whole);
    }
    path.iter().try_fold(row, |json, segment| match json {
        Json::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => json.get(segment.as_str()),
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
