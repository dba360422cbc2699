//! A training set as one file.

use std::path::Path;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use karat_core::DataType;
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

/// How a training set is written, by the file's ending.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Parquet,
    Csv,
}

/// Whole or not at all.
pub(super) fn write(frame: &RecordBatch, output: &Path, form: Form) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let part = output.with_added_extension("part");
    match form {
        Form::Parquet => parquet(frame, &part)?,
        Form::Csv => {
            // A timestamp's offset in a CSV is the Z of RFC 3339.
            let mut writer = arrow::csv::WriterBuilder::new()
                .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.fZ".to_owned())
                .build(std::io::BufWriter::new(create(&part)?));
            writer.write(frame)?;
        }
    }
    std::fs::rename(&part, output).with_context(|| format!("{} cannot be written", output.display()))
}

pub(super) fn parquet(frame: &RecordBatch, path: &Path) -> Result<()> {
    let file = create(path)?;
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, frame.schema(), Some(properties(frame)))?;
    writer.write(frame)?;
    writer.close()?;
    Ok(())
}

fn create(path: &Path) -> Result<std::fs::File> {
    std::fs::File::create(path).with_context(|| format!("{} cannot be written", path.display()))
}

/// Keys and times ascend, and so are small as differences; hardly a feature is worth a dictionary, but for text.
fn properties(frame: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder().set_created_by(format!("karat {}", karat_core::VERSION));
    for field in frame.schema().fields() {
        let column = ColumnPath::from(vec![field.name().clone()]);
        properties = match DataType::of_arrow(field.data_type()) {
            Some(DataType::Int | DataType::Timestamp) => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            Some(DataType::Float) => properties.set_column_dictionary_enabled(column, false),
            _ => properties,
        };
    }
    properties.build()
}
