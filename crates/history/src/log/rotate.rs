//! Full segments become Parquet, on a thread of their own: written aside, brought to disk, renamed, and only then is
//! the segment removed.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::format::{self, Place, Step};
use super::{CHECKSUM, PAYLOAD, RecordEncoder, segments};
use crate::HistoryError;
use crate::durable::{finish, temporary};
use crate::parts::writer_properties;

/// Payloads encoded at a time: so many, or so many bytes.
const BATCH_ROWS: usize = 2048;
const BATCH_BYTES: usize = 4 << 20;

pub(super) struct Rotator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    dir: PathBuf,
    encoder: Arc<dyn RecordEncoder>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<u64>,
    /// Those that failed, and the newest reason; tried again when asked for.
    failed: Vec<u64>,
    reason: Option<HistoryError>,
    working: bool,
    closing: bool,
}

impl Rotator {
    pub fn start(
        dir: PathBuf,
        encoder: Arc<dyn RecordEncoder>,
        waiting: VecDeque<u64>,
    ) -> Result<Rotator, HistoryError> {
        let place = dir.clone();
        let queue = Mutex::new(Queue { waiting, ..Queue::default() });
        let shared = Arc::new(Shared { dir, encoder, queue, changed: Condvar::new() });
        let worker = shared.clone();
        let thread = std::thread::Builder::new().name("karat-log-rotation".to_owned()).spawn(move || worker.run());
        Ok(Rotator { shared, thread: Some(thread.map_err(HistoryError::io(&place))?) })
    }

    pub fn add(&self, number: u64) {
        self.shared.queue().waiting.push_back(number);
        self.shared.changed.notify_all();
    }

    /// Waits until nothing waits; those that failed before are tried again first.
    pub fn finish(&self) -> Result<(), HistoryError> {
        let mut queue = self.shared.queue();
        let again = std::mem::take(&mut queue.failed);
        queue.waiting.extend(again);
        queue.reason = None;
        self.shared.changed.notify_all();
        while queue.working || !queue.waiting.is_empty() {
            queue = self.shared.changed.wait(queue).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        queue.reason.take().map_or(Ok(()), Err)
    }
}

impl Drop for Rotator {
    fn drop(&mut self) {
        self.shared.queue().closing = true;
        self.shared.changed.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(log = %self.shared.dir.display(), "the log's rotating thread panicked");
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn run(&self) {
        give_way();
        let mut queue = self.queue();
        while !queue.closing {
            let Some(number) = queue.waiting.pop_front() else {
                queue = self.changed.wait(queue).unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            };
            queue.working = true;
            drop(queue);
            // The encoder is the caller's code; should it panic, waiters must not wait for ever.
            let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                rotate(&self.dir, number, self.encoder.as_ref())
            }));
            let rotated = rotated.unwrap_or_else(|_| {
                let path = segments::segment_path(&self.dir, number).display().to_string();
                Err(HistoryError::Encode { path, problem: "the encoder panicked".to_owned() })
            });
            queue = self.queue();
            queue.working = false;
            if let Err(error) = rotated {
                tracing::warn!(log = %self.dir.display(), segment = number, %error, "a segment did not become Parquet");
                queue.failed.push(number);
                queue.reason = Some(error);
            }
            self.changed.notify_all();
        }
    }
}

/// Puts the calling thread behind those that answer: a full segment can wait, a request cannot.
fn give_way() {
    const NICE: libc::c_int = 10;
    // SAFETY: a call that takes numbers. On Linux 0 is the calling thread.
    #[expect(unsafe_code, reason = "the standard library has no thread priorities")]
    let refused = cfg!(target_os = "linux") && unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0;
    if refused {
        tracing::debug!(error = %std::io::Error::last_os_error(), "the log's rotating thread keeps its priority");
    }
}

fn rotate(dir: &Path, number: u64, encoder: &dyn RecordEncoder) -> Result<(), HistoryError> {
    let path = segments::segment_path(dir, number);
    let bytes = segments::load(&path)?;
    let wrong = |problem: String| HistoryError::Encode { path: path.display().to_string(), problem };
    let parquet = segments::parquet_path(dir, number);
    let staged = temporary(&parquet);
    let failed = |error: parquet::errors::ParquetError| wrong(error.to_string());
    let mut writer: Option<ArrowWriter<File>> = None;
    let mut place = Place::START;
    loop {
        let (payloads, next) = batch(&path, &bytes, place)?;
        // Of a segment whose only record was torn, Parquet without a row: a number that is gone would be missed.
        if payloads.is_empty() && writer.is_some() {
            break;
        }
        place = next;
        let batch = encode(encoder, &payloads).map_err(&wrong)?;
        if writer.is_none() {
            let file = File::create(&staged).map_err(HistoryError::io(&staged))?;
            writer = Some(ArrowWriter::try_new(file, batch.schema(), Some(writer_properties())).map_err(failed)?);
        }
        writer.as_mut().expect("made just above").write(&batch).map_err(failed)?;
    }
    let file = writer.expect("a batch is written first of all").into_inner().map_err(failed)?;
    finish(&file, &staged, &parquet)?;
    segments::remove(dir, number)
}

/// The payloads from `place` on that make one batch, and where the next begins.
fn batch<'a>(path: &Path, bytes: &'a [u8], mut place: Place) -> Result<(Vec<&'a [u8]>, Place), HistoryError> {
    let (mut payloads, start) = (Vec::new(), place.offset());
    while payloads.len() < BATCH_ROWS && place.offset() - start < BATCH_BYTES {
        match format::step(bytes, place) {
            Step::Record { payload, next } => {
                payloads.push(payload);
                place = next;
            }
            Step::End => break,
            // A segment is sealed after a whole group, so this is damage as well.
            Step::Torn => return Err(HistoryError::corrupt(path.display(), "what was appended last is cut short")),
            Step::Corrupt(damage) => return Err(HistoryError::corrupt(path.display(), damage)),
        }
    }
    Ok((payloads, place))
}

/// The encoder's batch with the checksums beside it. The segment is removed for it, so what it holds is checked.
fn encode(encoder: &dyn RecordEncoder, payloads: &[&[u8]]) -> Result<RecordBatch, String> {
    let batch = encoder.encode(payloads).map_err(|error| error.to_string())?;
    let column = batch.column_by_name(PAYLOAD).and_then(|column| column.as_binary_opt::<i32>());
    let kept = column.is_some_and(|column| {
        column.null_count() == 0
            && column.len() == payloads.len()
            && column.iter().flatten().eq(payloads.iter().copied())
    });
    if !kept {
        return Err(format!("the encoder did not give the payloads back in its `{PAYLOAD}` column (Binary)"));
    }
    let checksums = Int64Array::from_iter_values(payloads.iter().map(|payload| i64::from(crc32fast::hash(payload))));
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(CHECKSUM, DataType::Int64, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(checksums));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| error.to_string())
}
