//! Champion against challenger: measured on test rows that neither has learned from, or the gate says why not.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::small::{self, edit, put};
use crate::support::{json, karat};

const MODEL: &str = "models/default_risk.yaml";

fn crown(folder: &Path, version: &str) {
    json(folder, &["models", "approve", version, "--as", "champion", "--why", "a test"]);
}

/// What the run kept of the comparison.
fn comparison(folder: &Path, trial: &Json) -> Json {
    let run = trial["run_id"].as_str().unwrap();
    let file = folder.join(format!(".karat/artifacts/runs/{run}/comparison.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The gate on the champion.
fn gate(trial: &Json) -> &Json {
    let gates = trial["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["gate"].as_str().unwrap().contains("champion.")).unwrap()
}

fn test_rows(trial: &Json) -> u64 {
    trial["data"]["split"]["test"]["rows"].as_u64().unwrap()
}

/// A source without a time, so that nothing but a hash says which rows a model has learned from.
fn timeless() -> TempDir {
    let folder = karat_test_support::temp_dir();
    let mut rows = "id,income,age,bad\n".to_owned();
    let mut state = 7u64;
    for id in 0..1_500 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (income, age) = ((state >> 33) % 1_000, 18 + (state >> 45) % 50);
        let bad = (state >> 20) % 1_000 > 200 + income / 2;
        writeln!(rows, "{id},{income},{age},{}", u8::from(bad)).unwrap();
    }
    let files = [
        ("karat.yaml", "name: timeless\n"),
        ("data/people.csv", &rows),
        ("entities/person.yaml", "kind: Entity\nname: person\nkey: id\ntype: int\n"),
        (
            "sources/people.yaml",
            "kind: Source\nname: people\npath: data/people.csv\n\
             columns: {id: int, income: int, age: int, bad: int}\nkeys: [id]\n",
        ),
        (
            "features/facts.yaml",
            "kind: FeatureView\nname: facts\nentity: person\nsource: people\nfeatures:\n  income: {last: income}\n  age: {last: age}\n",
        ),
        (
            "models/risk.yaml",
            "kind: Model\nname: risk\ntask: binary\nspine: {source: people, entity: person, label: bad}\nfeatures: [facts]\n\
             split: {by: random, validation: 0.2, test: 0.2}\n\
             estimator: {lightgbm: {rounds: 40, num_leaves: 7, early_stopping: 10}}\ngates: [auc >= champion.auc]\nseed: 1\n",
        ),
    ];
    files.iter().for_each(|(path, text)| put(folder.path(), path, text));
    folder
}

#[test]
fn rows_that_a_champion_dealt_otherwise_has_learned_from_do_not_count() {
    let project = timeless();
    let folder = project.path();
    json(folder, &["train", "risk"]);
    crown(folder, "risk/1");
    edit(folder, "models/risk.yaml", "seed: 1", "seed: 2");
    let trial = json(folder, &["train", "risk"]);
    let (both, own) = (comparison(folder, &trial)["rows"].as_u64().unwrap(), test_rows(&trial));
    // A fifth of a fifth is test under both seeds.
    assert!(both > 0 && both * 3 < own, "{both} of {own} test rows");

    // With the champion's own seed and more trees, its test part is the challenger's.
    edit(folder, "models/risk.yaml", "seed: 2", "seed: 1");
    edit(folder, "models/risk.yaml", "num_leaves: 7", "num_leaves: 5");
    let trial = json(folder, &["train", "risk"]);
    assert_eq!(comparison(folder, &trial)["rows"], test_rows(&trial));
    assert!(comparison(folder, &trial).get("from").is_none());
}

#[test]
fn a_champion_of_a_split_by_hash_can_be_beaten_though_rows_have_a_time() {
    for split in ["by: random", "by: group"] {
        let project = small::project();
        let folder = project.path();
        edit(
            folder,
            MODEL,
            "by: time, validation: 5 months, test: 5 months",
            &format!("{split}, validation: 0.2, test: 0.2"),
        );
        json(folder, &["train", "default_risk"]);
        crown(folder, "default_risk/1");
        edit(folder, MODEL, "num_leaves: 7", "num_leaves: 5");
        let trial = json(folder, &["train", "default_risk"]);
        assert!(gate(&trial)["required"].is_number(), "{split}: {}", gate(&trial));
        assert_eq!(comparison(folder, &trial)["rows"], test_rows(&trial), "{split}");
        // Against a split by time, the rows after its last label count, and of them those that the hash never trains on.
        edit(
            folder,
            MODEL,
            &format!("{split}, validation: 0.2, test: 0.2"),
            "by: time, validation: 5 months, test: 5 months",
        );
        let trial = json(folder, &["train", "default_risk"]);
        let both = comparison(folder, &trial)["rows"].as_u64().unwrap();
        assert!(both > 0 && both * 3 < test_rows(&trial), "{split}: {both} of {} test rows", test_rows(&trial));
    }
}

#[test]
fn a_field_that_only_the_champion_asks_for_is_still_read_for_it() {
    let project = small::project();
    let folder = project.path();
    edit(folder, MODEL, "features: [history, person]", "features: [history]\nrequest: {region: text}");
    let first = json(folder, &["train", "default_risk"]);
    crown(folder, "default_risk/1");
    edit(folder, MODEL, "request: {region: text}\n", "");
    let trial = json(folder, &["train", "default_risk"]);
    assert_eq!(trial["version"], 2);
    let required = gate(&trial)["required"].as_f64().unwrap();
    assert!((required - first["metrics"]["auc"].as_f64().unwrap()).abs() < 1e-12, "the champion on its own test part");

    // Once the source has no such column, the training stands and the gate says what is in its way.
    edit(folder, "sources/loans.yaml", ", c.region", "");
    edit(folder, MODEL, "num_leaves: 7", "num_leaves: 5");
    let trial = json(folder, &["train", "default_risk"]);
    assert_eq!((trial["version"].as_u64(), gate(&trial)["passed"].as_bool()), (Some(3), Some(false)));
    assert_eq!(gate(&trial)["note"], "default_risk/1 needs `region`, which source loans no longer has");
}

#[test]
fn other_words_of_reasons_are_another_version_that_no_gate_on_the_champion_stops() {
    let project = small::project();
    let folder = project.path();
    edit(folder, MODEL, "auc >= champion.auc", "auc >= champion.auc + 0.01");
    let first = json(folder, &["train", "default_risk"]);
    crown(folder, "default_risk/1");
    edit(folder, MODEL, "approval: required", "approval: required\nreasons: {nb: {words: months known, code: R07}}");
    let other = json(folder, &["train", "default_risk"]);
    assert_eq!(
        (&other["version"], &other["new_version"], &other["digest"]),
        (&2.into(), &true.into(), &first["digest"])
    );
    assert_eq!(gate(&other)["passed"], true, "{other}");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 2, "the same again");
    crown(folder, "default_risk/2");
    let pinned = std::fs::read_to_string(folder.join(".karat/artifacts/models/default_risk/2/features.json")).unwrap();
    assert!(pinned.contains("months known") && pinned.contains("R07"), "{pinned}");
    let shown = karat(folder, &["models", "show", "default_risk/2"]).ok().stdout;
    assert!(shown.contains("reason words"), "{shown}");

    // A version from before reasons counted is known by its file.
    edit(folder, MODEL, "\nreasons: {nb: {words: months known, code: R07}}", "");
    forget_reasons(folder, "default_risk/1");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 1);
    edit(folder, MODEL, "approval: required", "approval: required\nreasons: {nb: {code: R08}}");
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 3);
    karat(folder, &["models", "card", "default_risk/1"]).ok();
}

/// As versions were registered before.
fn forget_reasons(folder: &Path, version: &str) {
    let mut definitions = json(folder, &["models", "show", version])["definitions"].clone();
    assert!(definitions.as_object_mut().unwrap().remove(karat_serving::REASONS).is_some());
    let uri = format!("sqlite://{}", folder.join(".karat/metadata.db").display());
    let written = async {
        let metadata = karat_metadata::Metadata::open(&uri).await?;
        let mut transaction = metadata.begin().await?;
        karat_metadata::query("UPDATE model_versions SET definitions = $1 WHERE version = 1")
            .bind(definitions.to_string())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await
    };
    tokio::runtime::Runtime::new().unwrap().block_on(written).unwrap();
}
