//! Both stores against the contract, a model and killed writers; each against what can go wrong with it alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod contract;
mod failures;
mod killed;
mod model;
mod redis;

use std::sync::LazyLock;
use std::time::Duration;

use karat_core::{Digest, Fetched, OnlineError, OnlineStore, StateOf};
use karat_online::{LmdbOptions, LmdbStore, RedisOptions, RedisStore};

/// Every few entries need a transaction of their own, so that small tests take the way of large writes.
fn split() -> LmdbOptions {
    LmdbOptions { transaction_bytes: 100, ..LmdbOptions::default() }
}

/// The same over Redis, where a killed writer keeps nobody waiting for long.
fn split_redis() -> RedisOptions {
    RedisOptions { chunk_bytes: 100, turn: Duration::from_secs(2), ..RedisOptions::default() }
}

/// Either store, by its URI, with every write split.
fn open_split(uri: &str) -> Box<dyn OnlineStore> {
    match uri.strip_prefix("lmdb://") {
        Some(dir) => Box::new(LmdbStore::open(dir, split()).unwrap()),
        None => Box::new(RedisStore::open(uri, split_redis()).unwrap()),
    }
}

/// A place, the note of its definition and the state.
type Found = (usize, Vec<u8>, Option<Vec<u8>>);

fn found(fetched: &Fetched) -> Vec<Found> {
    let mut found = Vec::new();
    fetched.each(&mut |place, note, state| found.push((place, note.to_vec(), state.map(<[u8]>::to_vec))));
    found
}

/// What is awaited, on a runtime that tests share.
fn fetch(store: &dyn OnlineStore, asked: &[StateOf<'_>]) -> Result<Vec<Found>, OnlineError> {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    RUNTIME.block_on(store.fetch(asked)).map(|fetched| found(&fetched))
}

/// A runtime of one thread, as those that answer have.
fn single() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn scan(store: &dyn OnlineStore, definition: &Digest) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    store.scan(definition, &mut |key, state| entries.push((key.to_vec(), state.to_vec()))).unwrap();
    entries
}

#[test]
fn lmdb_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract::check(&LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap());
}

#[test]
fn lmdb_keeps_the_contract_when_every_write_is_split() {
    let dir = tempfile::tempdir().unwrap();
    contract::check(&LmdbStore::open(dir.path(), split()).unwrap());
}

#[test]
fn a_read_inside_a_read_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    a_read_inside_a_read(&LmdbStore::open(dir.path(), split()).unwrap());
}

fn a_read_inside_a_read(store: &dyn OnlineStore) {
    let definition = Digest::of("nested");
    store
        .put(&definition, &vec![], &mut [(b"a".to_vec(), b"b".to_vec()), (b"b".to_vec(), b"c".to_vec())].into_iter())
        .unwrap();
    let mut found: Vec<u8> = Vec::new();
    store
        .read(&definition, b"a", &mut |next| {
            store.read(&definition, next, &mut |state| found.extend(state)).unwrap();
        })
        .unwrap();
    assert_eq!(found, b"c");
}
