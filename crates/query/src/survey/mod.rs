//! A stranger's file looked at once: how it is written, what its columns hold, and a sample of its rows. What a new
//! project is planned from; nothing of it runs when a source is read.

mod column;
mod dates;
mod dialect;
mod encoding;
mod numbers;
mod open;
mod parquet;
mod rows;
mod sample;

use std::path::Path;

use karat_core::DataType;
use karat_project::spec::{Compression, Format};

use crate::Result;

pub use column::{ColumnFacts, Looks};
pub use dates::{Clock, DateForm, DateOrder, TimeForm, Unit, Years};
pub use dialect::Dialect;
pub use numbers::NumberForm;
pub use sample::Sample;

/// What a file holds, as far as one reading tells.
#[derive(Debug)]
pub struct Survey {
    pub format: Format,
    pub compression: Compression,
    /// How a CSV file is written; of a Parquet file nothing needs saying.
    pub dialect: Dialect,
    pub rows: u64,
    /// Rows with more or fewer cells than the file has columns.
    pub ragged: u64,
    /// Rows with bytes that mean nothing in the file's encoding, or with a NUL.
    pub garbled: u64,
    pub columns: Vec<ColumnFacts>,
    /// Columns of types that no source reads, such as lists, each with its type.
    pub other: Vec<(String, String)>,
    pub sample: Sample,
}

/// What the caller knows better than the file tells.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// An encoding's label, such as `windows-1252`.
    pub encoding: Option<String>,
    /// Whether `03/04/2021` is in April or in March.
    pub dates: Option<DateOrder>,
}

impl Survey {
    /// Reads the file whole, in bounded memory.
    pub fn of(path: &Path, known: &Known) -> Result<Survey> {
        let file = open::Opened::new(path)?;
        match file.format {
            Format::Parquet => parquet::survey(&file),
            _ => rows::survey(&file, known),
        }
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// For each row of the file that has both: a hash of one column's cell, and what `read` makes of another's. Reads
    /// the file again, and stops at `most` rows.
    pub fn pairs(
        &self,
        path: &Path,
        [key, other]: [usize; 2],
        read: &dyn Fn(&str) -> Option<i64>,
        most: usize,
    ) -> Result<Vec<(u64, i64)>> {
        let file = open::Opened::new(path)?;
        let mut pairs = Vec::new();
        let mut take = |row: &[Option<&str>]| {
            let micros = row[other].and_then(read);
            if let (Some(key), Some(micros)) = (row[key].filter(|cell| !self.dialect.is_null(cell)), micros) {
                pairs.push((column::hash(key.trim()), micros));
            }
            pairs.len() < most
        };
        match file.format {
            Format::Parquet => parquet::each_row(&file, &mut take)?,
            _ => rows::each_row(&file, &self.dialect, &mut take)?,
        }
        Ok(pairs)
    }

    /// A sampled cell; `None` where it is null.
    pub fn cell(&self, row: usize, column: usize) -> Option<&str> {
        let cell = self.sample.cell(row, column).filter(|cell| !self.dialect.is_null(cell))?;
        Some(if self.dialect.trim { cell.trim() } else { cell })
    }

    /// A sampled cell as a number: of bools 0 and 1, of times microseconds; `None` where it is null, or text.
    pub fn number(&self, row: usize, column: usize) -> Option<f64> {
        let cell = self.cell(row, column)?;
        let facts = &self.columns[column];
        match facts.data_type {
            DataType::Int | DataType::Float if facts.dates.is_none() => self.dialect.numbers.parse(cell),
            DataType::Bool => column::truth(cell).map(|truth| f64::from(u8::from(truth))),
            _ => facts.micros(cell).map(|micros| micros as f64),
        }
    }
}

/// Cells that mean nothing, wherever they stand.
pub(crate) const NULL_MARKERS: [&str; 13] =
    ["", "NA", "N/A", "n/a", "#N/A", "NULL", "Null", "null", "NaN", "nan", "\\N", "?", "<NA>"];

/// Cells that mean nothing among numbers and dates, and may be words elsewhere.
pub(crate) const WEAK_MARKERS: [&str; 7] = ["-", "--", ".", "None", "none", "#NUM!", "#DIV/0!"];
