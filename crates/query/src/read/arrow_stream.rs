//! An Arrow IPC stream, as commands may print it.

use std::io::BufReader;

use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;

use super::open::{OpenFile, unreadable};
use super::parquet::{locate, typed};
use super::{FileNote, FileRead, Place, Sink};
use crate::{Progress, QueryError, Result};

/// What such a stream begins with, and no text.
pub(super) const MARKER: [u8; 4] = [0xff; 4];

pub(super) fn read(
    read: &FileRead,
    place: &Place,
    mut open: OpenFile,
    progress: &dyn Progress,
    sink: &mut Sink,
) -> Result<FileNote> {
    let label = &place.file.label;
    let wrong = |error: ArrowError| match error {
        ArrowError::IoError(_, error) => unreadable(label, error),
        other => {
            QueryError::File { path: label.clone(), problem: format!("cannot be read as an Arrow stream: {other}") }
        }
    };
    let mut rows = 0;
    {
        let mut batches = StreamReader::try_new(BufReader::new(&mut open.text), None).map_err(wrong)?;
        let schema = batches.schema();
        for column in &read.columns {
            locate(place.file, &schema, column)?;
        }
        for batch in batches.by_ref() {
            let batch = batch.map_err(wrong)?;
            let batch_typed = typed(read, place, &batch, rows)?;
            rows += batch.num_rows() as u64;
            progress.rows(batch.num_rows() as u64);
            sink(batch_typed)?;
        }
    }
    let (digest, bytes) = open.finish()?;
    Ok(FileNote { path: label.clone(), digest, rows, bytes })
}
