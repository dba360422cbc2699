use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use karat_core::{Column, DataType, Schema, nearest};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;

use super::cells::not_a;
use super::conform::{can_become, conform};
use super::files::Location;
use super::open::{OpenFile, unreadable as io_error};
use super::remote::Object;
use super::{BATCH_ROWS, BadRow, FileNote, FileRead, FoundFile, Place, ReadBatch, Sink, WantedColumn};
use crate::{NoProgress, Progress, QueryError, Result};

/// The columns of a Parquet file in Karat's types; of the file only its end is read.
pub(crate) fn columns_of(file: &FoundFile) -> Result<Schema> {
    let schema = match &file.location {
        Location::Remote(object) => Arc::new(footer(file, object)?),
        _ => open(file, &local(file)?)?.schema().clone(),
    };
    let mut columns = Vec::new();
    for field in schema.fields() {
        let Some(data_type) = DataType::of_arrow(field.data_type()) else {
            let problem = format!(
                "column `{}` is {}, which has no place here; list the `columns` to read in the source",
                field.name(),
                field.data_type()
            );
            return Err(QueryError::File { path: file.label.clone(), problem });
        };
        if columns.iter().any(|column: &Column| &column.name == field.name()) {
            let problem = format!("has two columns `{}`", field.name());
            return Err(QueryError::File { path: file.label.clone(), problem });
        }
        columns.push(Column::new(field.name(), data_type));
    }
    Ok(Schema::new(columns))
}

/// How much of an object's end is asked for first: mostly enough.
const FOOTER_BYTES: u64 = 64 << 10;

/// What the end of an object says of its columns.
fn footer(file: &FoundFile, object: &Object) -> Result<arrow::datatypes::Schema> {
    let wrong = |error: ParquetError| unreadable(file, &error.to_string());
    let mut wanted = FOOTER_BYTES.min(object.bytes());
    loop {
        let tail = object.tail(wanted).map_err(|error| io_error(&file.label, error))?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&tail, object.bytes()) {
            Ok(()) => {
                let metadata = reader.finish().map_err(wrong)?;
                let metadata = metadata.file_metadata();
                return parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata()).map_err(wrong);
            }
            Err(ParquetError::NeedMoreData(needed)) if needed as u64 > wanted && wanted < object.bytes() => {
                wanted = (needed as u64).min(object.bytes());
            }
            Err(error) => return Err(wrong(error)),
        }
    }
}

/// The file, or its copy on this machine, gone with the value.
fn local(file: &FoundFile) -> Result<Local> {
    match &file.location {
        Location::Local(path) => Ok(Local::There(path.clone())),
        Location::Remote(object) => Ok(Local::Copy(object.download().map_err(|error| io_error(&file.label, error))?)),
        Location::Member { .. } | Location::Postgres(_) | Location::Command(_) => {
            unreachable!("Parquet is read from files of its own only")
        }
    }
}

enum Local {
    There(PathBuf),
    Copy(tempfile::NamedTempFile),
}

fn open(file: &FoundFile, local: &Local) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let path = match local {
        Local::There(path) => path,
        Local::Copy(copy) => copy.path(),
    };
    let handle = File::open(path).map_err(|error| QueryError::Io { path: file.label.clone(), error })?;
    ParquetRecordBatchReaderBuilder::try_new(handle).map_err(|error| unreadable(file, &error.to_string()))
}

fn unreadable(file: &FoundFile, problem: &str) -> QueryError {
    QueryError::File { path: file.label.clone(), problem: format!("cannot be read as Parquet: {problem}") }
}

pub(super) fn read(read: &FileRead, place: &Place, progress: &dyn Progress, sink: &mut Sink) -> Result<FileNote> {
    let file = place.file;
    let local = local(file)?;
    let builder = open(file, &local)?;
    let schema = builder.schema().clone();
    let mut places = Vec::new();
    for column in &read.columns {
        places.push(locate(file, &schema, column)?);
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| unreadable(file, &error.to_string()))?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(file, &error.to_string()))?;
        let read_batch = typed(read, place, &batch, rows)?;
        rows += batch.num_rows() as u64;
        progress.rows(batch.num_rows() as u64);
        sink(read_batch)?;
    }
    // Parquet is read out of order, so its bytes are digested in a pass of their own.
    let read_again = match &local {
        Local::There(_) => file.clone(),
        Local::Copy(copy) => FoundFile { location: Location::Local(copy.path().to_owned()), ..file.clone() },
    };
    let (digest, bytes) = OpenFile::open(&read_again, &NoProgress).and_then(OpenFile::finish)?;
    progress.bytes(bytes);
    Ok(FileNote { path: file.label.clone(), digest, rows, bytes })
}

pub(super) fn locate(file: &FoundFile, schema: &arrow::datatypes::Schema, column: &WantedColumn) -> Result<usize> {
    let problem = match schema.column_with_name(&column.file_name) {
        Some((index, field)) if can_become(field.data_type(), column.data_type) => return Ok(index),
        Some((_, field)) => {
            format!("column `{}` is {}, declared {}", column.file_name, field.data_type(), column.data_type)
        }
        None => match nearest(&column.file_name, schema.fields().iter().map(|field| field.name().as_str())) {
            Some(name) => format!("the file has no column `{}`; did you mean `{name}`?", column.file_name),
            None => format!("the file has no column `{}`", column.file_name),
        },
    };
    Err(QueryError::File { path: file.label.clone(), problem })
}

/// The batch in the wanted types; rows with a cell that has no value there are set apart.
pub(super) fn typed(read: &FileRead, place: &Place, batch: &RecordBatch, rows_before: u64) -> Result<ReadBatch> {
    let first = rows_before as i64 + 1;
    let lines = Int64Array::from_iter_values(first..first + batch.num_rows() as i64);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(read.columns.len());
    let mut good = vec![true; batch.num_rows()];
    let mut bad = Vec::new();
    for column in &read.columns {
        let array = batch.column_by_name(&column.file_name).expect("the projection holds every wanted column");
        let conformed = conform(array, column.data_type, &read.zone)?;
        columns.push(conformed.array);
        for row in failures(conformed.failed.as_ref()) {
            if std::mem::replace(&mut good[row], false) {
                bad.push(BadRow {
                    file: place.index,
                    line: lines.value(row),
                    column: Some(column.name.clone()),
                    value: Some(printed(array, row)),
                    reason: not_a(column.data_type).to_owned(),
                    row: raw_row(batch, row),
                });
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let rows = RecordBatch::try_new_with_options(read.schema().arrow(), columns, &options)?;
    let rows_before = place.rows_before as i64;
    let numbers = Int64Array::from_iter_values(lines.values().iter().map(|line| line + rows_before));
    let all_good = bad.is_empty();
    let typed = ReadBatch { rows, file: place.index, lines, numbers, rows_before, bad };
    if all_good { Ok(typed) } else { typed.filter(&BooleanArray::from(good)) }
}

pub(crate) fn failures(failed: Option<&BooleanArray>) -> impl Iterator<Item = usize> {
    failed.into_iter().flat_map(|failed| failed.values().set_indices())
}

/// Any cell, printed; for reports.
pub(crate) fn printed(array: &Arc<dyn Array>, row: usize) -> String {
    match ArrayFormatter::try_new(array, &FormatOptions::default()) {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(_) => format!("a {}", array.data_type()),
    }
}

/// A row of any Arrow types as a JSON object of printed cells.
pub(crate) fn raw_row(batch: &RecordBatch, row: usize) -> String {
    let cells: Vec<String> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let value = if array.is_null(row) { serde_json::Value::Null } else { printed(array, row).into() };
            format!("{}:{value}", serde_json::Value::from(field.name().as_str()))
        })
        .collect();
    format!("{{{}}}", cells.join(","))
}
