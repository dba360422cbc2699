//! What changes a model's digest, and what must not.

use std::path::Path;

use serde_json::Value as Json;

use crate::small::{self, CLIENTS, MONTHS, put};
use crate::support::json;

const PAYMENTS: &str = "data/payments.csv";

/// The test part is the last five months.
fn is_test(row: &str) -> bool {
    row.split(',').nth(1).is_some_and(|month| ("2021-08-01".."2022-01-01").contains(&month))
}

/// Writes the payments again, each row as `change` has it.
fn rewrite(folder: &Path, change: impl Fn(usize, &str) -> Option<String>) {
    let text = std::fs::read_to_string(folder.join(PAYMENTS)).unwrap();
    let rows = text.lines().enumerate().filter_map(|(number, row)| change(number, row));
    put(folder, PAYMENTS, &(rows.collect::<Vec<_>>().join("\n") + "\n"));
}

fn flipped(row: &str) -> String {
    match row.strip_suffix(",0") {
        Some(start) => format!("{start},1"),
        None => format!("{},0", row.strip_suffix(",1").unwrap()),
    }
}

fn trained(folder: &Path) -> Json {
    json(folder, &["train", "default_risk"])
}

#[test]
fn one_training_label_changes_the_digest_and_the_test_labels_do_not() {
    let project = small::project();
    let folder = project.path();
    let first = trained(folder);

    // Every label of the test part turned round: what is measured changes, what scores does not.
    rewrite(folder, |_, row| Some(if is_test(row) { flipped(row) } else { row.to_owned() }));
    let turned = trained(folder);
    assert_ne!(turned["metrics"]["auc"], first["metrics"]["auc"]);
    assert_eq!(turned["digest"], first["digest"]);
    assert_eq!((turned["version"].as_u64(), turned["new_version"].as_bool()), (Some(1), Some(false)));

    // The client's first month, of which the features of no other row of the training part know more than before.
    rewrite(folder, |number, row| Some(if number == 1 { flipped(row) } else { row.to_owned() }));
    let changed = trained(folder);
    assert_ne!(changed["digest"], first["digest"]);
    assert_eq!(changed["version"], 2);

    // What the first run read is still there.
    let run = first["run_id"].as_str().unwrap();
    assert_eq!(json(folder, &["runs", "reproduce", run])["model"]["same"], true);
}

#[test]
fn without_one_clients_rows_the_counts_say_so() {
    let project = small::project();
    let folder = project.path();
    json(folder, &["sources", "ingest"]);
    rewrite(folder, |_, row| (!row.starts_with("7,")).then(|| row.to_owned()));
    let ingested = json(folder, &["sources", "ingest"]);
    let payments = ingested.as_array().unwrap().iter().find(|source| source["source"] == "payments").unwrap();
    assert_eq!(payments["report"]["accepted"], CLIENTS * MONTHS + 1 - MONTHS);
    assert_eq!(payments["counts"]["removed"], MONTHS);
    let left = json(folder, &["query", "SELECT count(*) AS n, count(DISTINCT client_id) AS clients FROM loans"]);
    assert_eq!(left["rows"][0]["n"], (CLIENTS - 1) * MONTHS);
    assert_eq!(left["rows"][0]["clients"], CLIENTS - 1);
    assert_eq!(trained(folder)["data"]["entities"], CLIENTS - 1);
}
