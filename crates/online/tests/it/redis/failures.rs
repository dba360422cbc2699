//! A server that is away, restarted, slow, full, locked, not ours, or has lost what it was given.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use karat_core::{Digest, ErrorKind, OnlineError, OnlineStore, StateOf};
use karat_online::{RedisOptions, RedisStore};
use karat_test_support::redis_server::RedisServer;

use super::{entries, open};
use crate::{scan, single};

const KEY: [u8; 4] = 1_u32.to_be_bytes();

fn fetch(store: &RedisStore, definition: &Digest) -> Result<Option<Vec<u8>>, OnlineError> {
    let found = crate::fetch(store, &[StateOf { definition, key: &KEY }])?;
    Ok(found.into_iter().find_map(|(_, _, state)| state))
}

/// What is read, which is also what is fetched, or both fail in the same words.
fn read(store: &RedisStore, definition: &Digest) -> Result<Option<Vec<u8>>, OnlineError> {
    let mut found = None;
    let read = store.read(definition, &KEY, &mut |state| found = Some(state.to_vec())).map(|_| found);
    match (&read, &fetch(store, definition)) {
        (Ok(read), Ok(fetched)) => assert_eq!(read, fetched),
        (Err(read), Err(fetched)) => assert_eq!((read.kind, &read.message), (fetched.kind, &fetched.message)),
        (read, fetched) => panic!("read: {read:?}, fetched: {fetched:?}"),
    }
    read
}

#[track_caller]
fn refused<T>(outcome: Result<T, OnlineError>, kind: ErrorKind, says: &str) {
    let error = outcome.err().expect("it cannot go well");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(says) && !error.message.contains("unguessable"), "{error}");
}

fn try_open(uri: &str) -> Result<RedisStore, OnlineError> {
    RedisStore::open(uri, RedisOptions::default())
}

#[test]
fn a_server_that_is_away_is_named_without_its_password() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let uri = format!("redis://ann:unguessable@127.0.0.1:{port}/2");
    refused(try_open(&uri), ErrorKind::Unavailable, &format!("nothing listens at redis://127.0.0.1:{port}/2"));
    refused(try_open("redis://:unguessable@no-such-host.invalid"), ErrorKind::Unavailable, "cannot be reached");
    refused(try_open("redis://:unguessable@host/x"), ErrorKind::Invalid, "redis://[USER:PASSWORD@]HOST");
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let short = Duration::from_millis(300);
    let options = RedisOptions { connect_timeout: short, answer_timeout: short, ..RedisOptions::default() };
    let uri = format!("redis://{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    refused(RedisStore::open(&uri, options), ErrorKind::Unavailable, "did not answer in time");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_password_is_asked_for_and_never_shown() {
    let test = "redis::failures::a_password_is_asked_for_and_never_shown";
    let Some(server) = RedisServer::start_with_password(test, "unguessable") else { return };
    let port = server.port();
    for uri in [format!("redis://127.0.0.1:{port}"), format!("redis://:wrong@127.0.0.1:{port}")] {
        refused(try_open(&uri), ErrorKind::Unavailable, "does not take the user and password, or wants one");
    }
    let store = open(&server.uri());
    assert_eq!(format!("{store:?}"), format!("RedisStore(\"redis://127.0.0.1:{port}/0\")"));
    refused(try_open(&server.database(99)), ErrorKind::Invalid, "has no such database");
}

#[test]
fn a_restart_in_between_is_not_noticed_and_time_away_is() {
    let test = "redis::failures::a_restart_in_between_is_not_noticed_and_time_away_is";
    let Some(mut server) = RedisServer::start(test) else { return };
    let store = open(&server.uri());
    let definition = Digest::of("restarted");
    store.replace(&definition, &b"one".to_vec(), &mut entries(5000, 1)).unwrap();
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
    server.restart();
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
    server.restart();
    store.put(&definition, &b"two".to_vec(), &mut entries(2, 2)).unwrap();
    server.kill();
    let begun = Instant::now();
    refused(read(&store, &definition), ErrorKind::Unavailable, "nothing listens at redis://127.0.0.1:");
    refused(store.put(&definition, &vec![], &mut entries(2, 3)), ErrorKind::Unavailable, "nothing listens at");
    refused(store.replace(&definition, &vec![], &mut entries(2, 3)), ErrorKind::Unavailable, "nothing listens at");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    server.restart();
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![2; 100]));
    assert_eq!(store.definitions().unwrap(), [(definition, 5000)]);
}

#[test]
fn a_restart_in_the_middle_of_a_write_leaves_nothing_of_it() {
    let test = "redis::failures::a_restart_in_the_middle_of_a_write_leaves_nothing_of_it";
    let Some(mut server) = RedisServer::start(test) else { return };
    let options = RedisOptions { chunk_bytes: 1, turn: Duration::from_secs(2), ..RedisOptions::default() };
    let store = RedisStore::open(&server.uri(), options).unwrap();
    let definition = Digest::of("restarted");
    store.replace(&definition, &b"one".to_vec(), &mut entries(50, 1)).unwrap();
    let before = scan(&store, &definition);
    for large in [<RedisStore as OnlineStore>::put, <RedisStore as OnlineStore>::replace] {
        let mut given = 0;
        let mut restarting = entries(50, 2).inspect(|_| {
            given += 1;
            if given == 30 {
                server.restart();
            }
        });
        let failed = large(&store, &definition, &b"two".to_vec(), &mut restarting);
        drop(restarting);
        refused(failed, ErrorKind::Unavailable, "cannot be reached");
        assert_eq!(scan(&store, &definition), before);
    }
    store.replace(&definition, &b"three".to_vec(), &mut entries(50, 3)).unwrap();
    assert_eq!(scan(&store, &definition), entries(50, 3).collect::<Vec<_>>());
    assert_eq!(server.command(&["KEYS", "karat:states:*"]).lines().count(), 1);
}

#[test]
fn an_answer_that_comes_too_late_is_nobody_elses() {
    let test = "redis::failures::an_answer_that_comes_too_late_is_nobody_elses";
    let Some(server) = RedisServer::start(test) else { return };
    let options = RedisOptions { answer_timeout: Duration::from_millis(200), ..RedisOptions::default() };
    let store = RedisStore::open(&server.uri(), options).unwrap();
    let definitions = [Digest::of("late: one"), Digest::of("late: two")];
    for (state, definition) in (1..).zip(&definitions) {
        store.put(definition, &vec![], &mut entries(5, state)).unwrap();
    }
    assert_eq!(read(&store, &definitions[0]).unwrap(), Some(vec![1; 100]));
    server.command(&["CLIENT", "PAUSE", "1200", "ALL"]);
    refused(read(&store, &definitions[0]), ErrorKind::Unavailable, "did not answer in time");
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(read(&store, &definitions[1]).unwrap(), Some(vec![2; 100]));
}

/// Between a store and its server: lets go no more of what comes over some connections, which stay open.
struct Proxy {
    port: u16,
    /// Connections up to this one are silent.
    silent: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Proxy {
    fn before(server: &RedisServer) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (silent, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), silent: silent.clone(), made: made.clone() };
        let port = server.port();
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let number = made.fetch_add(1, Ordering::SeqCst) + 1;
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    let silent = silent.clone();
                    std::thread::spawn(move || {
                        let mut bytes = [0; 65_536];
                        while let Ok(read @ 1..) = from.read(&mut bytes) {
                            if number > silent.load(Ordering::SeqCst) && to.write_all(&bytes[..read]).is_err() {
                                break;
                            }
                        }
                    });
                }
            }
        });
        proxy
    }

    /// A store behind it, soon out of patience.
    fn store(&self) -> RedisStore {
        let short = Duration::from_millis(300);
        let options = RedisOptions { connect_timeout: short, answer_timeout: short, ..RedisOptions::default() };
        RedisStore::open(&format!("redis://127.0.0.1:{}", self.port), options).unwrap()
    }

    fn silence_those_made(&self) {
        self.silent.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

#[test]
fn a_connection_that_fell_silent_is_given_up() {
    let Some(server) = RedisServer::start("redis::failures::a_connection_that_fell_silent_is_given_up") else { return };
    let proxy = Proxy::before(&server);
    let store = proxy.store();
    let definition = Digest::of("silent");
    store.put(&definition, &vec![], &mut entries(5, 1)).unwrap();
    for _ in 0..2 {
        assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
        proxy.silence_those_made();
        refused(read(&store, &definition), ErrorKind::Unavailable, "did not answer in time");
    }
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
}

#[test]
fn those_who_wait_for_one_connection_are_told_together_why_there_is_none() {
    let test = "redis::failures::those_who_wait_for_one_connection_are_told_together_why_there_is_none";
    let Some(server) = RedisServer::start(test) else { return };
    let proxy = Proxy::before(&server);
    let store = proxy.store();
    let definition = Digest::of("away");
    proxy.silent.store(usize::MAX, Ordering::SeqCst);
    let begun = Instant::now();
    single().block_on(async {
        let asked = (0..50).map(|_| store.fetch(&[StateOf { definition: &definition, key: &KEY }]));
        for fetched in futures::future::join_all(asked).await {
            refused(fetched, ErrorKind::Unavailable, "did not answer in time");
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}, where one takes 0.3 s", begun.elapsed());
}

#[test]
fn forgotten_scripts_are_told_again() {
    let Some(server) = RedisServer::start("redis::failures::forgotten_scripts_are_told_again") else { return };
    let store = open(&server.uri());
    let definition = Digest::of("scripts");
    store.put(&definition, &vec![], &mut entries(5, 1)).unwrap();
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(fetch(&store, &definition).unwrap(), Some(vec![1; 100]));
    server.command(&["SCRIPT", "FLUSH"]);
    store.put(&definition, &vec![], &mut entries(5, 2)).unwrap();
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![2; 100]));
}

#[test]
fn a_newer_format_is_refused_when_opening_and_when_writing() {
    let test = "redis::failures::a_newer_format_is_refused_when_opening_and_when_writing";
    let Some(server) = RedisServer::start(test) else { return };
    let store = open(&server.uri());
    let definition = Digest::of("format");
    store.put(&definition, &vec![], &mut entries(5, 1)).unwrap();
    // On connections that were made before, what is there can still be read.
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
    server.command(&["SET", "karat:format", "3"]);
    let fetched = single().block_on(store.fetch(&[StateOf { definition: &definition, key: &KEY }]));
    refused(fetched, ErrorKind::Refused, "has format version 3, this Karat knows 2");
    refused(try_open(&server.uri()), ErrorKind::Refused, "has format version 3, this Karat knows 2");
    refused(store.put(&definition, &vec![], &mut entries(5, 2)), ErrorKind::Refused, "use a newer Karat");
    refused(store.replace(&definition, &vec![], &mut entries(5, 2)), ErrorKind::Refused, "use a newer Karat");
    refused(store.drop_definition(&definition), ErrorKind::Refused, "use a newer Karat");
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
    server.command(&["SET", "karat:format", "first"]);
    refused(try_open(&server.uri()), ErrorKind::Corrupt, "its format version is unreadable");
}

#[test]
fn keys_of_others_are_not_taken_for_ours() {
    let Some(server) = RedisServer::start("redis::failures::keys_of_others_are_not_taken_for_ours") else { return };
    let store = open(&server.uri());
    let definition = Digest::of("wrong type");
    server.command(&["SET", &format!("karat:definition:{definition}"), "somebody's"]);
    refused(read(&store, &definition), ErrorKind::Corrupt, "holds keys that Karat did not write");
    refused(store.note(&definition), ErrorKind::Corrupt, "holds keys that Karat did not write");
    refused(store.put(&definition, &vec![], &mut entries(5, 1)), ErrorKind::Corrupt, "of its own");
}

/// A key evicted is not a client without history.
#[test]
fn state_that_was_evicted_is_missed() {
    let Some(server) = RedisServer::start("redis::failures::state_that_was_evicted_is_missed") else { return };
    let store = open(&server.uri());
    let definition = Digest::of("evicted");
    store.put(&definition, &vec![], &mut entries(5, 1)).unwrap();
    let name = server.command(&["KEYS", "karat:states:*"]);
    server.command(&["DEL", &name]);
    for outcome in [
        read(&store, &definition).map(drop),
        store.put(&definition, &vec![], &mut entries(5, 2)),
        store.scan(&definition, &mut |_, _| ()),
    ] {
        refused(outcome, ErrorKind::Corrupt, "its maxmemory-policy must be noeviction");
    }
    store.replace(&definition, &vec![], &mut entries(5, 3)).unwrap();
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![3; 100]));
}

#[test]
fn a_full_server_says_so_and_keeps_what_it_had() {
    let Some(server) = RedisServer::start("redis::failures::a_full_server_says_so_and_keeps_what_it_had") else {
        return;
    };
    let store = open(&server.uri());
    let definition = Digest::of("full");
    store.replace(&definition, &b"fits".to_vec(), &mut entries(2000, 1)).unwrap();
    let before = scan(&store, &definition);
    server.command(&["CONFIG", "SET", "maxmemory", "6mb"]);
    for large in [<RedisStore as OnlineStore>::put, <RedisStore as OnlineStore>::replace] {
        let failed = large(&store, &definition, &b"too much".to_vec(), &mut entries(200_000, 2));
        refused(failed, ErrorKind::Unavailable, "is full: raise its maxmemory");
        assert_eq!(scan(&store, &definition), before);
        assert_eq!(store.note(&definition).unwrap().unwrap(), b"fits");
    }
    assert_eq!(server.command(&["KEYS", "karat:states:*"]).lines().count(), 1, "what was filled is given back");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.put(&definition, &b"more".to_vec(), &mut entries(20_000, 3)).unwrap();
    assert_eq!(store.definitions().unwrap(), [(definition, 20_000)]);
}

#[test]
fn a_replica_is_read_and_not_written() {
    let Some(server) = RedisServer::start("redis::failures::a_replica_is_read_and_not_written") else { return };
    let Some(replica) = RedisServer::start("redis::failures::a_replica_is_read_and_not_written") else { return };
    let definition = Digest::of("replica");
    open(&server.uri()).put(&definition, &vec![], &mut entries(5, 1)).unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    let begun = Instant::now();
    while replica.command(&["EXISTS", "karat:format"]) != "1" {
        assert!(begun.elapsed() < Duration::from_secs(30), "the replica does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    let store = open(&replica.uri());
    assert_eq!(read(&store, &definition).unwrap(), Some(vec![1; 100]));
    refused(store.put(&definition, &vec![], &mut entries(5, 2)), ErrorKind::Unavailable, "is a read-only replica");
    refused(store.replace(&definition, &vec![], &mut entries(5, 2)), ErrorKind::Unavailable, "is a read-only replica");
}
