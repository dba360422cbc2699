//! Rows that are pushed one group after the other: read at once, sealed into commits, each there once.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use karat_core::{Instant, hidden};
use karat_history::log::Durability;
use karat_history::{CommitNote, History, HistoryError, PushHead, PushWriter, PushedRows, Snapshot};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{World, columns, loans, note, read, read_ids, rows};

pub fn head() -> PushHead {
    let sorted_by = ["id", hidden::KNOWN_TIME, hidden::COMMIT, hidden::ROW].map(str::to_owned).to_vec();
    PushHead { columns: columns(), sorted_by, definition: Some(json!({"rows": "as declared"})) }
}

pub async fn pusher(history: &History) -> PushWriter {
    history.pusher(&loans(), head(), Durability::Crash).await.unwrap()
}

/// Pushes these ids under one number, which is given back; an id's last digit says its partition.
pub fn push(writer: &mut PushWriter, ids: &[i64]) -> u64 {
    let number = writer.next();
    let partitions: Vec<u32> = ids.iter().map(|id| (id % 10) as u32 % writer.partitions()).collect();
    let counts = json!({"read": ids.len(), "accepted": ids.len()});
    let at = Instant::from_micros(number as i64);
    let group = PushedRows { at, counts: &counts, rows: &rows(ids, number), partitions: &partitions };
    writer.append(&[group]).unwrap();
    number
}

async fn at(history: &History, up_to: Option<u64>) -> Snapshot {
    history.snapshot(&loans(), up_to).await.unwrap().unwrap()
}

async fn sorted_ids(snapshot: &Snapshot) -> Vec<i64> {
    let mut ids = read_ids(snapshot, None).await.unwrap();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_source_that_takes_pushes_has_a_history_before_the_first() {
    let world = World::new().await;
    assert!(world.history.snapshot(&loans(), None).await.unwrap().is_none());
    let mut writer = pusher(&world.history).await;
    for up_to in [None, Some(0), Some(7)] {
        let empty = at(&world.history, up_to).await;
        assert_eq!((empty.commit, empty.first, empty.rows(), empty.partitions), (0, 0, 0, 8));
        assert_eq!((empty.columns.clone(), empty.definition.clone()), (columns(), head().definition));
        assert!(read_ids(&empty, None).await.unwrap().is_empty());
    }
    push(&mut writer, &[5]);
    writer.turn_over().await.unwrap().run().await.unwrap();
    // Whoever read it then reads the same again.
    assert_eq!((at(&world.history, Some(0)).await.commit, at(&world.history, Some(0)).await.rows()), (0, 0));
}

#[tokio::test]
async fn what_is_pushed_is_read_at_once_and_stays_the_same_once_sealed() {
    let world = World::new().await;
    world.commit(0, 2).await;
    let mut writer = pusher(&world.history).await;
    assert_eq!((writer.next(), writer.partitions()), (2, 2));
    for ids in [[10, 21].as_slice(), &[33], &[], &[41, 52, 53]] {
        push(&mut writer, ids);
    }
    let look = async |history: &History| {
        let mut seen = Vec::new();
        for up_to in 0..7 {
            let Some(snapshot) = history.snapshot(&loans(), Some(up_to)).await.unwrap() else {
                seen.push((0, 0, Vec::new(), Vec::new()));
                continue;
            };
            let since = snapshot.since(3);
            seen.push((snapshot.commit, snapshot.first, sorted_ids(&snapshot).await, sorted_ids(&since).await));
            let odd: Vec<i64> = read_ids(&snapshot, Some(1)).await.unwrap();
            assert!(odd.iter().all(|id| id % 2 == 1), "{odd:?}");
            snapshot.verify().await.unwrap();
        }
        seen
    };
    let before = look(&world.history).await;
    assert_eq!(before[2], (2, 1, vec![0, 1, 10, 21], vec![]));
    assert_eq!(before[6], (5, 1, vec![0, 1, 10, 21, 33, 41, 52, 53], vec![41, 52, 53]));
    let newest = at(&world.history, None).await;
    assert_eq!((newest.at, newest.definition.clone()), (Instant::from_micros(5), head().definition));

    let sealed = writer.turn_over().await.unwrap().run().await.unwrap().unwrap();
    assert_eq!((sealed.number, sealed.pushed_from, sealed.rows), (5, Some(2), 6));
    assert_eq!(sealed.counts, json!({"read": 6, "accepted": 6}));
    assert_eq!(look(&world.history).await, before);
    // Of every type, and with its own number.
    let batches = read(&at(&world.history, None).await, &columns(), Some(0)).await.unwrap();
    assert!(batches.iter().any(|batch| batch.num_rows() > 0 && batch.slice(0, 1) == rows(&[10], 2)), "{batches:?}");
    assert_eq!(push(&mut writer, &[60]), 6);
    assert_eq!(sorted_ids(&at(&world.history, None).await).await, [0, 1, 10, 21, 33, 41, 52, 53, 60]);

    // A snapshot of before goes on reading what it held.
    assert_eq!(sorted_ids(&newest).await, before[6].2);
    drop(writer);
    // Whoever commits next seals what is left.
    world.commit(70, 72).await;
    assert!(!world.file("loans/pushed-000006").exists());
    let commits = world.history.commits(&loans()).await.unwrap();
    assert_eq!(
        commits.iter().map(|c| (c.pushed_from, c.number)).collect::<Vec<_>>(),
        [(None, 1), (Some(2), 5), (Some(6), 6), (None, 7)]
    );
    assert_eq!(sorted_ids(&at(&world.history, None).await).await, [0, 1, 10, 21, 33, 41, 52, 53, 60, 70, 71]);
}

#[tokio::test]
async fn one_writer_at_a_time_and_the_error_says_what_to_do() {
    let world = World::new().await;
    let mut writer = pusher(&world.history).await;
    let refused = [
        world.history.writer(&loans(), &columns()).await.map(drop),
        world.again().pusher(&loans(), head(), Durability::Crash).await.map(drop),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(matches!(error, HistoryError::Locked { .. }), "{error}");
        assert!(error.to_string().ends_with("push the rows to it, or stop it first"), "{error}");
    }
    // A sealing under way keeps the source, whatever becomes of the writer.
    push(&mut writer, &[1]);
    let sealing = writer.turn_over().await.unwrap();
    drop(writer);
    assert!(world.history.writer(&loans(), &columns()).await.is_err());
    sealing.run().await.unwrap();
    let writer = world.history.writer(&loans(), &columns()).await.unwrap();
    let error = world.again().pusher(&loans(), head(), Durability::Crash).await.unwrap_err();
    assert!(error.to_string().ends_with("wait until that is done"), "{error}");
    drop(writer);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What a process leaves that is killed between any two steps of sealing.
#[tokio::test]
async fn a_sealing_cut_short_anywhere_leaves_each_row_once() {
    let world = World::new().await;
    let mut writer = pusher(&world.history).await;
    push(&mut writer, &[1, 2, 3]);
    push(&mut writer, &[4]);
    let (log, aside) = (world.file("loans/pushed-000001"), world.dir.path().join("aside"));
    copy(&log, &aside);
    // Parts of a commit that was not made.
    let half = world.file("loans/commit-000001");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("part-003.parquet"), b"half").unwrap();
    assert_eq!(sorted_ids(&at(&world.history, None).await).await, [1, 2, 3, 4]);
    writer.turn_over().await.unwrap().run().await.unwrap().unwrap();
    assert!(!log.exists());
    // A log that was not removed.
    copy(&aside, &log);
    push(&mut writer, &[5]);
    assert_eq!(sorted_ids(&at(&world.again(), None).await).await, [1, 2, 3, 4, 5]);
    drop(writer);
    let writer = pusher(&world.again()).await;
    assert!(!log.exists());
    assert_eq!(writer.next(), 4);
    assert_eq!(sorted_ids(&at(&world.history, None).await).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_is_missing_or_damaged_is_an_error() {
    let world = World::new().await;
    let mut writer = pusher(&world.history).await;
    push(&mut writer, &[1]);
    drop(writer.turn_over().await.unwrap());
    push(&mut writer, &[2]);
    drop(writer);
    let log = world.file("loans/pushed-000001");
    std::fs::remove_dir_all(&log).unwrap();
    let error = world.history.snapshot(&loans(), None).await.unwrap_err();
    assert!(error.to_string().contains("what was pushed after commit 0 is missing"), "{error}");
    let error = world.history.writer(&loans(), &columns()).await.unwrap_err();
    assert!(matches!(error, HistoryError::Corrupt { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_all_that_was_acknowledged_while_it_is_sealed() {
    let world = World::new().await;
    let mut writer = pusher(&world.history).await;
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (history, done, acknowledged) = (world.again(), done.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let mut looks = 0;
                while !done.load(Ordering::SeqCst) {
                    let least = acknowledged.load(Ordering::SeqCst);
                    let Some(snapshot) = history.snapshot(&loans(), None).await.unwrap() else { continue };
                    let ids = sorted_ids(&snapshot).await;
                    assert_eq!(ids, (1..=snapshot.commit as i64).collect::<Vec<_>>());
                    assert!(snapshot.commit as i64 >= least, "{} of {least}", snapshot.commit);
                    looks += 1;
                }
                looks
            })
        })
        .collect();
    for id in 1..=300 {
        push(&mut writer, &[id]);
        acknowledged.store(id, Ordering::SeqCst);
        if id % 20 == 0 {
            writer.turn_over().await.unwrap().run().await.unwrap();
        }
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

/// What is done to a source, one after the other.
#[derive(Debug, Clone, Copy)]
enum Step {
    Push(u8),
    Seal,
    Commit(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4).prop_map(Step::Push),
        2 => Just(Step::Seal),
        1 => (0u8..4).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever is done in whatever order, every number holds what was given it, seen up to any other.
    #[test]
    fn any_order_of_pushes_seals_and_commits(steps in prop::collection::vec(step(), 1..14)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let world = World::new().await;
            let mut writer = Some(pusher(&world.history).await);
            let (mut by_number, mut id) = (Vec::<Vec<i64>>::new(), 0);
            for step in steps {
                let mut ids = |count: u8| (0..count).map(|_| { id += 1; id }).collect::<Vec<i64>>();
                match step {
                    Step::Push(count) => {
                        let ids = ids(count);
                        push(writer.as_mut().unwrap(), &ids);
                        by_number.push(ids);
                    }
                    Step::Seal => drop(writer.as_mut().unwrap().turn_over().await.unwrap().run().await.unwrap()),
                    Step::Reopen => {
                        drop(writer.take());
                        writer = Some(pusher(&world.history).await);
                    }
                    Step::Commit(count) => {
                        drop(writer.take());
                        let ids = ids(count);
                        let mut commit = world.writer().await;
                        let partitions = commit.partitions().unwrap_or(8);
                        commit.write(0, &rows(&ids, commit.number())).await.unwrap();
                        commit.commit(CommitNote { partitions, ..note() }).await.unwrap();
                        by_number.push(ids);
                        writer = Some(pusher(&world.history).await);
                    }
                }
            }
            for up_to in 0..=by_number.len() {
                let expected: Vec<i64> = by_number[..up_to].iter().flatten().copied().collect();
                match world.history.snapshot(&loans(), Some(up_to as u64)).await.unwrap() {
                    Some(snapshot) => {
                        assert_eq!(snapshot.commit, up_to as u64);
                        assert_eq!(sorted_ids(&snapshot).await, expected);
                        for after in 0..=up_to {
                            let later: Vec<i64> = by_number[after..up_to].iter().flatten().copied().collect();
                            assert_eq!(sorted_ids(&snapshot.since(after as u64)).await, later);
                        }
                    }
                    None => assert_eq!(up_to, 0),
                }
            }
        });
    }
}
