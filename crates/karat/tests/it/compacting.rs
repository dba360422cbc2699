//! `karat sources compact`: fewer files, and everything that was answered before is answered the same.

use std::path::Path;

use serde_json::{Value as Json, json as value};

use crate::small::{self, put};
use crate::support::{json, karat};

/// A client pays something else, and there is a row more.
fn deliver(folder: &Path, count: usize) {
    for _ in 0..count {
        let text = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
        let rows = text.lines().count();
        let grown = text.replacen("\n1,2021-11-01,", "\n1,2021-11-01,1", 1);
        put(folder, "data/payments.csv", &format!("{grown}{},2022-02-01,17.5,1\n", rows % 70 + 1));
        karat(folder, &["sources", "ingest"]).ok();
    }
}

/// What nobody would forgive a compaction to change.
fn answers(folder: &Path, run: &str) -> Vec<Json> {
    let reproduced = json(folder, &["runs", "reproduce", run]);
    assert_eq!((&reproduced["training_set"]["same"], &reproduced["model"]["same"]), (&value!(true), &value!(true)));
    let newest = json(folder, &["train", "default_risk"]);
    let tagged = json(folder, &["train", "default_risk", "--at", "third"]);
    karat(folder, &["features", "materialize"]).ok();
    let verified = json(folder, &["features", "verify", "--pairs", "200", "--seed", "7"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    vec![
        reproduced["model"].clone(),
        newest["data"]["digest"].clone(),
        newest["data"]["commits"].clone(),
        tagged["data"]["digest"].clone(),
        json(folder, &["sources", "diff", "payments", "third", "6"]),
        json(folder, &["query", "SELECT * FROM payments ORDER BY client_id, month"]),
        json(
            folder,
            &["query", "SELECT region, count(*) AS n, sum(amount) AS paid FROM loans GROUP BY region ORDER BY region"],
        ),
    ]
}

#[test]
fn a_compacted_history_answers_as_before() {
    let project = small::project();
    let folder = project.path();
    let none = karat(folder, &["sources", "compact"]).ok().stdout;
    assert_eq!(none.trim(), "no source of this project has a history yet: there is nothing to compact");
    deliver(folder, 3);
    let tag = ["sources", "snapshot", "payments", "loans", "people", "--tag", "third"];
    karat(folder, &tag).ok();
    let run = json(folder, &["train", "default_risk"])["run_id"].as_str().unwrap().to_owned();
    deliver(folder, 5);
    let before = answers(folder, &run);

    let planned = karat(folder, &["sources", "compact", "payments", "--dry-run"]).ok().stdout;
    assert!(
        planned.contains("8 commits: 8 parts of ") && planned.contains("commits 1 to 8: would be merged, "),
        "{planned}"
    );
    let history = folder.join(".karat/history/payments");
    assert!(!history.join("compacted-000001-000008").exists());
    let said = karat(folder, &["sources", "compact"]).ok().stdout;
    assert!(said.contains("commits 1 to 8: merged, ") && said.contains("in 8 -> 1 part\n"), "{said}");
    assert!(said.contains("the files that were replaced stay for 1 day"), "{said}");
    assert!(said.contains("people") && said.contains("1 commit in 1 part of "), "{said}");
    assert!(history.join("compacted-000001-000008/part-000.parquet").exists());
    assert!(history.join("commit-000001/part-000.parquet").exists());
    assert_eq!(answers(folder, &run), before);

    let again = json(folder, &["sources", "compact", "payments", "--retain", "0 seconds"]);
    let again = &again[0];
    assert_eq!(
        (&again["merged"], &again["parts_before"], &again["files_removed"]),
        (&value!([]), &value!(1), &value!(8))
    );
    assert_eq!(again["left"][0]["why"], "compacted before, and too little came since");
    assert!(!history.join("commit-000001").exists());
    assert_eq!(answers(folder, &run), before);

    deliver(folder, 1);
    let listed = json(folder, &["sources", "list"]);
    assert_eq!(listed[1]["commit"], 9);
    let more = json(folder, &["sources", "compact", "payments", "--retain", "0 seconds"]);
    assert_eq!((&more[0]["parts_before"], &more[0]["parts_after"]), (&value!(2), &value!(1)));
    assert_eq!(json(folder, &["runs", "reproduce", &run])["model"], before[0]);
}

#[test]
fn what_has_no_history_is_told() {
    let project = small::project();
    let folder = project.path();
    let unknown = karat(folder, &["sources", "compact", "paymants"]).ends_with(1);
    assert!(unknown.stderr.contains("payments"), "{}", unknown.stderr);
    let raw = "kind: Source\nname: raw\npath: data/people.csv\ncolumns: {client_id: int}\nkeep: false\n";
    put(folder, "sources/raw.yaml", raw);
    let kept = karat(folder, &["sources", "compact", "raw"]).ends_with(2);
    assert!(kept.stderr.contains("source raw keeps no history"), "{}", kept.stderr);
    let empty = karat(folder, &["sources", "compact", "payments"]).ok().stdout;
    assert!(empty.contains("0 commits in 0 parts of 0 bytes: nothing to merge"), "{empty}");
}
