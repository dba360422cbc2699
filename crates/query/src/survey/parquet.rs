//! One reading of a Parquet file: its own types, the facts of its cells.

use std::fs::File;

use arrow::array::Array;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use karat_core::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::column::Column;
use super::dialect::Dialect;
use super::numbers::NumberForm;
use super::open::Opened;
use super::{Sample, Survey};
use crate::{QueryError, Result};

pub(super) fn survey(file: &Opened) -> Result<Survey> {
    let schema = columns(file)?;
    let mut columns: Vec<Column> = schema
        .iter()
        .map(|(_, name, data_type)| Column::typed(name.clone(), *data_type, NumberForm::default()))
        .collect();
    let mut sample = Sample::new(columns.len());
    let mut rows = 0;
    each_row(file, &mut |row| {
        rows += 1;
        for (column, cell) in columns.iter_mut().zip(row) {
            column.add(cell.unwrap_or_default());
        }
        sample.add(row);
        true
    })?;
    if rows == 0 {
        return Err(file.problem("has no rows"));
    }
    let dialect = Dialect::default();
    let columns = columns.into_iter().map(|column| column.finish(&dialect.null_values, None)).collect();
    let (format, compression, other) = (file.format, file.compression, of_other_types(file)?);
    Ok(Survey { format, compression, dialect, rows, ragged: 0, garbled: 0, columns, other, sample })
}

/// Place, name and type of every column that has one of Karat's types.
fn columns(file: &Opened) -> Result<Vec<(usize, String, DataType)>> {
    let builder = open(file)?;
    let fields = builder.schema().fields().iter().enumerate();
    let typed =
        fields.filter_map(|(place, field)| Some((place, field.name().clone(), DataType::of_arrow(field.data_type())?)));
    Ok(typed.collect())
}

/// Name and type of the columns that have none of Karat's types.
fn of_other_types(file: &Opened) -> Result<Vec<(String, String)>> {
    let builder = open(file)?;
    let fields = builder.schema().fields().iter().filter(|field| DataType::of_arrow(field.data_type()).is_none());
    let kind = |field: &Field| match field.data_type() {
        ArrowType::List(_) | ArrowType::LargeList(_) | ArrowType::FixedSizeList(..) => "lists".to_owned(),
        ArrowType::Struct(_) => "structs".to_owned(),
        ArrowType::Map(..) => "maps".to_owned(),
        other => other.to_string(),
    };
    Ok(fields.map(|field| (field.name().clone(), kind(field))).collect())
}

fn open(file: &Opened) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let handle = File::open(&file.path).map_err(|error| file.io(error))?;
    ParquetRecordBatchReaderBuilder::try_new(handle)
        .map_err(|error| file.problem(format!("cannot be read as Parquet: {error}")))
}

/// Rows as text; `false` stops.
pub(super) fn each_row(file: &Opened, take: &mut dyn FnMut(&[Option<&str>]) -> bool) -> Result<()> {
    let places = columns(file)?;
    let builder = open(file)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().map(|(place, _, _)| *place));
    let unreadable = |error: &dyn std::fmt::Display| file.problem(format!("cannot be read as Parquet: {error}"));
    let reader = builder.with_projection(mask).build().map_err(|error| unreadable(&error))?;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(&error))?;
        let options = FormatOptions::default();
        let schema: &Schema = batch.schema_ref();
        let formatters =
            batch.columns().iter().zip(schema.fields()).map(|(column, field)| formatter(column, field, &options));
        let formatters = formatters.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<Option<String>> = formatters
                .iter()
                .zip(batch.columns())
                .map(|(formatter, column)| (!column.is_null(row)).then(|| formatter.value(row).to_string()))
                .collect();
            let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
            if !take(&cells) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn formatter<'a>(column: &'a dyn Array, field: &Field, options: &FormatOptions<'a>) -> Result<ArrayFormatter<'a>> {
    ArrayFormatter::try_new(column, options)
        .map_err(|error| QueryError::Internal(format!("column {}: {error}", field.name())))
}
