//! Exact uniqueness within a memory budget.
//!
//! While the keys fit, rows stream through: a key seen before fails. Beyond the budget the keys go to partition files
//! by hash, each with its row's number, and the rows to a spool; at the end of the input the partitions are looked
//! through one by one (split again where one does not fit) and the rows go on.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use karat_core::DataType;

use super::keys::KeySet;
use crate::hash::stable_hash;
use crate::spool::{Spool, SpoolWriter};
use crate::{QueryError, Result};

const PARTITIONS: usize = 32;
/// Splitting further than this would mean that one key alone exceeds the budget.
const MAX_DEPTH: u64 = 6;
/// Stands for the row of a key that went on before the partitions began.
const WENT_ON: u64 = u64::MAX;

pub(super) struct Unique {
    places: Vec<usize>,
    converter: RowConverter,
    budget: usize,
    temp_dir: PathBuf,
    seen: KeySet,
    spilled: Option<Spilled>,
}

struct Spilled {
    rows: SpoolWriter,
    keys: Partitions,
}

/// What becomes of a batch.
pub(super) enum Verdict {
    /// These rows repeat earlier ones.
    Failing(Vec<usize>),
    /// Told at the end of the input; the batch waits.
    Waits,
}

impl Unique {
    pub(super) fn new(columns: &[(usize, DataType)], temp_dir: &Path, budget: usize) -> Result<Unique> {
        let fields = columns.iter().map(|(_, data_type)| SortField::new(data_type.arrow())).collect();
        Ok(Unique {
            places: columns.iter().map(|(place, _)| *place).collect(),
            converter: RowConverter::new(fields)?,
            budget,
            temp_dir: temp_dir.to_owned(),
            seen: KeySet::default(),
            spilled: None,
        })
    }

    pub(super) fn push(&mut self, batch: &RecordBatch, schema: &SchemaRef) -> Result<Verdict> {
        let columns: Vec<_> = self.places.iter().map(|place| batch.column(*place).clone()).collect();
        let keys = self.converter.convert_columns(&columns)?;
        if let Some(spilled) = &mut self.spilled {
            let first = spilled.rows.rows();
            for (row, key) in keys.iter().enumerate() {
                spilled.keys.push(first + row as u64, key.as_ref())?;
            }
            spilled.rows.push(batch.clone())?;
            return Ok(Verdict::Waits);
        }
        let failing = keys.iter().enumerate().filter(|(_, key)| !self.seen.insert(key.as_ref())).map(|(row, _)| row);
        let failing = failing.collect();
        if self.seen.bytes() > self.budget {
            let mut keys = Partitions::new(&self.temp_dir, 1)?;
            for key in std::mem::take(&mut self.seen).iter() {
                keys.push_seen(key)?;
            }
            let rows = SpoolWriter::new(schema.clone(), &self.temp_dir, self.budget);
            self.spilled = Some(Spilled { rows, keys });
        }
        Ok(Verdict::Failing(failing))
    }

    /// The rows that waited and, of these by number, the failing ones.
    pub(super) fn finish(&mut self) -> Result<Option<(Spool, Marked)>> {
        self.seen = KeySet::default();
        let Some(spilled) = self.spilled.take() else { return Ok(None) };
        let rows = spilled.rows.finish()?;
        let mut failing = Marked::new(rows.rows());
        spilled.keys.find_repeated(&self.temp_dir, self.budget, &mut failing)?;
        Ok(Some((rows, failing)))
    }
}

/// A set of row numbers.
pub(crate) struct Marked(Vec<u64>);

impl Marked {
    /// None of so many rows.
    pub(crate) fn new(rows: u64) -> Marked {
        Marked(vec![0; rows.div_ceil(64) as usize])
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn mark(&mut self, row: u64) {
        self.0[(row / 64) as usize] |= 1 << (row % 64);
    }

    pub(crate) fn contains(&self, row: u64) -> bool {
        self.0[(row / 64) as usize] & (1 << (row % 64)) != 0
    }
}

/// Keys by hash in temporary files, each file in the order pushed.
pub(crate) struct Partitions {
    files: Vec<BufWriter<File>>,
    depth: u64,
}

impl Partitions {
    pub(crate) fn new(temp_dir: &Path, depth: u64) -> Result<Partitions> {
        let open = |_| tempfile::tempfile_in(temp_dir).map(|file| BufWriter::with_capacity(1 << 15, file));
        let files = (0..PARTITIONS).map(open).collect::<io::Result<_>>().map_err(QueryError::Temporary)?;
        Ok(Partitions { files, depth })
    }

    /// A key of a row that is judged already.
    pub(crate) fn push_seen(&mut self, key: &[u8]) -> Result<()> {
        self.push(WENT_ON, key)
    }

    pub(crate) fn push(&mut self, row: u64, key: &[u8]) -> Result<()> {
        let partition = stable_hash(key, self.depth) as usize % PARTITIONS;
        write_entry(&mut self.files[partition], row, key).map_err(QueryError::Temporary)
    }

    /// Marks the rows whose key stands before them.
    pub(crate) fn find_repeated(self, temp_dir: &Path, budget: usize, failing: &mut Marked) -> Result<()> {
        for file in self.files {
            let mut file = file.into_inner().map_err(|error| QueryError::Temporary(error.into_error()))?;
            if let Some(split) = look_through(&mut file, temp_dir, self.depth, budget, failing)? {
                drop(file);
                split.find_repeated(temp_dir, budget, failing)?;
            }
        }
        Ok(())
    }
}

/// Marks the rows of repeated keys, or splits the file where its keys do not fit the budget.
fn look_through(
    file: &mut File,
    temp_dir: &Path,
    depth: u64,
    budget: usize,
    failing: &mut Marked,
) -> Result<Option<Partitions>> {
    let mut seen = KeySet::default();
    let mut key = Vec::new();
    let mut entries = rewound(file)?;
    loop {
        let Some(row) = read_entry(&mut entries, &mut key).map_err(QueryError::Temporary)? else { return Ok(None) };
        if !seen.insert(&key) && row != WENT_ON {
            failing.mark(row);
        }
        if seen.bytes() > budget && depth < MAX_DEPTH {
            break;
        }
    }
    // What was marked so far is right and will be marked again.
    drop(seen);
    let mut split = Partitions::new(temp_dir, depth + 1)?;
    let mut entries = rewound(file)?;
    while let Some(row) = read_entry(&mut entries, &mut key).map_err(QueryError::Temporary)? {
        split.push(row, &key)?;
    }
    Ok(Some(split))
}

fn rewound(file: &mut File) -> Result<BufReader<&mut File>> {
    file.rewind().map_err(QueryError::Temporary)?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

fn write_entry(writer: &mut impl Write, row: u64, key: &[u8]) -> io::Result<()> {
    writer.write_all(&row.to_le_bytes())?;
    writer.write_all(&(key.len() as u32).to_le_bytes())?;
    writer.write_all(key)
}

fn read_entry(reader: &mut impl Read, key: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let mut head = [0; 12];
    match reader.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let row = u64::from_le_bytes(head[..8].try_into().expect("eight bytes"));
    let len = u32::from_le_bytes(head[8..].try_into().expect("four bytes"));
    key.resize(len as usize, 0);
    reader.read_exact(key)?;
    Ok(Some(row))
}
