//! Batches set aside: in memory up to a budget, beyond it in one temporary Arrow IPC file. Read back any number of times.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::{Gathered, QueryError, Result};

/// Rows that small batches are gathered to: each batch costs what a hundred rows do, however few it has.
const GATHERED_ROWS: usize = 8192;

pub(crate) struct SpoolWriter {
    schema: SchemaRef,
    temp_dir: PathBuf,
    budget: usize,
    bytes: usize,
    rows: u64,
    gathered: Gathered,
    memory: Vec<RecordBatch>,
    /// Without a name: nothing is left of it, however the process ends.
    file: Option<(Arc<File>, StreamWriter<BufWriter<File>>)>,
}

/// What a [`SpoolWriter`] took in, in its order.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    schema: SchemaRef,
    rows: u64,
    bytes: u64,
    memory: Vec<RecordBatch>,
    file: Option<Arc<File>>,
}

/// A file from its beginning, whoever else reads it.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl SpoolWriter {
    pub(crate) fn new(schema: SchemaRef, temp_dir: &Path, budget: usize) -> SpoolWriter {
        let temp_dir = temp_dir.to_owned();
        SpoolWriter {
            schema,
            temp_dir,
            budget,
            bytes: 0,
            rows: 0,
            gathered: Gathered::up_to(GATHERED_ROWS, budget / 4),
            memory: Vec::new(),
            file: None,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match self.gathered.push(batch)? {
            Some(batch) => self.set_aside(batch),
            None => Ok(()),
        }
    }

    fn set_aside(&mut self, batch: RecordBatch) -> Result<()> {
        self.bytes += batch.get_array_memory_size();
        if let Some((_, writer)) = &mut self.file {
            writer.write(&batch)?;
            return Ok(());
        }
        self.memory.push(batch);
        if self.bytes > self.budget { self.move_to_disk() } else { Ok(()) }
    }

    fn move_to_disk(&mut self) -> Result<()> {
        let file = tempfile::tempfile_in(&self.temp_dir).map_err(QueryError::Temporary)?;
        let handle = file.try_clone().map_err(QueryError::Temporary)?;
        let mut writer = StreamWriter::try_new(BufWriter::with_capacity(1 << 18, handle), &self.schema)?;
        for batch in self.memory.drain(..) {
            writer.write(&batch)?;
        }
        self.file = Some((Arc::new(file), writer));
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Spool> {
        if let Some(batch) = self.gathered.take()? {
            self.set_aside(batch)?;
        }
        let file = match self.file {
            None => None,
            Some((file, mut writer)) => {
                writer.finish()?;
                Some(file)
            }
        };
        Ok(Spool { schema: self.schema, rows: self.rows, bytes: self.bytes as u64, memory: self.memory, file })
    }
}

impl Spool {
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// About how much memory all rows take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn batches(&self) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
        match &self.file {
            None => Ok(Box::new(self.memory.clone().into_iter().map(Ok))),
            Some(file) => {
                let start = FromStart { file: file.clone(), at: 0 };
                let reader = StreamReader::try_new(BufReader::with_capacity(1 << 18, start), None)?;
                Ok(Box::new(reader.map(|batch| batch.map_err(QueryError::from))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    #[test]
    fn small_batches_come_back_as_few_in_their_order_from_memory_and_from_disk() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let folder = tempfile::tempdir().unwrap();
        for (budget, is_on_disk) in [(1 << 30, false), (100_000, true)] {
            let mut writer = SpoolWriter::new(schema.clone(), folder.path(), budget);
            for begin in (0..30_000).step_by(10) {
                let numbers = Arc::new(Int64Array::from_iter_values(begin..begin + 10));
                writer.push(RecordBatch::try_new(schema.clone(), vec![numbers]).unwrap()).unwrap();
            }
            let spool = writer.finish().unwrap();
            assert_eq!((spool.rows(), spool.file.is_some()), (30_000, is_on_disk));
            let batches: Vec<_> = spool.batches().unwrap().map(Result::unwrap).collect();
            assert!(batches.len() < 300, "{}", batches.len());
            let numbers =
                batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
            assert!(numbers.eq(0..30_000));
        }
    }
}
