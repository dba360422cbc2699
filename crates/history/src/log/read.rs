//! Reading a log while its writer goes on, here or in another process.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::format::{self, Place, Step};
use super::segments::{self, Listing};
use super::{CHECKSUM, PAYLOAD};
use crate::HistoryError;

/// How often a directory that keeps changing is looked at again.
const TRIES: usize = 100;

/// Every payload in the order of appending, each once: those appended before the call, and perhaps some appended
/// meanwhile, but never one without all before it. A log that does not exist is empty.
pub fn read(dir: impl AsRef<Path>) -> Result<Payloads, HistoryError> {
    let dir = dir.as_ref().to_path_buf();
    let numbers: Vec<u64> = settled(&dir)?.numbers.into_keys().collect();
    Ok(Payloads { dir, numbers: numbers.into_iter(), current: Current::Nothing })
}

/// A log at one moment, for a query engine: each record in exactly one of the two.
#[derive(Debug, Default)]
pub struct Contents {
    pub parquet_files: Vec<PathBuf>,
    /// The payloads not in Parquet yet; they follow those that are.
    pub tail: Vec<Vec<u8>>,
}

pub fn contents(dir: impl AsRef<Path>) -> Result<Contents, HistoryError> {
    let dir = dir.as_ref();
    let mut contents = Contents::default();
    for number in settled(dir)?.numbers.into_keys() {
        let parquet = segments::parquet_path(dir, number);
        // A segment left over from a failed rotation may lie between Parquet files; order is theirs who sort by id.
        match source(dir, number)? {
            Current::Segment { path, bytes, place } => {
                let mut segment = Current::Segment { path, bytes, place };
                while let Some(payload) = segment.next()? {
                    contents.tail.push(payload);
                }
            }
            Current::Parquet { .. } | Current::Nothing => contents.parquet_files.push(parquet),
        }
    }
    Ok(contents)
}

/// The finished Parquet files, in the order of appending.
pub fn parquet_files(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, HistoryError> {
    let numbers = segments::list(dir.as_ref())?.numbers;
    let finished = numbers.into_iter().filter(|(_, forms)| forms.parquet);
    Ok(finished.map(|(number, _)| segments::parquet_path(dir.as_ref(), number)).collect())
}

/// A listing that no rotation fell into: a directory is not listed at one moment, and a number whose segment is
/// replaced by Parquet meanwhile can be missed in both forms.
fn settled(dir: &Path) -> Result<Listing, HistoryError> {
    let mut listing = segments::list(dir)?;
    for _ in 0..TRIES {
        let again = segments::list(dir)?;
        if again.numbers.keys().eq(listing.numbers.keys()) {
            break;
        }
        listing = again;
    }
    let numbers: Vec<u64> = listing.numbers.keys().copied().collect();
    match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        None => Ok(listing),
        Some(gap) => Err(HistoryError::corrupt(dir.display(), format!("segment {} is missing", gap[0] + 1))),
    }
}

pub struct Payloads {
    dir: PathBuf,
    numbers: std::vec::IntoIter<u64>,
    current: Current,
}

impl std::fmt::Debug for Payloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payloads").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Where the next payloads come from.
enum Current {
    Nothing,
    Segment { path: PathBuf, bytes: Vec<u8>, place: Place },
    Parquet { path: PathBuf, reader: ParquetRecordBatchReader, batch: std::vec::IntoIter<Vec<u8>> },
}

impl Iterator for Payloads {
    type Item = Result<Vec<u8>, HistoryError>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let failed = match self.current.next() {
                Ok(Some(payload)) => return Some(Ok(payload)),
                Ok(None) => match source(&self.dir, self.numbers.next()?) {
                    Ok(source) => {
                        self.current = source;
                        continue;
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.current = Current::Nothing;
            self.numbers = Vec::new().into_iter();
            return Some(Err(failed));
        }
    }
}

/// Opens what there is under a number: Parquet if it is there, else the segment, else (the segment became Parquet in
/// between) Parquet again.
fn source(dir: &Path, number: u64) -> Result<Current, HistoryError> {
    let (parquet, segment) = (segments::parquet_path(dir, number), segments::segment_path(dir, number));
    for _ in 0..2 {
        match File::open(&parquet) {
            Ok(file) => return open_parquet(parquet, file),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(HistoryError::io(&parquet)(error)),
        }
        match segments::load(&segment) {
            Ok(bytes) => return Ok(Current::Segment { path: segment, bytes, place: Place::START }),
            Err(HistoryError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(HistoryError::corrupt(dir.display(), format!("segment {number} is missing")))
}

fn open_parquet(path: PathBuf, file: File) -> Result<Current, HistoryError> {
    let damaged = |error: parquet::errors::ParquetError| HistoryError::corrupt(path.display(), error);
    // Without Arrow's own copy of the schema: the two columns do not need it, and decoding it panics when it is damaged.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(damaged)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [PAYLOAD, CHECKSUM]);
    let reader = builder.with_projection(mask).with_batch_size(1024).build().map_err(damaged)?;
    Ok(Current::Parquet { path, reader, batch: Vec::new().into_iter() })
}

impl Current {
    fn next(&mut self) -> Result<Option<Vec<u8>>, HistoryError> {
        match self {
            Current::Nothing => Ok(None),
            Current::Segment { path, bytes, place } => match format::step(bytes, *place) {
                Step::Record { payload, next } => {
                    *place = next;
                    Ok(Some(payload.to_vec()))
                }
                // The writer may be in the middle of a group.
                Step::End | Step::Torn => Ok(None),
                Step::Corrupt(damage) => Err(HistoryError::corrupt(path.display(), damage)),
            },
            Current::Parquet { path, reader, batch } => loop {
                if let Some(payload) = batch.next() {
                    return Ok(Some(payload));
                }
                let Some(next) = reader.next() else { return Ok(None) };
                let next = next.map_err(|error| HistoryError::corrupt(path.display(), error))?;
                *batch = checked(path, &next)?.into_iter();
            },
        }
    }
}

fn checked(path: &Path, batch: &arrow::array::RecordBatch) -> Result<Vec<Vec<u8>>, HistoryError> {
    let payloads = batch.column_by_name(PAYLOAD).and_then(|column| column.as_binary_opt::<i32>());
    let checksums = batch.column_by_name(CHECKSUM).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let (Some(payloads), Some(checksums)) = (payloads, checksums) else {
        return Err(HistoryError::corrupt(path.display(), format!("it has no `{PAYLOAD}` and `{CHECKSUM}` columns")));
    };
    let mut out = Vec::with_capacity(batch.num_rows());
    for (payload, checksum) in payloads.iter().zip(checksums) {
        match payload {
            Some(payload) if checksum == Some(i64::from(crc32fast::hash(payload))) => out.push(payload.to_vec()),
            _ => return Err(HistoryError::corrupt(path.display(), "a payload fails its checksum")),
        }
    }
    Ok(out)
}
