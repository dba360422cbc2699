//! What Redis alone can do to a store.

mod failures;
mod writers;

use karat_core::{Digest, HEADED, OnlineStore, StateOf};
use karat_online::{RedisOptions, RedisStore};
use karat_test_support::redis_server::RedisServer;

use crate::{a_read_inside_a_read, contract, fetch, found, single, split_redis};

fn open(uri: &str) -> RedisStore {
    RedisStore::open(uri, RedisOptions::default()).unwrap()
}

fn entries(count: u32, state: u8) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..count).map(move |n| (n.to_be_bytes().to_vec(), vec![state; 100]))
}

#[test]
fn redis_keeps_the_contract() {
    let Some(server) = RedisServer::start("redis::redis_keeps_the_contract") else { return };
    contract::check(&open(&server.uri()));
}

#[test]
fn redis_keeps_the_contract_when_every_write_is_split() {
    let Some(server) = RedisServer::start("redis::redis_keeps_the_contract_when_every_write_is_split") else { return };
    contract::check(&RedisStore::open(&server.uri(), split_redis()).unwrap());
    assert_eq!(server.command(&["EXISTS", "karat:garbage", "karat:writer"]), "0");
}

#[test]
fn a_read_inside_a_read_is_fine() {
    let Some(server) = RedisServer::start("redis::a_read_inside_a_read_is_fine") else { return };
    a_read_inside_a_read(&RedisStore::open(&server.uri(), split_redis()).unwrap());
}

#[test]
fn databases_and_prefixes_are_stores_of_their_own() {
    let Some(server) = RedisServer::start("redis::databases_and_prefixes_are_stores_of_their_own") else { return };
    let uris = [server.uri(), server.database(1), server.uri() + "?prefix=other"];
    let stores = uris.map(|uri| open(&uri));
    let definition = Digest::of("one");
    for (number, store) in (0..).zip(&stores) {
        store.put(&definition, &vec![number], &mut entries(10, number)).unwrap();
    }
    for (number, store) in (0..).zip(&stores) {
        assert_eq!(store.note(&definition).unwrap(), Some(vec![number]));
    }
}

#[test]
fn what_is_fetched_on_one_runtime_goes_over_one_connection() {
    let test = "redis::what_is_fetched_on_one_runtime_goes_over_one_connection";
    let Some(server) = RedisServer::start(test) else { return };
    let store = open(&server.uri());
    let definition = Digest::of("shared");
    store.put(&definition, &vec![], &mut entries(100, 7)).unwrap();
    for runtime in 1..=2 {
        single().block_on(async {
            let keys: Vec<[u8; 4]> = (0..100_u32).map(u32::to_be_bytes).collect();
            let all = keys.iter().map(|key| store.fetch(&[StateOf { definition: &definition, key }]));
            for fetched in futures::future::join_all(all).await {
                assert_eq!(found(&fetched.unwrap()), [(0, vec![], Some(vec![7; 100]))]);
            }
            // Beside the one of those who wait, and the one that asks.
            assert_eq!(server.command(&["CLIENT", "LIST"]).lines().count(), 3, "runtime {runtime}");
        });
    }
}

/// More keys than one command takes, of a large write that was not merged yet: they lie under two generations.
#[test]
fn any_number_of_keys_is_read_over_both_generations() {
    let test = "redis::any_number_of_keys_is_read_over_both_generations";
    let Some(server) = RedisServer::start(test) else { return };
    let store = open(&server.uri());
    let definition = Digest::of("overlay");
    let keys: Vec<Vec<u8>> = (0..3000).map(|n| format!("{n:04}").into_bytes()).collect();
    let mut written = keys[..2500].iter().map(|key| (key.clone(), b"base".to_vec()));
    store.put(&definition, &vec![9], &mut written).unwrap();
    server.command(&["HSET", &format!("karat:definition:{definition}"), "overlay", "77"]);
    server.command(&["HSET", "karat:states:77", "0007", "newer", "1999", "newer", "2777", "newer"]);
    let asked: Vec<StateOf<'_>> = keys.iter().map(|key| StateOf { definition: &definition, key }).collect();
    let expected = (0..3000).map(|place| match place {
        7 | 1999 | 2777 => (place, vec![9], Some(b"newer".to_vec())),
        0..2500 => (place, vec![9], Some(b"base".to_vec())),
        _ => (place, vec![9], None),
    });
    assert_eq!(fetch(&store, &asked).unwrap(), expected.collect::<Vec<_>>());
    server.command(&["DEL", "karat:states:77"]);
    let error = fetch(&store, &asked[..1]).unwrap_err();
    assert!(error.message.contains("has lost state that was written"), "{error}");
}

/// Karats from before wrote a head and what stands behind it in one place; now these are two, and both have to be there.
#[test]
fn what_stands_behind_a_head_has_a_place_of_its_own() {
    let test = "redis::what_stands_behind_a_head_has_a_place_of_its_own";
    let Some(server) = RedisServer::start(test) else { return };
    let store = open(&server.uri());
    let definition = Digest::of("tails");
    store.put(&definition, &vec![], &mut entries(1, 0)).unwrap();
    let state = |rest: &str| [&HEADED[..], &[12, 0, 0, 0], rest.as_bytes()].concat();
    let read = |key: &str| {
        let mut found = Vec::new();
        store.read(&definition, key.as_bytes(), &mut |state| found = state.to_vec()).map(|_| found)
    };
    let answers = |key: &str| fetch(&store, &[StateOf { definition: &definition, key: key.as_bytes() }]);
    server.command(&["EVAL", r"redis.call('HSET', 'karat:states:1', 'old', '\2KSH\12\0\0\0readold')", "0"]);
    server.command(&["SET", "karat:format", "1"]);
    assert_eq!(read("old").unwrap(), state("readold"));
    assert_eq!(answers("old").unwrap(), [(0, vec![], Some(state("read")))]);
    let new = (b"new".to_vec(), state("readchanged"));
    store.put(&definition, &vec![], &mut [new].into_iter()).unwrap();
    assert_eq!(server.command(&["GET", "karat:format"]), "2");
    assert_eq!(server.command(&["HGET", "karat:tails:1", "new"]), "changed");
    assert_eq!(server.command(&["HSTRLEN", "karat:states:1", "new"]), "12");
    assert_eq!(read("new").unwrap(), state("readchanged"));
    // The same key over it, of a large write that was not merged yet.
    server.command(&["HSET", &format!("karat:definition:{definition}"), "overlay", "77"]);
    server.command(&["EVAL", r"redis.call('HSET', 'karat:states:77', 'new', '\2KSH\12\0\0\0over')", "0"]);
    server.command(&["HSET", "karat:tails:77", "new", "the old"]);
    assert_eq!(read("new").unwrap(), state("overthe old"));
    assert_eq!(answers("new").unwrap(), [(0, vec![], Some(state("over")))]);
    let many = (0..3000_u32).map(|n| (n.to_be_bytes().to_vec(), vec![0; 400]));
    store.put(&definition, &vec![], &mut many.into_iter()).unwrap();
    assert_eq!(server.command(&["EXISTS", "karat:states:77", "karat:tails:77"]), "0", "merged");
    assert_eq!(read("new").unwrap(), state("overthe old"));
    // A server that throws away what it was to keep.
    server.command(&["DEL", "karat:tails:1"]);
    assert_eq!(answers("new").unwrap(), [(0, vec![], Some(state("over")))]);
    assert!(read("new").unwrap_err().message.contains("has lost state that was written"));
    store.put(&definition, &vec![], &mut [(b"new".to_vec(), state("readagain"))].into_iter()).unwrap();
    assert_eq!(read("new").unwrap(), state("readagain"));
    assert_eq!(server.command(&["HEXISTS", "karat:tails:1", "new"]), "1");
    store.put(&definition, &vec![], &mut [(b"new".to_vec(), b"plain".to_vec())].into_iter()).unwrap();
    assert_eq!(read("new").unwrap(), b"plain");
    assert_eq!(server.command(&["HEXISTS", "karat:tails:1", "new"]), "0");
    store.drop_definition(&definition).unwrap();
    assert_eq!(server.command(&["KEYS", "karat:*:1"]), "");
}

/// Calls of commands that came over the network or from a script.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let statistics = server.command(&["INFO", "commandstats"]);
    let found = statistics.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    found.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

#[test]
fn all_views_of_a_key_are_one_round_trip() {
    let Some(server) = RedisServer::start("redis::all_views_of_a_key_are_one_round_trip") else { return };
    let store = open(&server.uri());
    let definitions: Vec<Digest> = (0..5_u8).map(|n| Digest::of([n])).collect();
    for definition in &definitions {
        store.put(definition, &vec![1], &mut entries(10, 1)).unwrap();
    }
    server.command(&["CONFIG", "RESETSTAT"]);
    for n in 0..100_u32 {
        let mut seen = 0;
        let key = n.to_be_bytes();
        let asked: Vec<StateOf<'_>> = definitions.iter().map(|definition| StateOf { definition, key: &key }).collect();
        store.read_each(&asked, &mut |_, _, _| seen += 1).unwrap();
        assert_eq!(seen, 5);
    }
    assert_eq!(calls(&server, "evalsha"), 100);
    assert_eq!(calls(&server, "hmget"), 1000, "the records and the states, looked at inside the server");
}

#[test]
fn threads_share_few_connections() {
    let Some(server) = RedisServer::start("redis::threads_share_few_connections") else { return };
    let store = RedisStore::open(&server.uri(), RedisOptions { connections: 2, ..RedisOptions::default() }).unwrap();
    let definition = Digest::of("shared");
    store.put(&definition, &vec![], &mut entries(100, 7)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for n in 0..200_u32 {
                    let found =
                        store.read(&definition, &(n % 100).to_be_bytes(), &mut |state| assert_eq!(state, [7; 100]));
                    assert!(found.unwrap());
                }
            });
        }
    });
    // And the one that asks.
    assert_eq!(server.command(&["CLIENT", "LIST"]).lines().count(), 3);
}
