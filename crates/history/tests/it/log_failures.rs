//! Torn tails, flipped bits, leftovers of crashes, disks that refuse.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use karat_core::ErrorKind;
use karat_history::HistoryError;
use karat_history::log::{Durability, Log, LogOptions, PayloadOnly, Records, read};

use crate::log::{all, small};

fn open(dir: &Path) -> Result<Log, HistoryError> {
    Log::open(dir, LogOptions::default(), Arc::new(PayloadOnly))
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("segment-{number:010}.log"))
}

const PAYLOADS: [&[u8]; 4] = [b"first", b"", b"a third, longer than the others", b"fourth"];

fn written() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    PAYLOADS.iter().for_each(|payload| log.append(payload, Durability::Crash).unwrap());
    drop(log);
    let bytes = fs::read(segment(dir.path(), 1)).unwrap();
    (dir, bytes)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_the_log_goes_on() {
    let (dir, bytes) = written();
    let mut ends = vec![16];
    PAYLOADS.iter().for_each(|payload| ends.push(ends.last().unwrap() + 12 + payload.len()));
    assert_eq!(*ends.last().unwrap(), bytes.len());
    for cut in 16..=bytes.len() {
        fs::write(segment(dir.path(), 1), &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        let mut expected: Vec<&[u8]> = PAYLOADS[..whole].to_vec();
        assert_eq!(all(dir.path()), expected, "read beside a writer, cut at {cut}");
        let log = open(dir.path()).unwrap();
        assert_eq!(fs::metadata(segment(dir.path(), 1)).unwrap().len(), ends[whole] as u64);
        log.append(b"after", Durability::Crash).unwrap();
        expected.push(b"after");
        assert_eq!(all(dir.path()), expected, "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_is_an_error_for_writers_and_readers() {
    let (dir, bytes) = written();
    let path = segment(dir.path(), 1);
    for bit in (0..bytes.len() * 8).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error}");
        assert!(error.to_string().contains("segment-0000000001.log"), "{error}");
        let payloads: Vec<_> = read(dir.path()).unwrap().collect();
        let (last, before) = payloads.split_last().unwrap();
        assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
        let before: Vec<_> = before.iter().map(|payload| payload.as_ref().unwrap().as_slice()).collect();
        assert_eq!(before, &PAYLOADS[..before.len()], "what comes before the damage is right");
        assert_eq!(fs::read(&path).unwrap(), damaged, "nothing is changed");
    }
}

#[test]
fn damaged_parquet_is_an_error() {
    let (dir, _) = written();
    open(dir.path()).unwrap().rotate().unwrap();
    let path = dir.path().join("part-0000000001.parquet");
    let bytes = fs::read(&path).unwrap();
    let mut errors = 0;
    for byte in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 0x04;
        fs::write(&path, &damaged).unwrap();
        let payloads = std::panic::catch_unwind(|| read(dir.path()).unwrap().collect::<Result<Vec<_>, _>>());
        match payloads.expect("damage never panics") {
            Ok(payloads) => assert_eq!(payloads, PAYLOADS, "byte {byte}: wrong payloads passed"),
            Err(error) => {
                errors += 1;
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {byte}: {error}");
            }
        }
    }
    assert!(errors > 100, "{errors} of {}", bytes.len());
}

#[test]
fn where_both_forms_exist_the_parquet_counts() {
    let (dir, bytes) = written();
    let log = open(dir.path()).unwrap();
    log.rotate().unwrap();
    log.append(b"later", Durability::Crash).unwrap();
    drop(log);
    // As if the crash had come between the rename and the removal.
    fs::write(segment(dir.path(), 1), &bytes).unwrap();
    // And this one before the rename.
    fs::write(dir.path().join("part-0000000002.parquet.tmp"), "half").unwrap();
    fs::write(dir.path().join("segment-0000000003.log.tmp"), "half").unwrap();
    let mut expected = PAYLOADS.to_vec();
    expected.push(b"later");
    assert_eq!(all(dir.path()), expected);
    let log = open(dir.path()).unwrap();
    assert_eq!(all(dir.path()), expected);
    assert!(!segment(dir.path(), 1).exists());
    log.rotate().unwrap();
    assert_eq!(all(dir.path()), expected);
    let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<_> = left.collect();
    left.sort_unstable();
    assert_eq!(left, ["lock", "part-0000000001.parquet", "part-0000000002.parquet", "segment-0000000003.log"]);
}

#[test]
fn full_segments_left_by_a_crash_become_parquet_on_opening() {
    let (dir, bytes) = written();
    fs::write(segment(dir.path(), 2), &bytes).unwrap();
    fs::write(segment(dir.path(), 3), &bytes[..bytes.len() - 1]).unwrap();
    let expected = [PAYLOADS.as_slice(), &PAYLOADS, &PAYLOADS[..3]].concat();
    assert_eq!(all(dir.path()), expected);
    let log = open(dir.path()).unwrap();
    log.append(b"more", Durability::Crash).unwrap();
    log.rotate().unwrap();
    let names: Vec<_> = karat_history::log::parquet_files(dir.path()).unwrap();
    assert_eq!(names.len(), 3);
    assert_eq!(all(dir.path()), [expected.as_slice(), &[b"more"]].concat());
}

/// What Karat wrote before there were groups: a segment in `tests/fixtures/log-format-1`.
#[test]
fn a_log_of_format_1_is_read_mended_and_goes_on_in_a_new_segment() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-format-1/segment-0000000001.log");
    let bytes = fs::read(fixture).unwrap();
    for torn in [0, 3] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment(dir.path(), 1), &bytes[..bytes.len() - torn]).unwrap();
        let mut expected = PAYLOADS[..if torn == 0 { 4 } else { 3 }].to_vec();
        assert_eq!(all(dir.path()), expected);
        let log = open(dir.path()).unwrap();
        log.append(b"after", Durability::Crash).unwrap();
        expected.push(b"after");
        assert_eq!(all(dir.path()), expected);
        log.rotate().unwrap();
        assert_eq!(all(dir.path()), expected);
    }
}

/// A power cut may keep the later sectors of what was written at once, and lose the earlier ones.
#[test]
fn a_group_with_a_hole_is_cut_off_whole_and_damage_where_something_follows() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    log.append(b"first", Durability::PowerLoss).unwrap();
    let payloads: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n + 1; 100]).collect();
    log.append_together(Records::of(payloads.iter().map(Vec::as_slice)).unwrap(), Durability::PowerLoss).unwrap();
    let group_end = fs::metadata(segment(dir.path(), 1)).unwrap().len() as usize;
    log.append(b"last", Durability::PowerLoss).unwrap();
    drop(log);
    let bytes = fs::read(segment(dir.path(), 1)).unwrap();
    for sector in 1..group_end / 512 {
        let mut lost = bytes.clone();
        lost[sector * 512..(sector + 1) * 512].fill(0);
        fs::write(segment(dir.path(), 1), &lost).unwrap();
        assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt, "sector {sector}");
        fs::write(segment(dir.path(), 1), &lost[..group_end]).unwrap();
        assert_eq!(all(dir.path()), [b"first"], "sector {sector}");
        open(dir.path()).unwrap().append(b"after", Durability::Crash).unwrap();
        assert_eq!(all(dir.path()), [b"first".as_slice(), b"after"], "sector {sector}");
    }
}

#[test]
fn a_full_segment_whose_only_record_was_torn_is_no_gap() {
    let (dir, bytes) = written();
    fs::write(segment(dir.path(), 2), &bytes).unwrap();
    // The header, and half of the first record.
    fs::write(segment(dir.path(), 1), &bytes[..20]).unwrap();
    assert_eq!(all(dir.path()), PAYLOADS);
    for _ in 0..2 {
        open(dir.path()).unwrap().rotate().unwrap();
        assert!(!segment(dir.path(), 1).exists());
        assert_eq!(all(dir.path()), PAYLOADS);
        assert!(karat_history::log::contents(dir.path()).unwrap().tail.is_empty());
    }
}

#[test]
fn a_missing_segment_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), small(), Arc::new(PayloadOnly)).unwrap();
    (0..10_u8).for_each(|n| log.append(&[n; 100], Durability::Crash).unwrap());
    log.rotate().unwrap();
    fs::remove_file(dir.path().join("part-0000000002.parquet")).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("segment 2 is missing"), "{error}");
}

#[test]
fn places_that_cannot_hold_a_log_are_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(open(&dir.path().join("file")).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(open(&dir.path().join("file/below")).unwrap_err().kind(), ErrorKind::Unavailable);
    let newer = dir.path().join("newer");
    fs::create_dir(&newer).unwrap();
    let mut header = b"KARATLOG\x03\0\0\0".to_vec();
    header.extend(crc32fast::hash(&header).to_le_bytes());
    fs::write(segment(&newer, 1), header).unwrap();
    let error = open(&newer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("version 3"), "{error}");
    let log = open(&dir.path().join("log")).unwrap();
    let error = log.append(&vec![0; karat_history::log::MAX_PAYLOAD_BYTES + 1], Durability::Crash).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

const LIMITED: &str = "KARAT_HISTORY_TEST_LIMITED";

/// Runs under a limit of 8 KiB a file: appends until one is refused, then goes on.
#[test]
fn child_on_a_full_disk() {
    let Some(dir) = std::env::var_os(LIMITED) else { return };
    let dir = Path::new(&dir);
    let log = open(dir).unwrap();
    let mut acknowledged = Vec::new();
    let error = loop {
        let payload = vec![acknowledged.len() as u8; 1000];
        match log.append(&payload, Durability::Crash) {
            Ok(()) => acknowledged.push(payload),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 100, "the limit holds");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // Everyone in a group is told, though one of them wrote for all.
    let both = [[8; 1000], [9; 1000]]
        .map(|payload| log.append_all(&Records::of([payload.as_slice()]).unwrap(), Durability::Crash));
    for append in both {
        assert_eq!(futures::executor::block_on(append).unwrap_err().kind(), ErrorKind::Unavailable);
    }
    // And so is who asks beforehand, until there is room again.
    assert_eq!(log.check().unwrap_err().kind(), ErrorKind::Unavailable);
    // The half record is gone: what fits still fits, and follows the last whole one.
    log.append(b"small", Durability::Crash).unwrap();
    log.check().unwrap();
    acknowledged.push(b"small".to_vec());
    assert_eq!(all(dir), acknowledged);
    log.rotate().unwrap();
    log.append(&[7; 1000], Durability::Crash).unwrap();
    acknowledged.push(vec![7; 1000]);
    drop(log);
    assert_eq!(all(dir), acknowledged);
    fs::write(dir.join("done"), "").unwrap();
}

#[test]
fn a_full_disk_refuses_records_and_harms_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("bash");
    // Ignored signals stay ignored after exec, so that writing beyond the limit fails instead of killing.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" log_failures::child_on_a_full_disk --exact"]);
    shell.arg(std::env::current_exe().unwrap()).env(LIMITED, dir.path()).arg0("bash");
    let output = shell.output().unwrap();
    assert!(dir.path().join("done").exists(), "{}", String::from_utf8_lossy(&output.stdout));
}
