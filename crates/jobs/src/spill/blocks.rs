//! Batches on disk by numbered parts, in one file however many parts there are.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use karat_query::Gathered;

/// Each block costs what a hundred rows do, however few it has: those of fewer rows than this are larger than asked for.
pub(crate) const FEWEST_ROWS: usize = 256;
const MOST_ROWS: usize = 8192;

/// Takes batches of any part in any order.
pub(crate) struct BlocksWriter {
    file: File,
    /// Where the file is, which has no name: nothing is left of it, however the process ends.
    folder: PathBuf,
    end: u64,
    /// About how large a block is.
    bytes: usize,
    parts: Vec<(Gathered, Written)>,
    encoded: Vec<u8>,
}

/// Parts of batches, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Blocks {
    file: Arc<File>,
    parts: Vec<Written>,
}

#[derive(Debug, Default)]
struct Written {
    rows: usize,
    blocks: Vec<Block>,
}

/// An Arrow IPC stream of one batch.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: u64,
    bytes: usize,
}

impl BlocksWriter {
    /// `bytes` is about what one block of every part takes together: as much waits while they are written, and is held by who
    /// reads all parts side by side.
    pub fn new(folder: &Path, parts: usize, bytes: u64) -> Result<BlocksWriter> {
        let file = tempfile::tempfile_in(folder).with_context(|| cannot_write(folder))?;
        let bytes = usize::try_from(bytes)? / parts.max(1);
        let part = || (Gathered::up_to(MOST_ROWS, bytes), Written::default());
        let parts = std::iter::repeat_with(part).take(parts).collect();
        Ok(BlocksWriter { file, folder: folder.to_owned(), end: 0, bytes, parts, encoded: Vec::new() })
    }

    /// Begins one more part; gives its number.
    pub fn add_part(&mut self) -> usize {
        self.parts.push((Gathered::up_to(MOST_ROWS, self.bytes), Written::default()));
        self.parts.len() - 1
    }

    /// Takes rows that are written once there are enough of their part.
    pub fn push(&mut self, part: usize, rows: RecordBatch) -> Result<()> {
        match self.parts[part].0.push(rows)? {
            Some(rows) => self.write(part, &rows),
            None => Ok(()),
        }
    }

    /// Writes rows of a part, in as many blocks as their size asks for.
    pub fn write(&mut self, part: usize, rows: &RecordBatch) -> Result<()> {
        let most = (rows.num_rows() * self.bytes / bytes(rows)?.max(1)).clamp(FEWEST_ROWS, MOST_ROWS);
        for start in (0..rows.num_rows()).step_by(most) {
            let block = rows.slice(start, most.min(rows.num_rows() - start));
            self.write_block(part, &block).with_context(|| cannot_write(&self.folder))?;
        }
        Ok(())
    }

    fn write_block(&mut self, part: usize, rows: &RecordBatch) -> Result<()> {
        self.encoded.clear();
        let mut stream = StreamWriter::try_new(&mut self.encoded, &rows.schema())?;
        stream.write(rows)?;
        stream.finish()?;
        self.file.write_all(&self.encoded)?;
        let block = Block { start: self.end, bytes: self.encoded.len() };
        self.end += block.bytes as u64;
        let (_, written) = &mut self.parts[part];
        written.blocks.push(block);
        written.rows += rows.num_rows();
        Ok(())
    }

    pub fn finish(mut self) -> Result<Blocks> {
        for part in 0..self.parts.len() {
            if let Some(rows) = self.parts[part].0.take()? {
                self.write(part, &rows)?;
            }
        }
        let parts = self.parts.into_iter().map(|(_, written)| written).collect();
        Ok(Blocks { file: Arc::new(self.file), parts })
    }
}

/// What rows take, without what lies beside them in the same memory.
pub(crate) fn bytes(rows: &RecordBatch) -> Result<usize> {
    let sizes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    Ok(sizes.sum::<Result<_, _>>()?)
}

fn cannot_write(folder: &Path) -> String {
    format!("what does not fit in memory cannot be written to {}", folder.display())
}

impl Blocks {
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    pub fn rows(&self, part: usize) -> usize {
        self.parts[part].rows
    }

    /// The rows of a part in the order they came in.
    pub fn read(&self, part: usize) -> Reading {
        Reading { file: self.file.clone(), blocks: self.parts[part].blocks.clone().into_iter() }
    }
}

/// The batches of a part.
pub(crate) struct Reading {
    file: Arc<File>,
    blocks: std::vec::IntoIter<Block>,
}

impl Reading {
    fn block(&self, Block { start, bytes }: Block) -> Result<RecordBatch> {
        let mut encoded = vec![0; bytes];
        self.file.read_exact_at(&mut encoded, start)?;
        let batch = StreamDecoder::new().decode(&mut Buffer::from_vec(encoded))?;
        batch.context("a block holds a batch")
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.blocks.next()?;
        Some(self.block(block).context("what did not fit in memory cannot be read again"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn batch(numbers: impl Iterator<Item = i64> + Clone) -> RecordBatch {
        let words: StringArray = numbers.clone().map(|n| (n % 7 != 0).then(|| format!("{n:08}"))).collect();
        let numbers = Int64Array::from_iter_values(numbers);
        RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(numbers) as arrow::array::ArrayRef, true),
            ("words", Arc::new(words), true),
        ])
        .unwrap()
    }

    #[test]
    fn each_part_comes_back_in_its_order_in_blocks_of_about_the_size_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = BlocksWriter::new(folder.path(), 3, 3 * 32_768).unwrap();
        for begin in (0..30_000).step_by(10) {
            // Nothing is ever of part 1.
            writer.push(if begin % 3 == 0 { 0 } else { 2 }, batch(begin..begin + 10)).unwrap();
        }
        writer.write(0, &batch(30_000..60_000)).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        let blocks = writer.finish().unwrap();
        assert_eq!((blocks.rows(0), blocks.rows(1), blocks.rows(2)), (40_000, 0, 20_000));
        assert!(blocks.read(1).next().is_none());
        for (part, wanted) in [(2, 20_000), (0, 40_000)] {
            let batches: Vec<RecordBatch> = blocks.read(part).map(Result::unwrap).collect();
            let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
            assert!(rows.iter().all(|rows| (200..3000).contains(rows)) || rows.last() < Some(&200), "{rows:?}");
            let numbers: Vec<i64> = batches
                .iter()
                .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
                .collect();
            assert_eq!(numbers.len(), wanted);
            let pushed = numbers.iter().filter(|n| **n < 30_000);
            assert!(pushed.is_sorted() && numbers.iter().filter(|n| **n >= 30_000).is_sorted());
            for batch in &batches {
                let numbers = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
                assert_eq!(batch.column(1), self::batch(numbers.into_iter()).column(1));
            }
        }
    }
}
