//! The LMDB store against the contract, a model, a killed writer and a full disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod contract;
mod failures;
mod killed;
mod model;

use karat_core::{Digest, OnlineStore};
use karat_online::{LmdbOptions, LmdbStore};

/// Every few entries need a transaction of their own, so that small tests take the way of large writes.
fn split() -> LmdbOptions {
    LmdbOptions { transaction_bytes: 100, ..LmdbOptions::default() }
}

fn scan(store: &LmdbStore, definition: &Digest) -> Vec<(Vec<u8>, Vec<u8>)> {
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
    let store = LmdbStore::open(dir.path(), split()).unwrap();
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
