//! A writing process is killed again and again; whatever it had acknowledged is there, whole.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use karat_core::Digest;
use karat_test_support::redis_server::RedisServer;

use crate::{open_split, scan};

const CHILD: &str = "KARAT_ONLINE_TEST_CHILD";
const KEYS: u64 = 60;

fn definition() -> Digest {
    Digest::of("killed")
}

/// Writes version after version under every key, each split in many transactions; acknowledges on stdout.
#[test]
fn child_that_writes_until_killed() {
    let Ok(uri) = std::env::var(CHILD) else { return };
    let store = open_split(&uri);
    let from = store.note(&definition()).unwrap().map_or(0, |note| u64::from_le_bytes(note.try_into().unwrap()));
    for version in from + 1.. {
        let mut entries = (0..KEYS).map(|key| (key.to_be_bytes().to_vec(), version.to_le_bytes().to_vec()));
        let note = version.to_le_bytes().to_vec();
        if version % 2 == 0 {
            store.put(&definition(), &note, &mut entries).unwrap();
        } else {
            store.replace(&definition(), &note, &mut entries).unwrap();
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "acked {version}").unwrap();
        out.flush().unwrap();
    }
}

fn child(uri: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["killed::child_that_writes_until_killed", "--exact", "--nocapture"]).env(CHILD, uri);
    command.stderr(Stdio::null());
    command
}

#[test]
fn a_killed_writer_of_lmdb_leaves_whole_versions() {
    let dir = tempfile::tempdir().unwrap();
    a_killed_writer_leaves_whole_versions(&format!("lmdb://{}", dir.path().display()));
}

#[test]
fn a_killed_writer_of_redis_leaves_whole_versions() {
    let Some(server) = RedisServer::start("killed::a_killed_writer_of_redis_leaves_whole_versions") else { return };
    a_killed_writer_leaves_whole_versions(&server.uri());
    // Whoever writes next removes what was left.
    let one = || [(b"a".to_vec(), b"b".to_vec())].into_iter();
    open_split(&server.uri()).replace(&definition(), &vec![], &mut one()).unwrap();
    assert_eq!(server.command(&["KEYS", "karat:states:*"]).lines().count(), 1);
    assert_eq!(server.command(&["EXISTS", "karat:garbage", "karat:writer"]), "0");
}

fn a_killed_writer_leaves_whole_versions(uri: &str) {
    let mut acked = 0;
    for round in 0..12_u64 {
        let mut child = child(uri).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = acked + 1 + round % 3;
        while acked < wanted {
            let line = lines.next().expect("the child goes on until it is killed").unwrap();
            if let Some((_, version)) = line.split_once("acked ") {
                acked = version.parse().unwrap();
            }
        }
        std::thread::sleep(std::time::Duration::from_micros(997 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some((_, version)) = line.split_once("acked ") {
                acked = version.parse().unwrap();
            }
        }

        let store = open_split(uri);
        let note = store.note(&definition()).unwrap().unwrap();
        let version = u64::from_le_bytes(note.clone().try_into().unwrap());
        assert!(version == acked || version == acked + 1, "acknowledged {acked}, found {version}");
        let whole: Vec<_> = (0..KEYS).map(|key| (key.to_be_bytes().to_vec(), note.clone())).collect();
        assert_eq!(scan(store.as_ref(), &definition()), whole);
        assert_eq!(store.definitions().unwrap(), [(definition(), KEYS)]);
        acked = version;
    }
}

#[test]
fn readers_of_lmdb_follow_a_writer_in_another_process() {
    let dir = tempfile::tempdir().unwrap();
    readers_follow_a_writer(&format!("lmdb://{}", dir.path().display()));
}

#[test]
fn readers_of_redis_follow_a_writer_in_another_process() {
    let test = "killed::readers_of_redis_follow_a_writer_in_another_process";
    let Some(server) = RedisServer::start(test) else { return };
    readers_follow_a_writer(&server.uri());
}

fn readers_follow_a_writer(uri: &str) {
    let store = open_split(uri);
    let mut child = child(uri).stdout(Stdio::null()).spawn().unwrap();
    let (mut newest, mut reads) = (0, 0_u64);
    while newest < 25 {
        for key in 0..KEYS {
            store
                .read(&definition(), &key.to_be_bytes(), &mut |state| {
                    let version = u64::from_le_bytes(state.try_into().unwrap());
                    assert!(version >= newest, "version {version} after {newest}");
                    newest = version;
                    reads += 1;
                })
                .unwrap();
        }
        assert!(child.try_wait().unwrap().is_none(), "the child goes on until it is killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reads > 0);
}
