//! `cargo bench -p karat-online`: the cost of one read, the floor of every online decision.

use criterion::{Criterion, criterion_group, criterion_main};
use karat_core::{Digest, OnlineStore};
use karat_online::{LmdbOptions, LmdbStore};

const KEYS: u64 = 1_000_000;

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn get(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let store = LmdbStore::open(dir.path(), LmdbOptions::default()).expect("the store opens");
    let definition = Digest::of("bench");
    let mut entries = (0..KEYS).map(|number| (key(number), vec![7; 200]));
    store.replace(&definition, &Vec::new(), &mut entries).expect("a million states of 200 bytes fit");
    let mut number = 0;
    criterion.bench_function("read one of a million states", |bencher| {
        bencher.iter(|| {
            number = (number + 7_919) % KEYS;
            let mut length = 0;
            store.read(&definition, &key(number), &mut |state| length += state.len()).expect("the store reads");
            length
        });
    });
    criterion.bench_function("read a key that is not there", |bencher| {
        bencher.iter(|| store.read(&definition, b"absent", &mut |_| ()).expect("the store reads"));
    });
}

criterion_group!(benches, get);
criterion_main!(benches);
