//! Readers beside a writer that appends and rotates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use karat_history::log::{Durability, Log, LogOptions, PayloadOnly, contents, read};

#[test]
fn readers_see_a_prefix_without_gaps_while_the_log_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 600 };
    let log = Log::open(dir.path(), options, Arc::new(PayloadOnly)).unwrap();
    let (acknowledged, done, reads) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (acknowledged, done, reads, dir) = (&acknowledged, &done, &reads, dir.path());
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let mut count = 0;
                    if reader == 0 {
                        for payload in read(dir).unwrap() {
                            assert_eq!(payload.unwrap()[..8], u64::to_le_bytes(count));
                            count += 1;
                        }
                    } else {
                        let contents = contents(dir).unwrap();
                        let rows = contents.parquet_files.iter().map(|path| {
                            let file = std::fs::File::open(path).unwrap();
                            let reader =
                                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                            reader.metadata().file_metadata().num_rows() as u64
                        });
                        count = rows.sum::<u64>() + contents.tail.len() as u64;
                    }
                    let after = acknowledged.load(Ordering::SeqCst);
                    assert!(count >= before && count <= after + 1, "{before} before, {count} read, {after} after");
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for n in 0..4000_u64 {
            let mut payload = n.to_le_bytes().to_vec();
            payload.extend(vec![b'x'; (n % 40) as usize]);
            log.append(&payload, Durability::Crash).unwrap();
            acknowledged.store(n + 1, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(reads.load(Ordering::SeqCst) > 2);
    assert_eq!(read(dir.path()).unwrap().count(), 4000);
}
