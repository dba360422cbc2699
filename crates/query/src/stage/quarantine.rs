use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use karat_core::{Digest, DigestWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Labels;
use crate::read::BadRow;
use crate::spool::{Spool, SpoolWriter};
use crate::{QueryError, Result};

/// Rows kept apart: `file, line, column, value, check, reason` and the whole `row` as JSON.
pub struct Quarantine(Spool);

impl Quarantine {
    pub fn rows(&self) -> u64 {
        self.0.rows()
    }

    pub fn batches(&self) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        self.0.batches()
    }

    /// Writes them to a Parquet file in `folder`, whole or not at all. It is named by its content: the same rows are one
    /// file, whoever keeps them apart, and no file is ever written over by another.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let io_error = |error: io::Error| QueryError::Io { path: folder.display().to_string(), error };
        std::fs::create_dir_all(folder).map_err(io_error)?;
        let file = tempfile::NamedTempFile::new_in(folder).map_err(io_error)?;
        write_parquet(self, file.as_file()).map_err(|error| match error {
            WriteError::Parquet(error) => io_error(io::Error::other(error)),
            WriteError::Query(error) => error,
        })?;
        file.as_file().sync_all().map_err(io_error)?;
        let path = folder.join(format!("{}.parquet", digest_of(file.path()).map_err(io_error)?.short()));
        file.persist(&path).map_err(|error| io_error(error.error))?;
        Ok(path)
    }
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut digest = DigestWriter::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finish()),
            read => digest.update(&buffer[..read]),
        }
    }
}

enum WriteError {
    Parquet(parquet::errors::ParquetError),
    Query(QueryError),
}

fn write_parquet(quarantine: &Quarantine, file: &File) -> std::result::Result<(), WriteError> {
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let handle = file.try_clone().map_err(|error| WriteError::Query(QueryError::Temporary(error)))?;
    let mut writer = ArrowWriter::try_new(handle, schema(), Some(properties)).map_err(WriteError::Parquet)?;
    for batch in quarantine.batches().map_err(WriteError::Query)? {
        writer.write(&batch.map_err(WriteError::Query)?).map_err(WriteError::Parquet)?;
    }
    writer.close().map_err(WriteError::Parquet)?;
    Ok(())
}

fn schema() -> SchemaRef {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("file", false),
        Field::new("line", DataType::Int64, false),
        text("column", true),
        text("value", true),
        text("check", false),
        text("reason", false),
        text("row", false),
    ]))
}

pub(super) struct QuarantineWriter {
    spool: SpoolWriter,
    labels: Labels,
    file: StringBuilder,
    line: Int64Builder,
    column: StringBuilder,
    value: StringBuilder,
    check: StringBuilder,
    reason: StringBuilder,
    row: StringBuilder,
    waiting: usize,
}

const FLUSH_ROWS: usize = 4096;

impl QuarantineWriter {
    pub(super) fn new(temp_dir: &Path, budget: usize, labels: Labels) -> QuarantineWriter {
        QuarantineWriter {
            spool: SpoolWriter::new(schema(), temp_dir, budget),
            labels,
            file: StringBuilder::new(),
            line: Int64Builder::new(),
            column: StringBuilder::new(),
            value: StringBuilder::new(),
            check: StringBuilder::new(),
            reason: StringBuilder::new(),
            row: StringBuilder::new(),
            waiting: 0,
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.spool.rows() + self.waiting as u64
    }

    pub(super) fn push(&mut self, check: &str, bad: &BadRow) -> Result<()> {
        self.file.append_value(self.labels.get(bad.file));
        self.line.append_value(bad.line);
        self.column.append_option(bad.column.as_ref());
        self.value.append_option(bad.value.as_ref());
        self.check.append_value(check);
        self.reason.append_value(&bad.reason);
        self.row.append_value(&bad.row);
        self.waiting += 1;
        if self.waiting >= FLUSH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(self.file.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.column.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.check.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.row.finish()),
        ];
        self.waiting = 0;
        self.spool.push(RecordBatch::try_new(schema(), columns)?)
    }

    pub(super) fn finish(mut self) -> Result<Quarantine> {
        self.flush()?;
        Ok(Quarantine(self.spool.finish()?))
    }
}
