//! All of a project's histories and online states as text, but for when it happened.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use karat_core::{Name, OnlineStore, hidden};
use karat_history::History;
use karat_metadata::Metadata;
use karat_online::{LmdbOptions, LmdbStore};
use karat_serving::StateNote;

const SOURCES: [&str; 3] = ["people", "payments", "loans"];

/// Every row of every source's history with its hidden columns, and its commits. An instant of ingest is called so.
pub fn histories(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let history = opened(folder).await;
        let mut dump = BTreeMap::new();
        for source in SOURCES {
            dump.insert(source.to_owned(), one(&history, &Name::new(source).unwrap(), None).await);
        }
        dump
    })
}

/// As [`histories`], as of every commit, by source and number.
pub fn every_commit(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let history = opened(folder).await;
        let mut dump = BTreeMap::new();
        for source in SOURCES {
            let name = Name::new(source).unwrap();
            let newest = history.commits(&name).await.unwrap().len() as u64;
            for number in 1..=newest {
                dump.insert(format!("{source} {number}"), one(&history, &name, Some(number)).await);
            }
        }
        dump
    })
}

async fn opened(folder: &Path) -> History {
    let state = folder.join(".karat");
    let metadata = Metadata::open(&format!("sqlite://{}", state.join("metadata.db").display())).await.unwrap();
    History::open(state.join("history"), metadata).unwrap()
}

async fn one(history: &History, source: &Name, up_to: Option<u64>) -> Vec<String> {
    let Some(snapshot) = history.snapshot(source, up_to).await.unwrap() else { return Vec::new() };
    snapshot.verify().await.unwrap();
    let commits = history.commits(source).await.unwrap();
    let mut lines: Vec<String> = commits
        .iter()
        .map(|c| {
            format!("commit {} of {}: {} rows, {} partitions, {}", c.number, c.delivery, c.rows, c.partitions, c.counts)
        })
        .collect();
    let options = FormatOptions::default().with_null("null");
    let mut batches = snapshot.stream(&snapshot.columns, &hidden::ALL, None);
    while let Some(batch) = batches.try_next().await.unwrap() {
        let number = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
        let (known, commit) = (number(hidden::KNOWN_TIME), number(hidden::COMMIT));
        let schema = batch.schema();
        let cells: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let at = commits[commit.value(row) as usize - 1].at.micros();
            let ingested = known.is_valid(row) && known.value(row) == at;
            let cell = |place: usize| match schema.field(place).name().as_str() {
                hidden::KNOWN_TIME if ingested => "ingest".to_owned(),
                // What a query gives has no order, and nothing rests on the one it came in.
                hidden::ROW if source.as_str() == "loans" => "-".to_owned(),
                _ => cells[place].value(row).to_string(),
            };
            lines.push((0..cells.len()).map(cell).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// Every key of every definition with its state, byte for byte, and the note beside them.
pub fn states(folder: &Path) -> BTreeMap<String, Vec<String>> {
    states_of(&LmdbStore::open(folder.join(".karat/online"), LmdbOptions::default()).unwrap())
}

pub fn states_of(store: &dyn OnlineStore) -> BTreeMap<String, Vec<String>> {
    let mut dump = BTreeMap::new();
    for (definition, keys) in store.definitions().unwrap() {
        let note = StateNote::parse(&store.note(&definition).unwrap().unwrap()).unwrap();
        let mut lines =
            vec![format!("{keys} keys, {} records of commit {}, {:?}", note.records, note.commit, note.horizon)];
        store.scan(&definition, &mut |key, state| lines.push(format!("{key:02x?}: {state:02x?}"))).unwrap();
        dump.insert(definition.to_string(), lines);
    }
    dump
}

/// Says where two dumps part, rather than print both.
#[track_caller]
pub fn same(what: &str, found: &BTreeMap<String, Vec<String>>, wanted: &BTreeMap<String, Vec<String>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{what}");
    for (name, lines) in wanted {
        let other = &found[name];
        let differs = lines.iter().zip(other).find(|(wanted, found)| wanted != found);
        assert!(differs.is_none(), "{what}, {name}: wanted and found {differs:#?}");
        assert_eq!(lines.len(), other.len(), "{what}, {name}");
    }
}
