//! Random histories of writes and reopenings against a map of maps.

use std::collections::BTreeMap;

use karat_core::{Digest, OnlineStore};
use karat_online::{LmdbOptions, LmdbStore, RedisOptions, RedisStore};
use karat_test_support::redis_server::RedisServer;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::scan;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;
/// Note and states.
type Model = BTreeMap<Digest, (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>)>;

/// How a part is written: at once, or first cut short by a killed writer.
#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    CutShort,
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, Vec<u8>, Entries),
    Replace(u8, Vec<u8>, Entries),
    Drop(u8),
    Begin(u8, Vec<u8>),
    Fill(u8, Vec<u8>, Entries, Part),
    Finish(u8, Vec<u8>, Entries),
    Reopen,
}

fn entries() -> impl Strategy<Value = Entries> {
    // Few bytes, so that keys collide, prefix one another and reach the edges.
    let byte = prop_oneof![Just(0_u8), Just(1), Just(0xff)];
    vec((vec(byte, 0..4), vec(any::<u8>(), 0..80)), 0..25)
}

fn step() -> impl Strategy<Value = Step> {
    let note = || vec(any::<u8>(), 0..10);
    prop_oneof![
        4 => (0..3_u8, note(), entries()).prop_map(|(d, n, e)| Step::Put(d, n, e)),
        2 => (0..3_u8, note(), entries()).prop_map(|(d, n, e)| Step::Replace(d, n, e)),
        1 => (0..3_u8).prop_map(Step::Drop),
        2 => (0..3_u8, note()).prop_map(|(d, n)| Step::Begin(d, n)),
        4 => (0..3_u8, note(), entries(), prop_oneof![Just(Part::Whole), Just(Part::CutShort)])
            .prop_map(|(d, n, e, part)| Step::Fill(d, n, e, part)),
        2 => (0..3_u8, note(), entries()).prop_map(|(d, n, e)| Step::Finish(d, n, e)),
        1 => Just(Step::Reopen),
    ]
}

fn definition(number: u8) -> Digest {
    Digest::of([number])
}

/// How much one step of a write takes.
fn step_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1_usize), Just(200), Just(1 << 20)]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lmdb_is_a_map_of_maps(steps in vec(step(), 1..14), transaction_bytes in step_bytes()) {
        let dir = tempfile::tempdir().unwrap();
        let options = LmdbOptions { transaction_bytes, ..LmdbOptions::default() };
        is_a_map_of_maps(steps, &|| Box::new(LmdbStore::open(dir.path(), options).unwrap()))?;
    }
}

#[test]
fn redis_is_a_map_of_maps() {
    let Some(server) = RedisServer::start("model::redis_is_a_map_of_maps") else { return };
    let cases = (vec(step(), 1..14), step_bytes());
    let outcome = TestRunner::new(config()).run(&cases, |(steps, chunk_bytes)| {
        server.command(&["FLUSHALL"]);
        let options = RedisOptions { chunk_bytes, ..RedisOptions::default() };
        is_a_map_of_maps(steps, &|| Box::new(RedisStore::open(&server.uri(), options).unwrap()))
    });
    outcome.unwrap();
}

fn is_a_map_of_maps(steps: Vec<Step>, open: &dyn Fn() -> Box<dyn OnlineStore>) -> Result<(), TestCaseError> {
    let mut store = open();
    let (mut model, mut filled) = (Model::new(), Model::new());
    for step in steps {
        match step {
            Step::Put(number, note, entries) => {
                store.put(&definition(number), &note, &mut entries.clone().into_iter()).unwrap();
                let (old_note, states) = model.entry(definition(number)).or_default();
                *old_note = note;
                states.extend(entries);
            }
            Step::Replace(number, note, entries) => {
                store.replace(&definition(number), &note, &mut entries.clone().into_iter()).unwrap();
                model.insert(definition(number), (note, entries.into_iter().collect()));
                filled.remove(&definition(number));
            }
            Step::Drop(number) => {
                store.drop_definition(&definition(number)).unwrap();
                model.remove(&definition(number));
                filled.remove(&definition(number));
            }
            Step::Begin(number, note) => {
                let before = filled.get(&definition(number)).map(|(note, _)| note);
                prop_assert!(store.begin_filling(&definition(number), before, &note).unwrap());
                filled.insert(definition(number), (note, BTreeMap::new()));
            }
            Step::Fill(number, note, entries, part) => {
                let Some((before, states)) = filled.get_mut(&definition(number)) else { continue };
                if let Part::CutShort = part {
                    // What was written until then is there, the note is not.
                    let mut some = entries.clone().into_iter();
                    prop_assert!(store.fill(&definition(number), before, before, &mut some).unwrap());
                    drop(store);
                    store = open();
                }
                prop_assert!(store.fill(&definition(number), before, &note, &mut entries.clone().into_iter()).unwrap());
                *before = note;
                states.extend(entries);
            }
            Step::Finish(number, note, entries) => {
                let Some((before, mut states)) = filled.remove(&definition(number)) else { continue };
                let told = &mut || Ok(note.clone());
                let mut over = entries.clone().into_iter();
                prop_assert!(store.finish_filling(&definition(number), &before, &mut over, told).unwrap());
                states.extend(entries);
                model.insert(definition(number), (note, states));
            }
            Step::Reopen => {
                // LMDB's directory is open once in a process.
                drop(store);
                store = open();
            }
        }
        let counts: Vec<_> = model.iter().map(|(d, (_, states))| (d.clone(), states.len() as u64)).collect();
        prop_assert_eq!(store.definitions().unwrap(), counts);
        for number in 0..3 {
            let definition = definition(number);
            let being_filled = filled.get(&definition).map(|(note, _)| note.clone());
            prop_assert_eq!(store.filling(&definition).unwrap(), being_filled);
            let expected = model.get(&definition);
            prop_assert_eq!(store.note(&definition).unwrap(), expected.map(|(note, _)| note.clone()));
            let states = expected.map(|(_, states)| states.clone()).unwrap_or_default();
            prop_assert_eq!(scan(store.as_ref(), &definition), states.into_iter().collect::<Entries>());
        }
    }
    Ok(())
}
