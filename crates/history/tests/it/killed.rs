//! Processes killed amid their work: what they had acknowledged is there, once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use karat_core::Instant;
use karat_history::log::{Durability, Log, LogOptions, PayloadOnly};
use karat_history::{History, Sizes};
use karat_metadata::Metadata;

use crate::log::all;
use crate::world::{columns, loans, note, read_ids, rows};

const CHILD: &str = "KARAT_HISTORY_TEST_CHILD";

fn child(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "acked {what}").unwrap();
    out.flush().unwrap();
}

/// Waits for some acknowledgements, kills the child, and gives all that it made.
fn kill_after(child: Child, wanted: usize, then: std::time::Duration) -> Vec<String> {
    kill_once(child, |acknowledged| acknowledged >= wanted, then)
}

/// As [`kill_after`], once it is `enough`, which is asked with each acknowledgement.
fn kill_once(mut child: Child, enough: impl Fn(usize) -> bool, then: std::time::Duration) -> Vec<String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acked = |line: String| line.split_once("acked ").map(|(_, what)| what.to_owned());
    let mut all = Vec::new();
    while !enough(all.len()) {
        all.extend(acked(lines.next().expect("the child goes on until it is killed").unwrap()));
    }
    std::thread::sleep(then);
    child.kill().unwrap();
    child.wait().unwrap();
    all.extend(lines.map_while(Result::ok).filter_map(acked));
    all
}

#[test]
fn child_that_appends_from_eight_threads() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let durability = if Path::new(&dir).ends_with("power") { Durability::PowerLoss } else { Durability::Crash };
    let options = LogOptions { segment_bytes: 3000 };
    let log = Log::open(&dir, options, Arc::new(PayloadOnly)).unwrap();
    let first = all(Path::new(&dir)).len();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                for n in 0.. {
                    let payload = format!("{first}-{thread}-{n}");
                    log.append(payload.as_bytes(), durability).unwrap();
                    acknowledge(&payload);
                }
            });
        }
    });
}

#[test]
fn a_killed_appender_loses_nothing_acknowledged() {
    for name in ["crash", "power"] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let mut acknowledged = BTreeSet::new();
        for round in 0..8_u64 {
            let child = child("killed::child_that_appends_from_eight_threads", &dir);
            let pause = std::time::Duration::from_micros(577 * round);
            // However slow the machine, segments become Parquet between the first kill and the last.
            let is_rotated = || round < 7 || !karat_history::log::parquet_files(&dir).unwrap().is_empty();
            let enough = |acked: usize| acked >= 150 + 37 * round as usize && is_rotated();
            acknowledged.extend(kill_once(child, enough, pause));
            let found: Vec<String> = all(&dir).into_iter().map(|p| String::from_utf8(p).unwrap()).collect();
            let unique: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!(found.len(), unique.len(), "nothing twice");
            let lost: Vec<_> = acknowledged.difference(&unique).collect();
            assert!(lost.is_empty(), "round {round} lost {lost:?}");
            // Each thread may have been amid one that it had not acknowledged.
            assert!(unique.len() <= acknowledged.len() + 8 * (round as usize + 1));
        }
    }
}

async fn history(dir: &Path) -> History {
    let metadata = Metadata::open(&format!("sqlite://{}/metadata.db", dir.display())).await.unwrap();
    History::open(dir.join("history"), metadata).unwrap()
}

#[tokio::test]
async fn child_that_commits() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let history = history(Path::new(&dir)).await;
    loop {
        let mut writer = history.writer(&loans(), &columns()).await.unwrap();
        let number = writer.number();
        for partition in 0..2 {
            let batch = rows(&vec![number as i64; 500], number);
            writer.write(partition, &batch).await.unwrap();
        }
        acknowledge(&writer.commit(note()).await.unwrap().number.to_string());
    }
}

#[test]
fn a_killed_writer_leaves_whole_commits() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut acknowledged = 0;
    for round in 0..8_u64 {
        let child = child("killed::child_that_commits", dir.path());
        let acked = kill_after(child, 1 + round as usize % 3, std::time::Duration::from_micros(1733 * round));
        acknowledged = acked.last().map_or(acknowledged, |number| number.parse::<u64>().unwrap());
        runtime.block_on(async {
            let history = history(dir.path()).await;
            let snapshot = history.snapshot(&loans(), None).await.unwrap().unwrap();
            assert!(snapshot.commit == acknowledged || snapshot.commit == acknowledged + 1);
            acknowledged = snapshot.commit;
            let ids = read_ids(&snapshot, None).await.unwrap();
            let whole: Vec<i64> = (1..=snapshot.commit as i64).flat_map(|number| vec![number; 1000]).collect();
            assert_eq!(ids, whole);
        });
    }
}

#[tokio::test]
async fn child_that_pushes_and_seals() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let history = history(Path::new(&dir)).await;
    let mut writer = crate::pushed::pusher(&history).await;
    let mut sealing = None;
    loop {
        let next = writer.next();
        let number = crate::pushed::push(&mut writer, &[next as i64, -(next as i64)]);
        acknowledge(&number.to_string());
        if number.is_multiple_of(40) {
            if let Some(before) = sealing.take() {
                let before: tokio::task::JoinHandle<_> = before;
                before.await.unwrap();
            }
            let turned = writer.turn_over().await.unwrap();
            sealing = Some(tokio::spawn(async move { drop(turned.run().await.unwrap()) }));
        }
        // Lets a sealing go on meanwhile.
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_killed_pusher_loses_nothing_acknowledged_and_leaves_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut acknowledged = 0;
    for round in 0..8_u64 {
        let child = child("killed::child_that_pushes_and_seals", dir.path());
        let acked = kill_after(child, 70 + 13 * round as usize, std::time::Duration::from_micros(911 * round));
        acknowledged = acked.last().map_or(acknowledged, |number| number.parse::<u64>().unwrap());
        runtime.block_on(async {
            let history = history(dir.path()).await;
            let snapshot = history.snapshot(&loans(), None).await.unwrap().unwrap();
            assert!(snapshot.commit == acknowledged || snapshot.commit == acknowledged + 1);
            acknowledged = snapshot.commit;
            let mut ids = read_ids(&snapshot, None).await.unwrap();
            ids.sort_unstable();
            let last = snapshot.commit as i64;
            assert_eq!(ids, (-last..=last).filter(|id| *id != 0).collect::<Vec<_>>(), "round {round}");
        });
    }
}

#[tokio::test]
async fn child_that_commits_and_compacts() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let history = history(Path::new(&dir)).await;
    for round in 0_i64.. {
        let mut writer = history.writer(&loans(), &columns()).await.unwrap();
        let number = writer.number();
        for partition in 0..2 {
            writer.write(partition, &rows(&vec![number as i64; 500], number)).await.unwrap();
        }
        writer.commit(note()).await.unwrap();
        let compactor = history.compactor(&loans()).await.unwrap();
        let sizes = Sizes { part_bytes: u64::MAX, small_bytes: 100_000 };
        let plan = compactor.plan(sizes).await.unwrap();
        for merge in &plan.merges {
            compactor.merge(&plan, *merge, Instant::from_micros(round), &|_| {}).await.unwrap();
        }
        // Of what this very compaction replaced, some, or not yet.
        compactor.remove_replaced(Instant::from_micros(round - round % 2)).await.unwrap();
        acknowledge(&number.to_string());
    }
}

#[test]
fn a_killed_compactor_leaves_the_history_as_before_or_as_after() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut acknowledged = 0;
    for round in 0..16_u64 {
        let child = child("killed::child_that_commits_and_compacts", dir.path());
        let acked = kill_after(child, 1 + round as usize % 3, std::time::Duration::from_micros(1291 * round));
        acknowledged = acked.last().map_or(acknowledged, |number| number.parse::<u64>().unwrap());
        runtime.block_on(async {
            let history = history(dir.path()).await;
            let snapshot = history.snapshot(&loans(), None).await.unwrap().unwrap();
            assert!(snapshot.commit == acknowledged || snapshot.commit == acknowledged + 1);
            acknowledged = snapshot.commit;
            snapshot.verify().await.unwrap();
            let ids = read_ids(&snapshot, None).await.unwrap();
            let whole: Vec<i64> = (1..=snapshot.commit as i64).flat_map(|number| vec![number; 1000]).collect();
            assert_eq!(ids, whole, "round {round}");
            let half = history.snapshot(&loans(), Some(acknowledged / 2 + 1)).await.unwrap().unwrap();
            assert_eq!(
                read_ids(&half.since(1), None).await.unwrap(),
                whole[1000..(acknowledged as usize / 2 + 1) * 1000]
            );
        });
    }
    let parts = runtime.block_on(async {
        let history = history(dir.path()).await;
        history.snapshot(&loans(), None).await.unwrap().unwrap().parts.len()
    });
    assert!(parts < acknowledged as usize, "{parts} parts of {acknowledged} commits");
}
