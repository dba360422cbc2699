//! Sealing while rows are pushed, finished or not: corrections find the rows they are of, wherever those lie by then.

use fastrand::Rng;
use karat_core::{Clock, SystemClock};
use karat_history::{CommitInfo, HistoryError};
use karat_project::spec::Survives;
use karat_query::{Pushed, Pushing};
use serde_json::Value as Json;
use tokio::task::JoinHandle;

use super::events::{Event, Kind, events, instants};
use super::everywhere::{assert_same, deployed, expected, online, workspace};
use super::{CHANGES, EVENTS, PUSHED, project};

type Sealed = JoinHandle<Result<Option<CommitInfo>, HistoryError>>;

/// Now and then turns over, goes on meanwhile, and takes notice of the commit; or never seals what was turned over.
async fn now_and_then(rng: &mut Rng, pushing: &mut Pushing, under_way: &mut Option<Sealed>) {
    match (rng.u8(..5), under_way.take()) {
        (0, None) => *under_way = Some(tokio::spawn(pushing.turn_over().await.unwrap().run())),
        (1, None) => {
            drop(pushing.turn_over().await.unwrap());
            pushing.sealed(None).await.unwrap();
        }
        (0 | 1, Some(sealing)) => {
            let commit = sealing.await.unwrap().unwrap();
            pushing.sealed(commit).await.unwrap();
        }
        (_, kept) => *under_way = kept,
    }
}

async fn sealed_in_between(seed: u64, kind: Kind) {
    let rng = &mut Rng::with_seed(seed);
    let (events, instants) = (events(rng, kind, 40), instants(rng));
    let project = project(if kind == Kind::Append { EVENTS } else { CHANGES }, PUSHED);
    let workspace = workspace(project.path()).await;
    let catalog = workspace.catalog().unwrap();
    let planned = &catalog.sources["payments"];
    let open = Pushing::open(&planned.plan, &planned.rows, &workspace.history, Survives::Crash);
    let (mut pushing, mut under_way) = (open.await.unwrap(), None);
    let mut rows: Vec<&Event> = events.iter().collect();
    rng.shuffle(&mut rows);
    let quarantine = workspace.quarantine("payments");
    let mut accepted = 0;
    for again in [false, true] {
        for together in rows.chunks(3) {
            let requests: Vec<Vec<Json>> = together.iter().map(|event| vec![event.to_json()]).collect();
            let taking = pushing.take(&workspace.engine, &requests, SystemClock.now(), &quarantine);
            let group = taking.await.unwrap();
            for answer in group.answers {
                let Pushed::Taken(taken) = answer else { panic!("{answer:?}") };
                assert_eq!(taken.accepted + taken.duplicates, 1);
                assert!(!again || taken.duplicates == 1, "it is there already");
                accepted += taken.accepted;
            }
            now_and_then(rng, &mut pushing, &mut under_way).await;
        }
    }
    assert_eq!(accepted, events.len() as u64);
    if let Some(sealing) = under_way {
        pushing.sealed(sealing.await.unwrap().unwrap()).await.unwrap();
    }
    drop(pushing);
    let server = deployed(&workspace).await;
    assert_same(&online(&server, &instants).await, &expected(&events, &instants), &instants, "sealed in between");
    server.pushes.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_find_what_was_sealed_meanwhile() {
    for seed in 0..10 {
        sealed_in_between(seed, Kind::Append).await;
        sealed_in_between(1000 + seed, Kind::Changes).await;
    }
}
