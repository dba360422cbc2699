//! Reads a source's files: streaming, every row with its place, a bad row set apart and never in the way of the others.

mod archive;
mod arrow_stream;
mod background;
mod batch;
mod cells;
mod command;
mod compression;
mod conform;
mod csv;
mod files;
mod json;
mod json_values;
mod numbers;
mod open;
mod parquet;
mod postgres;
mod quoting;
mod records;
mod remote;
mod text;

use arrow::array::{Int64Array, RecordBatch};
use karat_core::{DataType, Digest, Schema, TimeFormat, Zone};
use karat_project::spec::{Csv, Format};
use serde::{Deserialize, Serialize};

use crate::{Progress, Result};

pub(crate) use conform::conform;
pub(crate) use files::{FoundFile, find};
pub(crate) use json::ObjectRows;
pub use json::value_at;
pub(crate) use numbers::Numbers;
pub(crate) use parquet::{columns_of, failures, printed, raw_row};
pub(crate) use postgres::dialect as postgres_dialect;
pub(crate) use records::{Record, RecordError, Records};

/// Rows a batch.
pub(crate) const BATCH_ROWS: usize = 8192;

/// A column wanted from a file: its name there, its name and type here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WantedColumn {
    pub file_name: String,
    pub name: String,
    pub data_type: DataType,
    /// How its dates or timestamps are written, where it says so itself.
    pub format: Option<TimeFormat>,
}

#[derive(Debug, Clone)]
pub(crate) struct FileRead {
    pub files: Vec<FoundFile>,
    pub columns: Vec<WantedColumn>,
    pub csv: Csv,
    pub zone: Zone,
}

impl FileRead {
    pub(crate) fn schema(&self) -> Schema {
        schema_of(&self.columns)
    }
}

fn schema_of(columns: &[WantedColumn]) -> Schema {
    Schema::new(columns.iter().map(|column| karat_core::Column::new(&column.name, column.data_type)).collect())
}

/// Rows as they stand in their file, in the types declared.
#[derive(Debug)]
pub(crate) struct ReadBatch {
    pub rows: RecordBatch,
    /// Which of the read's files.
    pub file: u32,
    /// Per row: the physical line its record begins on (CSV), else its number in the file; 1 is the first.
    pub lines: Int64Array,
    /// Per row: its number in the delivery, over all files; 1 is the first.
    pub numbers: Int64Array,
    /// The rows of the files before this one.
    pub rows_before: i64,
    /// The rows between these that could not be read.
    pub bad: Vec<BadRow>,
}

#[derive(Debug, Clone)]
pub(crate) struct BadRow {
    pub file: u32,
    pub line: i64,
    pub column: Option<String>,
    pub value: Option<String>,
    pub reason: String,
    /// The whole row as JSON.
    pub row: String,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileNote {
    /// Relative to the project folder, where it is inside.
    pub path: String,
    /// Of the file's bytes as they stand.
    pub digest: Digest,
    pub rows: u64,
    pub bytes: u64,
}

/// Where batches go; an error stops the reading.
pub(crate) type Sink<'a> = dyn FnMut(ReadBatch) -> Result<()> + 'a;

/// Reads all files in order. Blocks.
pub(crate) fn read_files(read: &FileRead, progress: &dyn Progress, sink: &mut Sink) -> Result<Vec<FileNote>> {
    progress.expect_bytes(read.files.iter().map(|file| file.bytes).sum());
    let mut notes = Vec::with_capacity(read.files.len());
    let mut rows_before = 0;
    let mut paths = json::PathsSeen::new(&read.columns);
    for (index, file) in read.files.iter().enumerate() {
        let place = Place { index: index as u32, file, rows_before };
        let note = match file.format {
            Format::Csv => csv::read(read, &place, progress, sink)?,
            Format::Json => json::read(read, &place, progress, &mut paths, sink)?,
            Format::Parquet => parquet::read(read, &place, progress, sink)?,
        };
        rows_before += note.rows;
        notes.push(note);
    }
    paths.check()?;
    Ok(notes)
}

/// Which file is being read, and how many rows the files before it had.
struct Place<'a> {
    index: u32,
    file: &'a FoundFile,
    rows_before: u64,
}
