//! States filled in parts by a process that fails between them, or in the midst of one: byte for byte what is made at once,
//! and never seen before it is whole. In process, so that every moment can be met.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fastrand::Rng;
use karat_core::{
    Digest, ErrorKind, OnlineError, OnlineStore, StateEntries, StateNote, StateOf, SystemClock, TellNote, WithEach,
};
use karat_jobs::materialize::{self, Materialized};
use karat_jobs::{Silent, Surroundings, Workspace, deploy};
use karat_online::{LmdbOptions, LmdbStore, RedisOptions, RedisStore};
use karat_project::Project;
use karat_test_support::redis_server::RedisServer;
use karat_test_support::temp_dir;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::small::put;

const CLIENTS: i64 = 1500;
const LARGE: &str = "name: filled\n";
/// Holds half as many bytes of events.
const TINY: &str = "name: filled\nengine: {memory: 16 MiB}\n";
/// Features that make events so wide that a few thousand are too many.
const WIDE: usize = 120;

/// A store whose `fill` fails when its time has come: before it writes, in the midst, or when all but the answer is there.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn OnlineStore>,
    /// Thrice the fills that succeed, and how the next one fails.
    left: AtomicI64,
}

fn killed() -> OnlineError {
    OnlineError { kind: ErrorKind::Unavailable, message: "killed".to_owned() }
}

impl OnlineStore for Failing {
    fn read(&self, definition: &Digest, key: &[u8], with: &mut dyn FnMut(&[u8])) -> Result<bool, OnlineError> {
        self.inner.read(definition, key, with)
    }

    fn read_each(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError> {
        self.inner.read_each(asked, with)
    }

    fn put(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        self.inner.put(definition, note, entries)
    }

    fn put_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.inner.put_after(definition, expected, note, entries)
    }

    fn replace_with(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError> {
        self.inner.replace_with(definition, entries, note)
    }

    fn note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.inner.note(definition)
    }

    fn scan(&self, definition: &Digest, with: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), OnlineError> {
        self.inner.scan(definition, with)
    }

    fn definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError> {
        self.inner.definitions()
    }

    fn filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.inner.filling(definition)
    }

    fn begin_filling(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError> {
        self.inner.begin_filling(definition, expected, note)
    }

    fn fill(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        match self.left.fetch_sub(3, Ordering::SeqCst) {
            0 => Err(killed()),
            // What was written until then is there, the note is not.
            1 => self.inner.fill(definition, expected, expected, &mut entries.take(1)).and(Err(killed())),
            2 => self.inner.fill(definition, expected, note, entries).and(Err(killed())),
            _ => self.inner.fill(definition, expected, note, entries),
        }
    }

    fn finish_filling(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError> {
        self.inner.finish_filling(definition, expected, entries, note)
    }

    fn drop_definition(&self, definition: &Digest) -> Result<(), OnlineError> {
        self.inner.drop_definition(definition)
    }
}

async fn workspace(folder: &Path, config: &str, store: Arc<dyn OnlineStore>) -> Workspace {
    put(folder, "karat.yaml", config);
    let around = Surroundings {
        observer: Arc::new(Silent),
        clock: Arc::new(SystemClock),
        actor: "tester".to_owned(),
        open_online: Box::new(move |_| Ok(store.clone())),
    };
    let project = Project::load(folder, None).unwrap_or_else(|problems| panic!("{problems}"));
    Workspace::open(project, around).await.unwrap()
}

/// Each delivery brings rows that are new or revise others; some come by themselves.
const CHANGES: &str = "push: true\ndelivery: changes\ndeleted: removed\n";
/// Each delivery is all there is.
const FULL: &str = "delivery: full\n";

/// Payments, by client and by town.
fn project(delivery: &str, view: &str, wide: usize) -> TempDir {
    let project = temp_dir();
    let folder = project.path();
    put(folder, "entities/client.yaml", "kind: Entity\nname: client\nkey: client\ntype: int\n");
    put(folder, "entities/town.yaml", "kind: Entity\nname: town\nkey: town\ntype: text\n");
    put(
        folder,
        "sources/payments.yaml",
        &format!(
            "kind: Source\nname: payments\npath: payments.jsonl\n{delivery}keys: [id]\n\
             columns: {{id: int, client: int, town: text, at: timestamp, known: timestamp, amount: float, removed: bool}}\n\
             event_time: at\nknown_time: known\n"
        ),
    );
    let wide: String = (0..wide).map(|n| format!("  f{n}: {{sum: amount + {n}}}\n")).collect();
    for entity in ["client", "town"] {
        let text = format!(
            "kind: FeatureView\nname: of_{entity}\nentity: {entity}\nsource: payments\n{view}features:\n  n: {{count: rows}}\n  \
             total: {{sum: amount}}\n  spread: {{stddev: amount}}\n  newest: {{last: amount}}\n  towns: {{distinct: town}}\n  \
             recent: {{mean: amount, window: 10 days}}\n  amounts: {{list: amount, last: 3}}\n{wide}"
        );
        put(folder, &format!("features/of_{entity}.yaml"), &text);
    }
    project
}

/// Rows with late knowledge, corrections and removals, happening from one day to another.
fn rows(rng: &mut Rng, ids: std::ops::Range<i64>, days: std::ops::Range<i64>) -> Vec<Json> {
    ids.map(|id| {
        let day = |day: i64| format!("2023-{:02}-{:02}T{:02}:00:00Z", 1 + day / 28, 1 + day % 28, id % 24);
        let at = rng.i64(days.clone());
        json!({
            "id": if rng.u8(..8) == 0 { rng.i64(0..=id) } else { id }, "client": (rng.u8(..30) > 0).then(|| rng.i64(0..CLIENTS)),
            "town": format!("town {}", rng.u16(..400)), "at": day(at), "known": day(at + rng.i64(0..9)),
            "amount": f64::from(rng.u16(..)) / 4.0, "removed": rng.u8(..20) == 0,
        })
    })
    .collect()
}

fn deliver(folder: &Path, rows: &[Json]) {
    put(folder, "payments.jsonl", &rows.iter().map(|row| format!("{row}\n")).collect::<String>());
}

/// By definition, what the note beside it counts, and by key the digest of its state.
type Dump = BTreeMap<Digest, (String, BTreeMap<Vec<u8>, Digest>)>;

fn dump(store: &dyn OnlineStore) -> Dump {
    let definitions = store.definitions().unwrap().into_iter();
    let one = |(definition, keys): (Digest, u64)| {
        let note = karat_serving::StateNote::parse(&store.note(&definition).unwrap().unwrap()).unwrap();
        let counts =
            format!("{keys} and {} keys, {} records of {:?}", note.keys, note.records, (note.commit, note.newest));
        let mut states = BTreeMap::new();
        store.scan(&definition, &mut |key, state| drop(states.insert(key.to_vec(), Digest::of(state)))).unwrap();
        (definition, (counts, states))
    };
    definitions.map(one).collect()
}

#[track_caller]
fn assert_same(what: &str, found: &Dump, wanted: &Dump) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{what}");
    for (definition, (counts, states)) in wanted {
        let (found_counts, found) = &found[definition];
        assert_eq!(found.len(), states.len(), "{what}: {found_counts}, wanted {counts}");
        let differs = states.iter().filter(|(key, state)| found.get(*key) != Some(state)).count();
        assert_eq!((differs, found_counts), (0, counts), "{what}: different states of {}", states.len());
    }
}

fn lmdb() -> (TempDir, Arc<dyn OnlineStore>) {
    let folder = temp_dir();
    let store = LmdbStore::open(folder.path(), LmdbOptions { transaction_bytes: 100_000, ..LmdbOptions::default() });
    (folder, Arc::new(store.unwrap()))
}

/// What is made at once, of history as it stands.
async fn at_once(folder: &Path) -> Dump {
    let (_place, store) = lmdb();
    let built = materialize::run(&workspace(folder, LARGE, store.clone()).await, &[]).await.unwrap();
    assert!(built.iter().all(|view| view.built && view.resumed.is_none()), "{built:?}");
    dump(&*store)
}

/// What readers find first: each definition's keys and note.
fn seen(store: &dyn OnlineStore) -> Vec<(Digest, u64, Option<StateNote>)> {
    let definitions = store.definitions().unwrap().into_iter();
    definitions.map(|(definition, keys)| (definition.clone(), keys, store.note(&definition).unwrap())).collect()
}

/// Fails again and again until it ends; what readers have stays what it was.
async fn with_failures(folder: &Path, store: &Arc<dyn OnlineStore>, rng: &mut Rng) -> Vec<Materialized> {
    let (before, whole) = (seen(&**store), dump(&**store));
    let mut failures = 0;
    loop {
        let left = AtomicI64::new(rng.i64(3..27));
        let failing = Arc::new(Failing { inner: store.clone(), left });
        match materialize::run(&workspace(folder, TINY, failing).await, &[]).await {
            Ok(built) => {
                assert!(failures > 0, "the fill is in parts");
                return built;
            }
            Err(error) => {
                let problem = format!("{error:#}");
                assert!(problem.contains("killed"), "{problem}");
                failures += 1;
                // One of the views may be whole by now.
                let changed = seen(&**store).iter().filter(|one| !before.contains(one)).count();
                assert!(changed < 2, "half a state was seen");
                if failures == 1 && changed == 0 {
                    assert_same("after a failure", &dump(&**store), &whole);
                }
            }
        }
    }
}

async fn fails_between_parts(store: Arc<dyn OnlineStore>, seed: u64, view: &str) {
    let rng = &mut Rng::with_seed(seed);
    let project = project(CHANGES, view, WIDE);
    let folder = project.path();
    deliver(folder, &rows(rng, 0..10_000, 0..100));
    let whole = at_once(folder).await;
    let built = with_failures(folder, &store, rng).await;
    assert_same(&format!("seed {seed}"), &dump(&*store), &whole);
    // The view that failed last was gone on with, unless it failed before its first part.
    for resumed in built.iter().filter_map(|view| view.resumed) {
        assert!(resumed.filled_before <= resumed.parts && resumed.parts > 2, "{resumed:?}");
    }
    // So much more that the state is made anew, while readers have the old one.
    deliver(folder, &rows(rng, 10_000..14_000, 50..150));
    let whole = at_once(folder).await;
    with_failures(folder, &store, rng).await;
    assert_same(&format!("seed {seed}, anew"), &dump(&*store), &whole);
    let unchanged = materialize::run(&workspace(folder, TINY, store.clone()).await, &[]).await.unwrap();
    assert!(unchanged.iter().all(|view| !view.built), "{unchanged:?}");
}

fn rounds() -> u64 {
    let asked = std::env::var("KARAT_SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    asked.unwrap_or(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_and_failures_between_them_make_the_states_that_are_made_at_once() {
    for seed in 0..rounds() {
        let (_place, store) = lmdb();
        fails_between_parts(store, seed, if seed % 2 == 0 { "" } else { "online_horizon: 30 days\n" }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_and_failures_between_them_make_the_states_that_are_made_at_once_over_redis() {
    let test = "filled::parts_and_failures_between_them_make_the_states_that_are_made_at_once_over_redis";
    let Some(server) = RedisServer::start(test) else { return };
    for seed in 101..101 + rounds().div_ceil(2) {
        let options = RedisOptions { chunk_bytes: 20_000, ..RedisOptions::default() };
        let store = RedisStore::open(&format!("{}?prefix=p{seed}", server.uri()), options).unwrap();
        fails_between_parts(Arc::new(store), seed, if seed % 2 == 0 { "" } else { "online_horizon: 30 days\n" }).await;
        assert_eq!(server.command(&["SCARD", &format!("p{seed}:garbage")]), "0");
        assert_eq!(server.command(&["KEYS", &format!("p{seed}:filling:*")]), "");
        let generations = server.command(&["KEYS", &format!("p{seed}:states:*")]);
        assert_eq!(generations.lines().count(), 2, "one of each view: {generations}");
    }
}

/// Two processes that fill one state share its parts; rows pushed between the parts are in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fillers_share_a_state_and_what_is_pushed_meanwhile_is_in_it() {
    let rng = &mut Rng::with_seed(7);
    let project = project(CHANGES, "", WIDE);
    let folder = project.path();
    deliver(folder, &rows(rng, 0..10_000, 0..100));
    let (_place, store) = lmdb();
    let serving = workspace(folder, LARGE, store.clone()).await;
    let served = deploy::run(&serving, deploy::open_log(&serving).unwrap()).await.unwrap();
    for (definition, _) in store.definitions().unwrap() {
        store.drop_definition(&definition).unwrap();
    }
    let (one, other) = (workspace(folder, TINY, store.clone()).await, workspace(folder, TINY, store.clone()).await);
    let more = rows(rng, 10_000..10_080, 50..150);
    let pushing = async {
        for rows in more.chunks(4) {
            served.pushes.push("payments", rows.to_vec(), 100).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
    };
    let filling = |workspace: Workspace| async move { materialize::run(&workspace, &[]).await.unwrap() };
    let (first, second, ()) = tokio::join!(tokio::spawn(filling(one)), tokio::spawn(filling(other)), pushing);
    let built = [first.unwrap(), second.unwrap()].concat();
    assert!(built.iter().filter(|view| view.built).count() >= 2, "{built:?}");
    served.pushes.close().await;
    materialize::run(&serving, &[]).await.unwrap();
    // How many keys were new among those pushed meanwhile is not counted by all.
    let states = |dump: Dump| -> Dump {
        dump.into_iter().map(|(definition, (_, states))| (definition, (String::new(), states))).collect()
    };
    let found = states(dump(&*store));
    drop((served, serving));
    assert_same("pushed meanwhile", &found, &states(at_once(folder).await));
}

/// A row of each id, which its later rows replace.
fn current(rows: Vec<Json>) -> Vec<Json> {
    let by_id: BTreeMap<i64, Json> = rows.into_iter().map(|row| (row["id"].as_i64().unwrap(), row)).collect();
    by_id.into_values().collect()
}

/// Deliveries of which each brings little: the keys that it touches are made anew, and all is as if all keys were.
async fn little_by_little(store: Arc<dyn OnlineStore>, seed: u64, delivery: &str, horizon: &str) {
    let rng = &mut Rng::with_seed(seed);
    let project = project(delivery, horizon, 0);
    let folder = project.path();
    let mut all = current(rows(rng, 0..10_000, 0..100));
    deliver(folder, &all);
    materialize::run(&workspace(folder, LARGE, store.clone()).await, &[]).await.unwrap();
    // Of these only the third has anything newer than all before.
    for (number, days) in [20..60, 0..90, 110..120, 0..100].into_iter().enumerate() {
        let from = 10_000 + 60 * number as i64;
        let more = current(rows(rng, from..from + 60, days));
        if delivery == FULL {
            for _ in 0..20 {
                all.swap_remove(rng.usize(..all.len()));
            }
            all.extend(more);
            all = current(std::mem::take(&mut all));
            deliver(folder, &all);
        } else {
            deliver(folder, &more);
        }
        let brought = materialize::run(&workspace(folder, LARGE, store.clone()).await, &[]).await.unwrap();
        for view in &brought {
            let moved = number == 2 && !horizon.is_empty();
            let few = view.changed.is_some_and(|keys| 0 < keys && keys < 200);
            assert_eq!((view.built, few, view.changed.is_none()), (true, !moved, moved), "delivery {number}: {view:?}");
        }
        assert_same(&format!("seed {seed}, delivery {number}"), &dump(&*store), &at_once(folder).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_made_anew_are_what_all_keys_made_anew_are() {
    for (seed, (delivery, horizon)) in (200..).zip([
        (CHANGES, ""),
        (FULL, ""),
        (CHANGES, "online_horizon: 30 days\n"),
        (FULL, "online_horizon: 30 days\n"),
    ]) {
        let (_place, store) = lmdb();
        little_by_little(store, seed, delivery, horizon).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_made_anew_are_what_all_keys_made_anew_are_over_redis() {
    let test = "filled::keys_made_anew_are_what_all_keys_made_anew_are_over_redis";
    let Some(server) = RedisServer::start(test) else { return };
    let store = RedisStore::open(&server.uri(), RedisOptions::default()).unwrap();
    little_by_little(Arc::new(store), 300, CHANGES, "").await;
}
