//! Brute force = online after pushes = offline = online after a materialization = after a restart = of a file.

use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use karat_core::{Instant, OnlineStore, SystemClock, Value};
use karat_jobs::deploy::{self, Deployed};
use karat_jobs::verify::Extent;
use karat_jobs::{Silent, Surroundings, Workspace, materialize, verify};
use karat_online::{LmdbOptions, LmdbStore, RedisOptions, RedisStore};
use karat_project::Project;
use karat_test_support::redis_server::RedisServer;
use serde_json::Value as Json;

use super::events::{Event, FEATURES, Kind, Whose, events, features, instants};
use super::{CHANGES, EVENTS, PUSHED, lines, project, project_with};
use crate::small::put;

fn open(uri: &str) -> anyhow::Result<Arc<dyn OnlineStore>> {
    Ok(match uri.strip_prefix("lmdb://") {
        Some(path) => Arc::new(LmdbStore::open(path, LmdbOptions::default())?),
        None => Arc::new(RedisStore::open(uri, RedisOptions::default())?),
    })
}

pub async fn workspace(folder: &Path) -> Workspace {
    let around = Surroundings {
        observer: Arc::new(Silent),
        clock: Arc::new(SystemClock),
        actor: "tester".to_owned(),
        open_online: Box::new(open),
    };
    let project = Project::load(folder, None).unwrap_or_else(|problems| panic!("{problems}"));
    Workspace::open(project, around).await.unwrap()
}

pub async fn deployed(workspace: &Workspace) -> Deployed {
    deploy::run(workspace, deploy::open_log(workspace).unwrap()).await.unwrap()
}

/// Everybody at every instant.
fn asked(instants: &[Instant]) -> impl Iterator<Item = (Whose, Instant)> {
    instants.iter().flat_map(|as_of| Whose::all().map(|whose| (whose, *as_of)))
}

/// What the online store answers for everybody and every instant.
pub async fn online(deployed: &Deployed, instants: &[Instant]) -> Vec<Vec<Value>> {
    let mut found = Vec::new();
    for (whose, as_of) in asked(instants) {
        let (view, key) = whose.view_and_key();
        let answer = deployed.deployment.features(view, &key, Some(&as_of.to_string())).await;
        found.push(answer.unwrap_or_else(|error| panic!("{whose:?} as of {as_of}: {error}")).row.values);
    }
    found
}

pub fn expected(events: &[Event], instants: &[Instant]) -> Vec<Vec<Value>> {
    asked(instants).map(|(whose, as_of)| features(events, whose, as_of)).collect()
}

pub fn assert_same(found: &[Vec<Value>], expected: &[Vec<Value>], instants: &[Instant], what: &str) {
    for ((whose, as_of), (found, expected)) in asked(instants).zip(found.iter().zip(expected)) {
        for (feature, (found, expected)) in FEATURES.iter().zip(found.iter().zip(expected)) {
            assert_eq!(found, expected, "{what}: {feature} of {whose:?} as of {as_of}");
        }
    }
}

/// The rows in any order, some of them again, in requests of any size.
fn requests(rng: &mut Rng, events: &[Event]) -> Vec<Vec<Json>> {
    let mut rows: Vec<&Event> = events.iter().collect();
    let again = rows.len() / 4;
    rows.extend((0..again).map(|_| &events[rng.usize(..events.len())]));
    rng.shuffle(&mut rows);
    let mut requests = Vec::new();
    let mut rows = rows.into_iter().map(Event::to_json).peekable();
    while rows.peek().is_some() {
        let size = rng.usize(1..8);
        requests.push(rows.by_ref().take(size).collect());
    }
    requests
}

/// Pushes requests, several at a time; how many rows were accepted.
async fn push(deployed: &Deployed, requests: Vec<Vec<Json>>) -> u64 {
    let (mut accepted, mut rows) = (0, 0);
    for together in requests.chunks(5) {
        let pushed = together.iter().map(|request| deployed.pushes.push("payments", request.clone(), 100));
        for taken in futures::future::join_all(pushed).await {
            let taken = taken.unwrap();
            accepted += taken.accepted;
            rows += taken.accepted + taken.duplicates;
        }
    }
    assert_eq!(rows, requests.iter().map(|request| request.len() as u64).sum::<u64>());
    accepted
}

async fn verified(workspace: &Workspace) {
    let extent = Extent { as_of: None, pairs: 500, seed: 1 };
    let verified = verify::run(workspace, &[], extent).await.unwrap();
    assert!(verified.iter().all(|view| view.different == 0), "{verified:?}");
}

/// As many as there is patience for, as in the soak tests.
fn rounds(usual: u64) -> u64 {
    let asked = std::env::var("KARAT_SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse::<u64>().ok());
    usual * asked.map_or(1, |rounds| rounds.div_ceil(3))
}

/// One history in every way there is.
async fn everywhere(seed: u64, kind: Kind, config: Option<&str>) {
    let rng = &mut Rng::with_seed(seed);
    let count = rng.i64(5..40);
    let (events, instants) = (events(rng, kind, count), instants(rng));
    let expected = expected(&events, &instants);
    assert!(expected.iter().any(|values| values[0] != Value::Int(0)), "something is seen");
    let delivery = if kind == Kind::Append { EVENTS } else { CHANGES };
    let project = project(delivery, PUSHED);
    if let Some(config) = config {
        put(project.path(), "karat.yaml", config);
    }
    let half = rng.usize(..=events.len());
    {
        let workspace = workspace(project.path()).await;
        let server = deployed(&workspace).await;
        let accepted = push(&server, requests(rng, &events[..half])).await;
        // A removal of what never was, or is gone, says nothing new.
        assert!(accepted <= half as u64);
        if kind == Kind::Append {
            assert_eq!(accepted, half as u64);
        }
        assert_same(&online(&server, &instants).await, &self::expected(&events[..half], &instants), &instants, "half");
        server.pushes.close().await;
    }
    let workspace = workspace(project.path()).await;
    let server = deployed(&workspace).await;
    push(&server, requests(rng, &events[half..])).await;
    // Once more, what an unsure client does.
    assert_eq!(push(&server, requests(rng, &events)).await, 0);
    assert_same(&online(&server, &instants).await, &expected, &instants, "pushed");
    verified(&workspace).await;
    let store = workspace.online().unwrap();
    for (definition, _) in store.definitions().unwrap() {
        store.drop_definition(&definition).unwrap();
    }
    let built = materialize::run(&workspace, &[]).await.unwrap();
    assert!(built.iter().all(|view| view.built));
    assert_same(&online(&server, &instants).await, &expected, &instants, "materialized");
    server.pushes.close().await;
    verified(&workspace).await;
    assert_same(&online(&server, &instants).await, &expected, &instants, "sealed");
    drop((server, workspace, store));
    of_a_file(rng, delivery, &events, &expected, &instants).await;
}

/// The same rows in one file, in any order.
async fn of_a_file(rng: &mut Rng, delivery: &str, events: &[Event], expected: &[Vec<Value>], instants: &[Instant]) {
    let project = project(delivery, "path: payments.jsonl\n");
    let mut rows: Vec<Json> = events.iter().map(Event::to_json).collect();
    rng.shuffle(&mut rows);
    lines(project.path(), "payments.jsonl", &rows);
    let workspace = workspace(project.path()).await;
    let server = deployed(&workspace).await;
    assert_same(&online(&server, instants).await, expected, instants, "of a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_pushed_are_the_same_everywhere() {
    for seed in 0..rounds(12) {
        everywhere(seed, Kind::Append, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_pushed_are_the_same_everywhere() {
    for seed in 100..100 + rounds(12) {
        everywhere(seed, Kind::Changes, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_pushed_are_the_same_everywhere_over_redis() {
    let test = "pushed::everywhere::rows_pushed_are_the_same_everywhere_over_redis";
    let Some(redis) = RedisServer::start(test) else { return };
    for seed in 200..200 + rounds(4) {
        let config = format!("name: pushed\nstores: {{online: \"{}?prefix=p{seed}\"}}\n", redis.database(1));
        let kind = if seed % 2 == 0 { Kind::Append } else { Kind::Changes };
        everywhere(seed, kind, Some(&config)).await;
    }
}

/// States built while rows are pushed lose none of them, and no answer is older than an acknowledged row.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_materialization_meanwhile_loses_nothing() {
    let rng = &mut Rng::with_seed(7);
    let (events, instants) = (events(rng, Kind::Append, 300), instants(rng));
    let project = project(EVENTS, PUSHED);
    let workspace = workspace(project.path()).await;
    let server = deployed(&workspace).await;
    let store = workspace.online().unwrap();
    let all = requests(rng, &events);
    let pushing = async {
        for (number, request) in all.iter().enumerate() {
            let taken = server.pushes.push("payments", request.clone(), 100).await.unwrap();
            let answer = server.deployment.features("history", "1", None).await;
            if let Ok(answer) = answer {
                assert!(answer.commit >= taken.commit, "{} of {} at {number}", answer.commit, taken.commit);
            }
        }
    };
    let building = async {
        for round in 0..6 {
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            if round % 2 == 0 {
                for (definition, _) in store.definitions().unwrap() {
                    store.drop_definition(&definition).unwrap();
                }
            }
            materialize::run(&workspace, &[]).await.unwrap();
        }
    };
    tokio::join!(pushing, building);
    materialize::run(&workspace, &[]).await.unwrap();
    assert_same(&online(&server, &instants).await, &expected(&events, &instants), &instants, "built meanwhile");
    verified(&workspace).await;
    server.pushes.close().await;
}

/// Rows that belong before the horizon make their keys' states anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_from_before_the_horizon_are_taken_in_too() {
    for seed in 300..300 + rounds(6) {
        let rng = &mut Rng::with_seed(seed);
        let (events, mut instants) = (events(rng, Kind::Append, 60), instants(rng));
        let project = project_with(EVENTS, PUSHED, "online_horizon: 12 days\n");
        let workspace = workspace(project.path()).await;
        let server = deployed(&workspace).await;
        push(&server, requests(rng, &events)).await;
        // The newest is known to the store whatever the horizon.
        instants
            .retain(|instant| *instant > Instant::from_micros(events.iter().map(|e| e.at.max(e.known)).max().unwrap()));
        assert!(!instants.is_empty());
        assert_same(&online(&server, &instants).await, &expected(&events, &instants), &instants, "with a horizon");
        verified(&workspace).await;
        server.pushes.close().await;
    }
}
