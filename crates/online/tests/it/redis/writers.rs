//! Several writers: at once, and one that is stopped and wakes up when its turn is long over.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use karat_core::{Digest, OnlineStore};
use karat_online::{RedisOptions, RedisStore};
use karat_test_support::redis_server::RedisServer;

use super::{entries, open};
use crate::{open_split, scan};

const CHILD: &str = "KARAT_ONLINE_TEST_SLOW_CHILD";

fn definition() -> Digest {
    Digest::of("writers")
}

/// Four writers over stores of their own put keys of their own, most of them in many steps; none undoes another's.
#[test]
fn no_update_is_lost_between_writers() {
    const ROUNDS: u8 = 12;
    let Some(server) = RedisServer::start("redis::writers::no_update_is_lost_between_writers") else { return };
    let keys = |writer: u8, round: u8| (0..40).map(move |n| (vec![writer, n], vec![round; 30]));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let uri = server.uri();
            scope.spawn(move || {
                let store = open_split(&uri);
                for round in 0..ROUNDS {
                    // The last round writes all keys, the others fewer and fewer.
                    let skip = usize::from(ROUNDS - 1 - round) * 3;
                    store.put(&definition(), &vec![writer], &mut keys(writer, round).skip(skip)).unwrap();
                }
            });
        }
    });
    let expected: Vec<_> = (0..4).flat_map(|writer| keys(writer, ROUNDS - 1)).collect();
    let store = open(&server.uri());
    assert_eq!(scan(&store, &definition()), expected);
    assert_eq!(store.definitions().unwrap(), [(definition(), 160)]);
    assert_eq!(server.command(&["KEYS", "karat:states:*"]).lines().count(), 1);
}

/// Each replacement is seen whole, whichever of the writers made it.
#[test]
fn replacements_of_two_writers_do_not_mix() {
    let Some(server) = RedisServer::start("redis::writers::replacements_of_two_writers_do_not_mix") else { return };
    open(&server.uri()).replace(&definition(), &vec![0; 100], &mut entries(60, 0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers = [1, 2].map(|writer| {
            let uri = server.uri();
            scope.spawn(move || {
                let store = open_split(&uri);
                for _ in 0..15 {
                    store.replace(&definition(), &vec![writer; 100], &mut entries(60, writer)).unwrap();
                }
            })
        });
        let reader = scope.spawn(|| {
            let store = open(&server.uri());
            let mut reads = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let known = store.read_noted(&definition(), &(reads % 60).to_be_bytes(), &mut |note, state| {
                    assert_eq!(Some(note), state, "the state of one replacement under the note of another");
                });
                assert!(known.unwrap());
                reads += 1;
            }
            reads
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let store = open(&server.uri());
    let note = store.note(&definition()).unwrap().unwrap();
    assert_eq!(scan(&store, &definition()), entries(60, note[0]).collect::<Vec<_>>());
}

/// Writes for about six seconds, says when it began, and how it ended.
#[test]
fn child_that_writes_slowly() {
    let Ok(uri) = std::env::var(CHILD) else { return };
    let store = open_split(&uri);
    let mut slow = entries(300, 1).inspect(|(key, _)| {
        if key.as_slice() == 20_u32.to_be_bytes() {
            writeln!(std::io::stdout(), "begun").unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    });
    let outcome = store.replace(&definition(), &b"slow".to_vec(), &mut slow);
    writeln!(std::io::stdout(), "ended {:?}", outcome.map_err(|error| error.kind)).unwrap();
}

fn slow_child(uri: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["redis::writers::child_that_writes_slowly", "--exact", "--nocapture"])
        .env(CHILD, uri)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map(Result::unwrap))
}

fn signal(child: &Child, signal: &str) {
    // The shell's own kill: a bare machine has no other.
    let kill = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn a_slow_writer_keeps_its_turn() {
    let Some(server) = RedisServer::start("redis::writers::a_slow_writer_keeps_its_turn") else { return };
    let (mut child, mut lines) = slow_child(&server.uri());
    lines.find(|line| line.ends_with("begun")).unwrap();
    // Three times as long as an unrenewed turn.
    let store = open(&server.uri());
    store.put(&definition(), &b"after".to_vec(), &mut entries(1, 2)).unwrap();
    assert!(lines.find(|line| line.contains("ended")).unwrap().ends_with("ended Ok(())"));
    assert!(child.wait().unwrap().success());
    let expected: Vec<_> = entries(1, 2).chain(entries(300, 1).skip(1)).collect();
    assert_eq!(scan(&store, &definition()), expected, "the small write came after the large one");
}

#[test]
fn a_writer_that_was_stopped_for_too_long_writes_nothing_more() {
    let test = "redis::writers::a_writer_that_was_stopped_for_too_long_writes_nothing_more";
    let Some(server) = RedisServer::start(test) else { return };
    let (mut child, mut lines) = slow_child(&server.uri());
    lines.find(|line| line.ends_with("begun")).unwrap();
    signal(&child, "STOP");
    let options = RedisOptions { chunk_bytes: 100, ..RedisOptions::default() };
    let store = RedisStore::open(&server.uri(), options).unwrap();
    store.replace(&definition(), &b"other".to_vec(), &mut entries(50, 2)).unwrap();
    signal(&child, "CONT");
    assert!(lines.find(|line| line.contains("ended")).unwrap().ends_with("ended Err(Conflict)"));
    child.wait().unwrap();
    assert_eq!(store.note(&definition()).unwrap().unwrap(), b"other");
    assert_eq!(scan(&store, &definition()), entries(50, 2).collect::<Vec<_>>());
    assert_eq!(server.command(&["KEYS", "karat:states:*"]).lines().count(), 1);
    assert_eq!(server.command(&["EXISTS", "karat:garbage", "karat:writer"]), "0");
}
