//! `kill -9` of a server under load: what it acknowledged is in the log exactly once, and replays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use karat_core::SystemClock;
use karat_jobs::replay::{self, Verdict};
use karat_jobs::{Silent, Surroundings, Workspace};
use karat_project::Project;

use super::clients::{CLIENT_THREADS, Clients, MOST_KEYS};
use super::server::Server;
use super::{decided, rng, rounds, sound};
use crate::support::{json, karat};

/// Acknowledged in a round, at least.
const DECISIONS: usize = 1000;
/// Of these, replayed.
const SAMPLE: usize = 20;

#[test]
fn what_a_killed_server_acknowledged_is_logged_once_and_replays() {
    let project = decided();
    let folder = project.path();
    let mut rng = rng("killed_server");
    let mut acknowledged = BTreeSet::new();
    let mut server = Server::start(folder);
    for round in 0..rounds() {
        let clients = Clients::start(&server.address, &mut rng);
        clients.wait_for(DECISIONS);
        std::thread::sleep(Duration::from_micros(rng.u64(..200_000)));
        match round % 3 {
            // While the log turns into Parquet.
            2 => server.terminate_and_kill(Duration::from_micros(rng.u64(..60_000))),
            _ => server.kill(),
        }
        let answered = clients.acknowledged();
        assert!(answered.len() >= DECISIONS, "{}", answered.len());
        if round % 4 == 1 {
            killed_while_starting(folder, &mut rng);
        }
        server = Server::start(folder);
        let before = acknowledged.len();
        acknowledged.extend(answered.iter().cloned());
        assert_eq!(acknowledged.len(), before + answered.len(), "no id was given twice");
        logged_once(folder, &acknowledged, round + 1);
        replays(folder, &answered, &mut rng);
    }
    server.terminate();
    logged_once(folder, &acknowledged, rounds());
    sound(folder);
}

/// Amid what it does before it listens: applying, ingesting, materializing, mending the log.
pub fn killed_while_starting(folder: &Path, rng: &mut Rng) {
    let mut child = crate::support::command(folder, &["serve", "--port", "0"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_micros(rng.u64(..300_000)));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every acknowledged id stands in the log once; of others there are no more than were under way at the kills.
fn logged_once(folder: &Path, acknowledged: &BTreeSet<String>, kills: u32) {
    let logged = json(folder, &["query", "--limit", "0", "SELECT prediction_id FROM predictions"]);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for row in logged["rows"].as_array().unwrap() {
        *counts.entry(row["prediction_id"].as_str().unwrap()).or_default() += 1;
    }
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !counts.contains_key(id.as_str())).collect();
    assert!(lost.is_empty(), "{} acknowledged decisions are lost: {lost:?}", lost.len());
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "logged more than once: {twice:?}");
    let under_way = kills as usize * CLIENT_THREADS * MOST_KEYS;
    assert!(counts.len() <= acknowledged.len() + under_way, "{} for {}", counts.len(), acknowledged.len());
}

fn replays(folder: &Path, answered: &[String], rng: &mut Rng) {
    let mut sample: Vec<&String> = (0..SAMPLE).map(|_| &answered[rng.usize(..answered.len())]).collect();
    sample.push(answered.last().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let around = Surroundings {
            observer: Arc::new(Silent),
            clock: Arc::new(SystemClock),
            actor: "tester".to_owned(),
            open_online: Box::new(|_| anyhow::bail!("a replay reads no online state")),
        };
        let project = Project::load(folder, None).unwrap_or_else(|problems| panic!("{}", problems.lines()));
        let workspace = Box::pin(Workspace::open(project, around)).await.unwrap();
        for id in &sample {
            let replayed = replay::run(&workspace, id).await.unwrap_or_else(|error| panic!("{id}: {error:#}"));
            assert!(matches!(replayed.arithmetic, Verdict::Same), "{id}: {:?}", replayed.arithmetic);
            match &replayed.history {
                Verdict::Same => {}
                Verdict::NotApplicable { .. } => assert!(replayed.prediction.sent, "{id}"),
                different => panic!("{id}: {different:?}"),
            }
        }
    });
    // And as a person does it.
    karat(folder, &["replay", sample[0]]).ok();
}
