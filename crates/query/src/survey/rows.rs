//! One reading of a CSV file.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::column::Column;
use super::dialect::Dialect;
use super::encoding::{encoding_of, is_utf8_but_for_a_few};
use super::open::Opened;
use super::{Known, Sample, Survey};
use crate::Result;
use crate::read::{Record, RecordError, Records};

pub(super) fn survey(file: &Opened, known: &Known) -> Result<Survey> {
    let (head, is_whole) = file.head()?;
    let encoding = match &known.encoding {
        Some(label) => named(file, label)?,
        None => match encoding_of(&head) {
            told if told == UTF_8 => match file.first_beyond_utf8()? {
                Some(bytes) if !is_utf8_but_for_a_few(&[&head, &bytes]) => encoding_of(&bytes),
                Some(_) => UTF_8,
                None => UTF_8,
            },
            told => told,
        },
    };
    let (text, _, _) = encoding.decode(&head);
    let mut dialect = Dialect::of(&encoding.name().to_ascii_lowercase(), &text, is_whole);
    let (names, mut ragged, mut garbled, mut rows) = (names(file, &dialect)?, 0, 0, 0);
    let mut columns: Vec<Column> = names.into_iter().map(|name| Column::new(name, dialect.numbers)).collect();
    let mut sample = Sample::new(columns.len());
    each_record(file, &dialect, &mut |cells| {
        rows += 1;
        if cells.len() != columns.len() {
            ragged += 1;
            return true;
        }
        if cells.iter().flatten().any(|cell| cell.contains([char::REPLACEMENT_CHARACTER, '\0'])) {
            garbled += 1;
            return true;
        }
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.add(cell.unwrap_or_default());
        }
        sample.add(cells);
        true
    })?;
    if rows == 0 {
        return Err(file.problem("has no rows"));
    }
    if ragged == rows {
        let width = columns.len();
        return Err(file.problem(format!(
            "has {width} columns in its first line and in no other; a quote opens a cell only where it stands first in it, and a \
             blank before it is part of the cell"
        )));
    }
    dialect.null_values = super::column::null_values(&columns);
    dialect.trim = super::column::has_padded_texts(&columns);
    let columns = columns.into_iter().map(|column| column.finish(&dialect.null_values, known.dates)).collect();
    let (format, compression) = (file.format, file.compression);
    Ok(Survey { format, compression, dialect, rows, ragged, garbled, columns, other: Vec::new(), sample })
}

fn named(file: &Opened, label: &str) -> Result<&'static Encoding> {
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| file.problem(format!("`{label}` is no encoding: write one such as windows-1252 or macintosh")))
}

/// As the header has them, blanks around them cut off; without one `column_1`, `column_2`...
fn names(file: &Opened, dialect: &Dialect) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut first = |cells: &[Option<&str>]| {
        let told = cells.iter().enumerate().map(|(place, cell)| match dialect.header {
            true => cell.unwrap_or_default().trim().to_owned(),
            false => format!("column_{}", place + 1),
        });
        names = told.collect();
        false
    };
    records(file, dialect, &mut first)?;
    Ok(names)
}

/// Rows as wide as the header; `false` stops.
pub(super) fn each_row(file: &Opened, dialect: &Dialect, take: &mut dyn FnMut(&[Option<&str>]) -> bool) -> Result<()> {
    let width = names(file, dialect)?.len();
    each_record(file, dialect, &mut |cells| cells.len() != width || take(cells))
}

fn each_record(file: &Opened, dialect: &Dialect, take: &mut dyn FnMut(&[Option<&str>]) -> bool) -> Result<()> {
    let mut skip = dialect.header;
    records(file, dialect, &mut |cells| std::mem::take(&mut skip) || take(cells))
}

fn records(file: &Opened, dialect: &Dialect, take: &mut dyn FnMut(&[Option<&str>]) -> bool) -> Result<()> {
    let encoding = Encoding::for_label(dialect.encoding.as_bytes()).unwrap_or(UTF_8);
    let mut reader = Records::new(file.text(encoding)?, &dialect.csv());
    let failed = |error: RecordError| match error {
        RecordError::Io(error) => file.io(error),
        RecordError::TooLong { line } | RecordError::OpenQuote { line } => {
            file.problem(format!("line {line} begins a record without an end: is a quote left open?"))
        }
    };
    reader.begin().map_err(|error| file.io(error))?;
    let mut record = Record::new();
    while reader.read(&mut record).map_err(failed)? {
        let cells: Vec<Cow<'_, str>> = record.cells().map(String::from_utf8_lossy).collect();
        let row: Vec<Option<&str>> = cells.iter().map(|cell| Some(cell.as_ref())).collect();
        if !take(&row) {
            break;
        }
    }
    Ok(())
}
