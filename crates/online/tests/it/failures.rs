use karat_core::{Digest, ErrorKind, OnlineStore};
use karat_online::{LmdbOptions, LmdbStore};

use crate::scan;

#[test]
fn a_full_store_says_so_and_keeps_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let options = LmdbOptions { map_bytes: 1 << 20, transaction_bytes: 64 << 10, ..LmdbOptions::default() };
    let store = LmdbStore::open(dir.path(), options).unwrap();
    let definition = Digest::of("full");
    let entries = |count: u32, state: u8| (0..count).map(move |n| (n.to_be_bytes().to_vec(), vec![state; 1000]));
    store.put(&definition, &b"fits".to_vec(), &mut entries(200, 1)).unwrap();
    let before = scan(&store, &definition);
    for _ in 0..3 {
        let error = store.put(&definition, &b"too much".to_vec(), &mut entries(5000, 2)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("raise the online store's map size"), "{error}");
        let error = store.replace(&definition, &b"too much".to_vec(), &mut entries(5000, 2)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(scan(&store, &definition), before);
        assert_eq!(store.note(&definition).unwrap().unwrap(), b"fits");
    }
    // What the refused writes had filled is given back.
    store.put(&definition, &b"fits again".to_vec(), &mut entries(100, 3)).unwrap();
    drop(store);
    let larger = LmdbStore::open(dir.path(), LmdbOptions { map_bytes: 64 << 20, ..options }).unwrap();
    larger.put(&definition, &b"more".to_vec(), &mut entries(5000, 4)).unwrap();
    assert_eq!(larger.definitions().unwrap(), [(definition, 5000)]);
}

#[test]
fn what_is_no_longer_needed_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = LmdbOptions { map_bytes: 4 << 20, transaction_bytes: 64 << 10, ..LmdbOptions::default() };
    let store = LmdbStore::open(dir.path(), options).unwrap();
    for round in 0..60_u8 {
        let definition = Digest::of([round % 2]);
        let mut entries = (0..100_u32).map(|n| (n.to_be_bytes().to_vec(), vec![round; 3000]));
        store.replace(&definition, &vec![round], &mut entries).unwrap();
    }
}

#[test]
fn a_directory_opens_once_in_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let _store = LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap();
    let error = LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}

#[test]
fn what_is_no_store_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "not a directory").unwrap();
    let error = LmdbStore::open(dir.path().join("file"), LmdbOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    std::fs::write(dir.path().join("data.mdb"), [7; 65_536]).unwrap();
    let error = LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("materialize again"), "{error}");
}

/// As a full disk leaves it, or a kill, at its first opening.
#[test]
fn a_file_that_was_hardly_begun_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data.mdb");
    drop(LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap());
    let whole = std::fs::read(&file).unwrap();
    let definition = Digest::of("anew");
    for begun in [&whole[..4096], &whole[..8191], &[0; 4096], &[]] {
        std::fs::write(&file, begun).unwrap();
        let store = LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap();
        store.put(&definition, &b"note".to_vec(), &mut std::iter::once((vec![1], vec![2]))).unwrap();
        assert_eq!(store.definitions().unwrap(), [(definition.clone(), 1)]);
    }
    // Somebody's own file is not taken for one.
    std::fs::write(&file, "not a store").unwrap();
    assert_eq!(LmdbStore::open(dir.path(), LmdbOptions::default()).unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(std::fs::read(&file).unwrap(), b"not a store");
}
