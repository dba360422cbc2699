//! A training set as one file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, RecordBatch, make_array};
use arrow::compute::kernels::coalesce::BatchCoalescer;
use arrow::datatypes::{Schema, SchemaRef};
use karat_core::DataType;
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use tempfile::TempPath;

/// Rows written at once: a file's pages depend on it, and on nothing else about how rows come.
const ROWS: usize = 8192;
/// What a row group may take: it is held until it is whole, and by whoever reads it.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// How a training set is written, by the file's ending.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Parquet,
    Csv,
}

/// A file whose rows come in batches.
pub(super) struct FrameFile {
    waiting: BatchCoalescer,
    writer: Writer,
    rows: u64,
}

enum Writer {
    Parquet(Box<ArrowWriter<File>>),
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>),
}

impl FrameFile {
    pub fn create(path: &Path, form: Form, schema: &SchemaRef) -> Result<FrameFile> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let writer = match form {
            Form::Parquet => {
                let properties = Some(properties(schema));
                Writer::Parquet(Box::new(ArrowWriter::try_new(file, schema.clone(), properties)?))
            }
            Form::Csv => {
                // A timestamp's offset in a CSV is the Z of RFC 3339.
                let builder =
                    arrow::csv::WriterBuilder::new().with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.fZ".to_owned());
                Writer::Csv(Box::new(builder.build(BufWriter::new(file))))
            }
        };
        Ok(FrameFile { waiting: BatchCoalescer::new(schema.clone(), ROWS), writer, rows: 0 })
    }

    pub fn write(&mut self, frame: &RecordBatch) -> Result<()> {
        self.rows += frame.num_rows() as u64;
        let mut start = 0;
        while start < frame.num_rows() {
            let rows = (ROWS - self.waiting.get_buffered_rows()).min(frame.num_rows() - start);
            let next = frame.slice(start, rows);
            if rows == ROWS {
                self.writer.write(&next)?;
            } else {
                self.waiting.push_batch(next)?;
                self.write_waiting()?;
            }
            start += rows;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<()> {
        while let Some(rows) = self.waiting.next_completed_batch() {
            self.writer.write(&rows)?;
        }
        Ok(())
    }

    /// Gives the number of rows.
    pub fn finish(mut self) -> Result<u64> {
        if self.rows == 0 {
            // A CSV without rows has its header all the same.
            self.writer.write(&RecordBatch::new_empty(self.waiting.schema()))?;
        }
        self.waiting.finish_buffered_batch()?;
        self.write_waiting()?;
        if let Writer::Parquet(writer) = self.writer {
            writer.close()?;
        }
        Ok(self.rows)
    }
}

/// Where nothing is null, whether a column could say so depends on how it came about, and would be seen in how levels are encoded.
fn without_empty_nulls(column: &ArrayRef) -> Result<ArrayRef> {
    match column.nulls() {
        Some(nulls) if nulls.null_count() == 0 => Ok(make_array(column.to_data().into_builder().nulls(None).build()?)),
        _ => Ok(column.clone()),
    }
}

impl Writer {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns = rows.columns().iter().map(without_empty_nulls).collect::<Result<_>>()?;
        let rows = RecordBatch::try_new(rows.schema(), columns)?;
        match self {
            Writer::Parquet(writer) => writer.write(&rows)?,
            Writer::Csv(writer) => writer.write(&rows)?,
        }
        Ok(())
    }
}

/// A file that has its name once it is whole; until then it is gone when dropped.
pub(super) struct NamedAtLast {
    file: FrameFile,
    part: TempPath,
    output: PathBuf,
}

impl NamedAtLast {
    pub fn create(output: &Path, form: Form, schema: &SchemaRef) -> Result<NamedAtLast> {
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let part = output.with_added_extension("part");
        let file = FrameFile::create(&part, form, schema)?;
        Ok(NamedAtLast { file, part: TempPath::try_from_path(part)?, output: output.to_owned() })
    }

    pub fn write(&mut self, frame: &RecordBatch) -> Result<()> {
        self.file.write(frame)
    }

    /// Gives the number of rows.
    pub fn finish(self) -> Result<u64> {
        let NamedAtLast { file, part, output } = self;
        let rows = file.finish()?;
        part.persist(&output).with_context(|| format!("{} cannot be written", output.display()))?;
        Ok(rows)
    }
}

/// Keys and times ascend, and so are small as differences; hardly a feature is worth a dictionary, but for text.
fn properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(format!("karat {}", karat_core::VERSION));
    for field in schema.fields() {
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
