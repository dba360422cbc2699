//! Every parser under a stranger's bytes: its corpus, and mutations of it. `KARAT_FUZZ_SECONDS` and `KARAT_FUZZ_SEED` make
//! a long run of it (`make soak`).

use karat_test_support::fuzz::{Budget, TARGETS, corpus, drive};
use karat_test_support::repository;

#[expect(clippy::print_stdout, reason = "a long run says what it did, and from which seed")]
fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of that name");
    let budget = Budget::from_environment();
    let tried = drive(target, budget);
    println!("fuzz {name}: {tried} inputs, {budget:?}");
}

macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })+

        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

targets!(project, release, csv, expression, gate, filter, tables, window, name, model, request, log, state);

#[test]
fn every_target_is_run_here_and_by_cargo_fuzz() {
    let named: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(named, NAMES);
    let fuzz = repository().join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for name in NAMES {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no target {name}");
        let target = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).expect("a target's file");
        assert!(target.contains(&format!("run(\"{name}\", data)")), "{target}");
    }
}

#[test]
fn every_corpus_has_its_seeds() {
    for target in &TARGETS {
        let folder = repository().join("fuzz/corpus").join(target.name);
        if std::env::var_os("KARAT_BLESS").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder");
            for (place, seed) in (target.seeds)().iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{place}")), seed).expect("a file");
            }
        }
        assert!(!corpus(target).is_empty(), "{}: KARAT_BLESS=1 writes the first", folder.display());
    }
}
