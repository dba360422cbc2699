//! A log whose newest segment is of a stranger's making: readers and the writer agree on it, and nothing read is lost.

use std::path::Path;
use std::sync::Arc;

use karat_history::log::{self, Durability, Log, LogOptions, PayloadOnly};

use super::choice;
use crate::temp_dir;

const SEGMENT: &str = "segment-0000000001.log";

fn written(payloads: &[&[u8]]) -> Vec<u8> {
    let dir = temp_dir();
    let log = open(dir.path()).expect("an empty folder takes a log");
    payloads.iter().for_each(|payload| log.append(payload, Durability::Crash).expect("a log takes a record"));
    drop(log);
    std::fs::read(dir.path().join(SEGMENT)).expect("the log's segment")
}

/// A first byte of 1 asks for a whole header before the rest; of 2, for the record in the rest to be whole.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let whole = written(&[b"first", b"", b"a third, longer than the others", &[0; 600]]);
    vec![[&[0], whole.as_slice()].concat(), [&[1], &whole[16..]].concat(), [&[2], b"one record".as_slice()].concat()]
}

fn open(dir: &Path) -> Result<Log, karat_history::HistoryError> {
    Log::open(dir, LogOptions::default(), Arc::new(PayloadOnly))
}

/// What can be read up to the first error, and whether there is one.
fn read(dir: &Path) -> (Vec<Vec<u8>>, bool) {
    let mut payloads = Vec::new();
    let Ok(all) = log::read(dir) else { return (payloads, true) };
    for payload in all {
        match payload {
            Ok(payload) => payloads.push(payload),
            Err(_) => return (payloads, true),
        }
    }
    (payloads, false)
}

pub(super) fn segment(data: &[u8]) {
    let (choice, data) = choice(data);
    let segment = match choice % 3 {
        0 => data.to_vec(),
        1 => [&written(&[])[..], data].concat(),
        // Half of it twice: a whole record, then what a killed writer may leave.
        _ => [written(&[data]), written(&[&data[..data.len() / 2]]).split_off(16)].concat(),
    };
    let dir = temp_dir();
    std::fs::write(dir.path().join(SEGMENT), &segment).expect("a temporary file is writable");
    let (mut before, damaged) = read(dir.path());
    match open(dir.path()) {
        Err(error) => {
            assert!(damaged, "a reader sees no damage, the writer does: {error}");
            assert!(error.to_string().contains(SEGMENT), "{error}");
            let untouched = std::fs::read(dir.path().join(SEGMENT)).expect("the segment is still there");
            assert_eq!(untouched, segment, "what is damaged is left as it is");
        }
        Ok(log) => {
            assert!(!damaged, "a reader sees damage, the writer does not");
            log.append(b"after", Durability::Crash).expect("a log takes a record");
            drop(log);
            before.push(b"after".to_vec());
            assert_eq!(read(dir.path()), (before, false), "nothing that was read is lost");
        }
    }
}
