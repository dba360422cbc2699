//! `karat features materialize` killed while it fills a state in parts: nobody reads a part of it, and the next run fills the
//! rest, so that in the end every byte is that of a run that nobody disturbed.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use karat_core::{Digest, OnlineStore};
use karat_online::{LmdbOptions, LmdbStore, RedisOptions, RedisStore};
use karat_test_support::redis_server::RedisServer;
use karat_test_support::{copy_folder, temp_dir};
use serde_json::Value as Json;

use super::dump::{same, states_of};
use super::{rng, rounds};
use crate::small::{edit, put};
use crate::spilled;
use crate::support::{command, json, karat};

const MATERIALIZE: &[&str] = &["features", "materialize"];
const MEMORY: &str = "engine: {memory: 16 MiB}\n";

/// Where the states of a project's copies are.
enum Place<'r> {
    Lmdb,
    Redis(&'r RedisServer),
}

impl Place<'_> {
    fn config(&self, prefix: &str) -> String {
        match self {
            Place::Lmdb => format!("name: large\n{MEMORY}"),
            Place::Redis(_) => format!("name: large\n{MEMORY}stores: {{online: \"{}\"}}\n", self.uri(prefix)),
        }
    }

    fn uri(&self, prefix: &str) -> String {
        match self {
            Place::Lmdb => String::new(),
            Place::Redis(server) => format!("{}?prefix={prefix}", server.uri()),
        }
    }

    fn open(&self, folder: &Path, prefix: &str) -> Arc<dyn OnlineStore> {
        match self {
            Place::Lmdb => Arc::new(LmdbStore::open(folder.join(".karat/online"), LmdbOptions::default()).unwrap()),
            Place::Redis(_) => Arc::new(RedisStore::open(&self.uri(prefix), RedisOptions::default()).unwrap()),
        }
    }
}

#[test]
fn a_state_filled_in_parts_goes_on_where_it_was_killed() {
    rounds_of_kills(&Place::Lmdb, rng("killed_filling"));
}

#[test]
fn a_state_filled_in_parts_goes_on_where_it_was_killed_over_redis() {
    let test = "soak::killed_filling::a_state_filled_in_parts_goes_on_where_it_was_killed_over_redis";
    let Some(server) = RedisServer::start(test) else { return };
    rounds_of_kills(&Place::Redis(&server), rng("killed_filling over redis"));
}

fn rounds_of_kills(place: &Place<'_>, mut rng: Rng) {
    let project = temp_dir();
    let folder = project.path();
    spilled::project(folder, MEMORY);
    edit(folder, "sources/payments.yaml", "delivery: append", "push: true\ndelivery: append");
    karat(folder, &["sources", "ingest"]).ok();
    let copy = |prefix: &str| {
        let copied = temp_dir();
        copy_folder(folder, copied.path()).unwrap();
        put(copied.path(), "karat.yaml", &place.config(prefix));
        copied
    };
    let undisturbed = copy("undisturbed");
    let built = json(undisturbed.path(), MATERIALIZE);
    let definitions: Vec<Digest> = built
        .as_array()
        .unwrap()
        .iter()
        .map(|view| Digest::parse(view["definition"].as_str().unwrap()).unwrap())
        .collect();
    let states = states_of(&*place.open(undisturbed.path(), "undisturbed"));
    let (rows, more) = (undisturbed.path().join("more.jsonl"), "more.jsonl");
    pushed_rows(&rows, &mut rng);
    karat(undisturbed.path(), &["features", "push", "payments", more]).ok();
    let after_push = states_of(&*place.open(undisturbed.path(), "undisturbed"));
    for round in 0..rounds() {
        let prefix = format!("round{round}");
        let copied = copy(&prefix);
        let folder = copied.path();
        let store = place.open(folder, &prefix);
        killed_after(folder, &*store, &definitions, 1 + rng.usize(..4));
        if round % 2 == 1 {
            killed_after(folder, &*store, &definitions, 5 + rng.usize(..4));
        }
        // Rows pushed to a history whose state is half there are in it in the end.
        if round % 3 == 2 {
            std::fs::copy(&rows, folder.join(more)).unwrap();
            karat(folder, &["features", "push", "payments", more]).ok();
            assert_eq!(store.note(&definitions[0]).unwrap(), None);
        }
        let ran = karat(folder, &[MATERIALIZE, &["--format", "json"]].concat()).ok();
        let resumed: Vec<Json> = ran.json().as_array().unwrap().iter().map(|view| view["resumed"].clone()).collect();
        let filled = resumed[0]["filled_before"].as_u64().unwrap_or_else(|| panic!("not gone on with: {resumed:?}"));
        let parts = resumed[0]["parts"].as_u64().unwrap();
        assert!(0 < filled && filled <= parts, "{resumed:?}");
        assert!(
            ran.stderr.contains(&format!("of which {filled} of {parts} parts were filled already")),
            "{}",
            ran.stderr
        );
        let wanted = if round % 3 == 2 { &after_push } else { &states };
        let found = states_of(&*store);
        drop(store);
        if round % 3 == 2 {
            only_states(&found, wanted);
        } else {
            same(&format!("round {round}"), &found, wanted);
        }
        let verified = json(folder, &["features", "verify", "--pairs", "300"]);
        assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    }
}

/// The bytes of every state; the first line counts how they came about.
fn only_states(
    found: &std::collections::BTreeMap<String, Vec<String>>,
    wanted: &std::collections::BTreeMap<String, Vec<String>>,
) {
    let states = |dump: &std::collections::BTreeMap<String, Vec<String>>| {
        dump.iter().map(|(name, lines)| (name.clone(), lines[1..].to_vec())).collect()
    };
    same("pushed meanwhile", &states(found), &states(wanted));
}

fn pushed_rows(path: &Path, rng: &mut Rng) {
    let rows = (0..200).map(|n| {
        let (id, client, shop, day) = (1_000_000 + n, rng.u32(..20_500), rng.u32(..310), 1 + rng.u32(..28));
        format!(
            "{{\"id\": {id}, \"client_id\": {client}, \"shop\": \"s{shop}\", \"at\": \"2023-12-{day:02}T12:00:00Z\", \"amount\": {}, \"late\": false}}\n",
            rng.u32(..1000)
        )
    });
    std::fs::write(path, rows.collect::<String>()).unwrap();
}

/// Kills it once so many parts of the first state are there, which nobody sees.
fn killed_after(folder: &Path, store: &dyn OnlineStore, definitions: &[Digest], parts: usize) {
    let mut child = command(folder, MATERIALIZE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while done(store, &definitions[0]) < parts {
        assert!(begun.elapsed() < Duration::from_secs(120), "{parts} parts are never there");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.note(&definitions[0]).unwrap(), None);
    assert_eq!(store.definitions().unwrap(), []);
}

fn done(store: &dyn OnlineStore, definition: &Digest) -> usize {
    let note = store.filling(definition).unwrap();
    let note: Option<Json> = note.map(|note| serde_json::from_slice(&note).unwrap());
    note.map_or(0, |note| note["done"].as_array().unwrap().len())
}
