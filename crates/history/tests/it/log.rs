use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use karat_core::ErrorKind;
use karat_history::HistoryError;
use karat_history::log::{
    Durability, Log, LogOptions, PayloadOnly, RecordEncoder, attachment, contents, parquet_files, read,
};
use proptest::prelude::*;

pub fn small() -> LogOptions {
    LogOptions { segment_bytes: 200 }
}

pub fn all(dir: &std::path::Path) -> Vec<Vec<u8>> {
    read(dir).unwrap().collect::<Result<_, _>>().unwrap()
}

fn open(dir: &std::path::Path, options: LogOptions) -> Log {
    Log::open(dir, options, Arc::new(PayloadOnly)).unwrap()
}

#[test]
fn payloads_come_back_in_order_wherever_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(all(&dir.path().join("none")), Vec::<Vec<u8>>::new());
    let log = open(dir.path(), LogOptions::default());
    let payloads: Vec<Vec<u8>> = (0..50_usize).map(|n| vec![n as u8; n * n % 300]).collect();
    for (n, payload) in payloads.iter().enumerate() {
        log.append(payload, Durability::Crash).unwrap();
        if n % 20 == 19 {
            log.rotate().unwrap();
        }
    }
    log.rotate().unwrap();
    assert_eq!(parquet_files(dir.path()).unwrap().len(), 3);
    log.rotate().unwrap();
    assert_eq!(parquet_files(dir.path()).unwrap().len(), 3, "nothing new, nothing to rotate");
    log.append(b"last", Durability::Crash).unwrap();
    let mut expected = payloads.clone();
    expected.push(b"last".to_vec());
    assert_eq!(all(dir.path()), expected);
    let found = contents(dir.path()).unwrap();
    assert_eq!((found.parquet_files, found.tail), (parquet_files(dir.path()).unwrap(), vec![b"last".to_vec()]));
    drop(log);
    let log = open(dir.path(), LogOptions::default());
    log.append(b"after", Durability::Crash).unwrap();
    expected.push(b"after".to_vec());
    assert_eq!(all(dir.path()), expected);
}

#[test]
fn concurrent_appends_are_all_there_each_thread_in_its_order() {
    for durability in [Durability::Crash, Durability::PowerLoss] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), LogOptions { segment_bytes: 2000 });
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let log = &log;
                scope.spawn(move || {
                    for n in 0..200_u64 {
                        log.append(&[thread.to_le_bytes(), n.to_le_bytes()].concat(), durability).unwrap();
                    }
                });
            }
        });
        drop(log);
        let mut next = [0_u64; 8];
        for payload in all(dir.path()) {
            let (thread, n) = payload.split_at(8);
            let thread = u64::from_le_bytes(thread.try_into().unwrap()) as usize;
            assert_eq!(u64::from_le_bytes(n.try_into().unwrap()), next[thread]);
            next[thread] += 1;
        }
        assert_eq!(next, [200; 8]);
    }
}

/// Keeps a column of its own; fails, panics or lies while told to.
pub struct Moody {
    pub failing: AtomicBool,
    pub panicking: AtomicBool,
    pub lying: AtomicBool,
}

impl Moody {
    pub fn new() -> Arc<Moody> {
        Arc::new(Moody {
            failing: AtomicBool::new(false),
            panicking: AtomicBool::new(false),
            lying: AtomicBool::new(false),
        })
    }
}

impl RecordEncoder for Moody {
    fn encode(&self, payloads: &[&[u8]]) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        if self.failing.load(Ordering::Relaxed) {
            return Err("not in the mood".into());
        }
        assert!(!self.panicking.load(Ordering::Relaxed), "in a rage");
        let kept = if self.lying.load(Ordering::Relaxed) { &payloads[1..] } else { payloads };
        let lengths: ArrayRef = Arc::new(Int64Array::from_iter_values(kept.iter().map(|payload| payload.len() as i64)));
        let payloads: ArrayRef = Arc::new(BinaryArray::from_iter_values(kept));
        Ok(RecordBatch::try_from_iter([("length", lengths), ("payload", payloads)])?)
    }
}

#[test]
fn an_encoder_that_fails_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let encoder = Moody::new();
    let log = Log::open(dir.path(), small(), encoder.clone()).unwrap();
    log.append(b"one", Durability::Crash).unwrap();
    for mood in [&encoder.failing, &encoder.panicking, &encoder.lying] {
        mood.store(true, Ordering::Relaxed);
        let error = log.rotate().unwrap_err();
        assert!(matches!(error, HistoryError::Encode { .. }), "{error}");
        log.append(b"more", Durability::Crash).unwrap();
        mood.store(false, Ordering::Relaxed);
    }
    let expected: Vec<Vec<u8>> = vec![b"one".to_vec(), b"more".to_vec(), b"more".to_vec(), b"more".to_vec()];
    assert_eq!(all(dir.path()), expected);
    assert_eq!(parquet_files(dir.path()).unwrap().len(), 0);
    log.rotate().unwrap();
    assert_eq!(contents(dir.path()).unwrap().tail.len(), 0);
    assert_eq!(parquet_files(dir.path()).unwrap().len(), 4);
    assert_eq!(all(dir.path()), expected);
}

#[test]
fn one_writer_at_a_time_and_the_error_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let error = Log::open(dir.path(), small(), Arc::new(PayloadOnly)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(log);
    open(dir.path(), small());
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    Rotate,
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_a_list(steps in prop::collection::vec(prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..120).prop_map(Step::Append),
        1 => Just(Step::Rotate),
        1 => Just(Step::Reopen),
    ], 0..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path(), small());
        let mut model = Vec::new();
        for step in steps {
            match step {
                Step::Append(payload) => {
                    log.append(&payload, Durability::Crash).unwrap();
                    model.push(payload);
                }
                Step::Rotate => log.rotate().unwrap(),
                Step::Reopen => {
                    drop(log);
                    log = open(dir.path(), small());
                }
            }
            prop_assert_eq!(all(dir.path()), model.clone());
        }
    }
}

#[test]
fn what_records_refer_to_stands_beside_them_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), small(), Arc::new(PayloadOnly)).unwrap();
    let digests = [b"names".as_slice(), b"", b"names"].map(|bytes| log.attach(bytes).unwrap());
    assert_eq!(digests[0], digests[2]);
    log.append(b"a record", Durability::Crash).unwrap();
    log.rotate().unwrap();
    drop(log);

    let log = Log::open(dir.path(), small(), Arc::new(PayloadOnly)).unwrap();
    assert_eq!(read(dir.path()).unwrap().count(), 1);
    assert_eq!(attachment(dir.path(), &digests[0]).unwrap(), b"names");
    assert_eq!(attachment(dir.path(), &digests[1]).unwrap(), b"");
    assert_eq!(std::fs::read_dir(dir.path().join("attachments")).unwrap().count(), 2);

    let place = dir.path().join("attachments").join(digests[0].as_str());
    std::fs::write(&place, b"names of others").unwrap();
    let error = attachment(dir.path(), &digests[0]).unwrap_err();
    assert!(error.to_string().contains("not those its name is the digest of"), "{error}");
    std::fs::remove_file(&place).unwrap();
    let error = attachment(dir.path(), &digests[0]).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
    log.attach(b"names").unwrap();
    assert_eq!(attachment(dir.path(), &digests[0]).unwrap(), b"names");
}
