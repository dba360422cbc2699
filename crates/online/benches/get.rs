//! `cargo bench -p karat-online`: the cost of one read, the floor of every online decision.

use criterion::{Criterion, criterion_group, criterion_main};
use karat_core::{Digest, OnlineStore};
use karat_online::{LmdbOptions, LmdbStore};

/// As many as the credit example has clients, and many more than a processor's caches hold.
const SIZES: [u64; 2] = [36_457, 1_000_000];

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn get(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let store = LmdbStore::open(dir.path(), LmdbOptions::default()).expect("the store opens");
    for keys in SIZES {
        let definition = Digest::of(keys.to_le_bytes());
        let mut entries = (0..keys).map(|number| (key(number), vec![7; 200]));
        store.replace(&definition, &Vec::new(), &mut entries).expect("states of 200 bytes fit");
        let mut number = 0;
        criterion.bench_function(&format!("read one of {keys} states"), |bencher| {
            bencher.iter(|| {
                number = (number + 7_919) % keys;
                let mut length = 0;
                store.read(&definition, &number.to_be_bytes(), &mut |state| length += state.len()).expect("it reads");
                length
            });
        });
        criterion.bench_function(&format!("read a key that is not among {keys}"), |bencher| {
            bencher.iter(|| store.read(&definition, b"absent", &mut |_| ()).expect("it reads"));
        });
    }
}

criterion_group!(benches, get);
criterion_main!(benches);
