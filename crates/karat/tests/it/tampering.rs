//! What somebody changed behind Karat's back is found, and named.

use std::path::Path;
use std::sync::Arc;

use karat_core::{Digest, OnlineStore, Value};
use karat_history::log::{self, Durability, Log, LogOptions};
use karat_online::{LmdbOptions, LmdbStore};
use karat_serving::{PredictionEncoder, RecordReader};
use serde_json::{Value as Json, json as value};

use crate::support::{json, karat};

/// Client 5 gets client 6's state: verification finds the key and names it; building anew mends it.
pub fn a_wrong_state_is_found(folder: &Path) {
    let views = json(folder, &["features", "list"]);
    let definition = Digest::parse(views[0]["definition"].as_str().unwrap()).unwrap();
    {
        let store = LmdbStore::open(folder.join(".karat/online"), LmdbOptions::default()).unwrap();
        let [five, six] = [5, 6].map(|client| karat_features::encode_key(&[Value::Int(client)]));
        let mut state = Vec::new();
        assert!(store.read(&definition, &six, &mut |bytes| state = bytes.to_vec()).unwrap());
        let note = store.note(&definition).unwrap().unwrap();
        store.put(&definition, &note, &mut std::iter::once((five, state))).unwrap();
    }
    let ran = karat(folder, &["features", "verify", "history", "--pairs", "0", "--format", "json"]).ends_with(1);
    let differences = ran.json()[0]["differences"].clone();
    assert!(differences.as_array().unwrap().iter().all(|difference| difference["key"] == 5), "{differences}");
    assert!(!differences.as_array().unwrap().is_empty());
    std::fs::remove_dir_all(folder.join(".karat/online")).unwrap();
    karat(folder, &["features", "verify", "--pairs", "0"]).ok();
}

/// A replay of a record that was changed fails and says where; as it was, it holds again.
pub fn a_changed_record_is_found(folder: &Path, id: &str) {
    for (what, change) in TAMPERED {
        tampered(folder, *change);
        let ran = karat(folder, &["replay", id]).ends_with(1);
        assert!(ran.stdout.contains(what), "no `{what}` in\n{}", ran.stdout);
        tampered(folder, |record| *record = record["_before"].clone());
    }
}

type Change = fn(&mut Json);

/// What a changed record is found by.
const TAMPERED: &[(&str, Change)] = &[
    ("feature share_late", |record| record["features"]["share_late"]["v"] = value!(0.123)),
    ("score", |record| record["score"] = value!(record["score"].as_f64().unwrap() + 1e-9)),
    ("contribution", |record| {
        let contribution = record["reasons"][0]["contribution"].as_f64().unwrap();
        record["reasons"][0]["contribution"] = value!(contribution + 1e-9);
    }),
    ("code of reason", |record| record["reasons"][0]["code"] = value!("R99")),
    ("text of reason", |record| record["reasons"][0]["text"] = value!("all is well")),
    ("field share_late", |record| record["fields"] = value!({"share_late": record["features"]["share_late"].clone()})),
    ("views without history", |record| record["no_history"] = value!(["history"])),
];

/// Writes the prediction log again, well-formed, with every record changed; what it was before stands under `_before`.
fn tampered(folder: &Path, change: Change) {
    let dir = folder.join(".karat/predictions");
    let reader = RecordReader::beside(&dir);
    // As JSON, which can be changed; a record of it holds what it held.
    let as_json = |payload: Vec<u8>| match payload.first() {
        Some(b'{') => serde_json::from_slice(&payload).unwrap(),
        _ => serde_json::to_value(reader.read(&payload).unwrap()).unwrap(),
    };
    let records: Vec<Json> = log::read(&dir).unwrap().map(|payload| as_json(payload.unwrap())).collect();
    assert!(!records.is_empty());
    std::fs::remove_dir_all(&dir).unwrap();
    let log = Log::open(&dir, LogOptions::default(), Arc::new(PredictionEncoder::beside(&dir))).unwrap();
    for mut record in records {
        let before = record.clone();
        change(&mut record);
        if record.get("_before").is_none() && before.get("_before").is_none() {
            record["_before"] = before;
        }
        log.append(&serde_json::to_vec(&record).unwrap(), Durability::Crash).unwrap();
    }
    log.rotate().unwrap();
}
