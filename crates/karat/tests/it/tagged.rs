//! Commits under names: tagging them, what changed between two, training from one again; and training sets in folders.

use std::path::Path;

use serde_json::{Value as Json, json as value};

use crate::small::{self, edit, put};
use crate::support::{agrees_with, json, karat};

/// Client 5's rows of 2021 are gone, one amount and one label of client 6 are others, client 81 is new.
fn next_delivery(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("5,2021-"));
    let mut changed: Vec<String> = kept
        .map(|line| match line {
            line if line.starts_with("6,2020-03-01,") => "6,2020-03-01,1.25,1".to_owned(),
            line if line.starts_with("6,2020-04-01,") => {
                let (rest, late) = line.rsplit_once(',').unwrap();
                format!("{rest},{}", if late == "1" { 0 } else { 1 })
            }
            line => line.to_owned(),
        })
        .collect();
    changed.push("81,2021-05-01,10.5,1".to_owned());
    put(folder, "data/payments.csv", &(changed.join("\n") + "\n"));
}

fn tags(folder: &Path) -> Vec<(String, String, u64)> {
    let listed = json(folder, &["sources", "tags"]);
    let one = |tag: &Json| {
        let text = |name: &str| tag[name].as_str().unwrap().to_owned();
        (text("source"), text("tag"), tag["commit"].as_u64().unwrap())
    };
    listed.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_training_goes_back_to_a_tag() {
    let project = small::project();
    let folder = project.path();
    let none = karat(folder, &["sources", "tags"]).ok();
    assert!(none.stdout.contains("no tags yet"));
    let said = karat(folder, &["sources", "snapshot", "--tag", "first", "--why", "before the audit"]).ok().stdout;
    assert_eq!(said.trim(), "loans: commit 1 is first\npayments: commit 1 is first\npeople: commit 1 is first");
    let first = json(folder, &["train", "default_risk", "--at", "first"]);
    next_delivery(folder);

    // At the tag nothing is ingested, and nothing else is read.
    let again = json(folder, &["train", "default_risk", "--at", "first"]);
    assert_eq!(again["data"]["digest"], first["data"]["digest"]);
    assert_eq!(again["data"]["commits"], value!({"loans": 1, "people": 1}));
    assert_eq!(json(folder, &["sources", "list"])[1]["commit"], 1);
    let newest = json(folder, &["train", "default_risk"]);
    assert_eq!(newest["data"]["commits"], value!({"loans": 2, "people": 1}));
    assert_ne!(newest["data"]["digest"], first["data"]["digest"]);

    // A run tells that it was trained at a tag, and whether a tag holds what it learned from.
    let run = newest["run_id"].as_str().unwrap();
    let shown = json(folder, &["runs", "show", first["run_id"].as_str().unwrap()]);
    assert_eq!(shown["tags"]["karat.at"], "first");
    let own = json(folder, &["runs", "reproduce", run]);
    assert_eq!(own["training_set"]["same"], true);
    let at_first = karat(folder, &["runs", "reproduce", run, "--at", "first", "--format", "json"]).ends_with(1).json();
    assert_eq!((&at_first["training_set"]["same"], &at_first["commits"]["loans"]), (&Json::Bool(false), &value!(1)));
    assert_eq!(at_first["training_set"]["reproduced"], first["data"]["digest"]);

    let unknown = karat(folder, &["train", "default_risk", "--at", "frist"]).ends_with(1);
    assert!(unknown.stderr.contains("did you mean `first`?"), "{}", unknown.stderr);
    karat(folder, &["sources", "snapshot", "people", "--tag", "half"]).ok();
    let half = karat(folder, &["train", "default_risk", "--at", "half"]).ends_with(1);
    assert!(half.stderr.contains("no commit of loans is tagged `half`"), "{}", half.stderr);
    assert!(half.stderr.contains("karat sources snapshot loans --tag half"), "{}", half.stderr);
}

#[test]
fn a_tag_stays_where_it_is_unless_it_is_moved() {
    let project = small::project();
    let folder = project.path();
    karat(folder, &["sources", "snapshot", "--tag", "v1"]).ok();
    let same = karat(folder, &["sources", "snapshot", "--tag", "v1"]).ok().stdout;
    assert!(same.contains("payments: commit 1 is v1 already"), "{same}");
    next_delivery(folder);
    let taken = karat(folder, &["sources", "snapshot", "--tag", "v1"]).ends_with(1);
    assert!(taken.stderr.contains("commit 1 of loans is tagged `v1` already"), "{}", taken.stderr);
    assert!(tags(folder).iter().all(|(_, _, commit)| *commit == 1), "all of them, or none");
    let moved = karat(folder, &["sources", "snapshot", "--tag", "v1", "--move", "--why", "corrected"]).ok().stdout;
    assert_eq!(
        moved.trim(),
        "loans: v1 moved from commit 1 to commit 2\npayments: v1 moved from commit 1 to commit 2\npeople: commit 1 is v1 \
         already"
    );
    karat(folder, &["sources", "snapshot", "payments", "--tag", "old", "--commit", "1"]).ok();
    let by_name = |(source, tag, commit): (&str, &str, u64)| (source.to_owned(), tag.to_owned(), commit);
    let all = [("loans", "v1", 2), ("payments", "old", 1), ("payments", "v1", 2), ("people", "v1", 1)].map(by_name);
    assert_eq!(tags(folder), all);

    // The chain tells who gave and who moved them.
    let audit = json(folder, &["audit", "list", "--limit", "100"]);
    let about = |action: &str| {
        audit.as_array().unwrap().iter().filter(|entry| entry["action"] == action).cloned().collect::<Vec<_>>()
    };
    assert_eq!(about("source.tag").len(), 4);
    let moves = about("source.move_tag");
    assert_eq!(moves.len(), 2);
    assert!(moves.iter().all(|entry| entry["details"] == value!({"tag": "v1", "from": 1, "why": "corrected"})));
    assert!(moves.iter().all(|entry| entry["actor"] == "tester" && entry["subject"]["version"] == "2"));
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);

    for (arguments, why) in [
        (vec!["--tag", "7"], "a mere number"),
        (vec!["--tag", "a b"], "is no tag"),
        (vec!["--tag", "x", "--commit", "1"], "name it"),
        (vec!["nobody", "--tag", "x"], "no source `nobody`"),
        (vec!["loans", "--tag", "x", "--commit", "9"], "loans has no commit 9: its newest is 2"),
    ] {
        let refused = karat(folder, &[vec!["sources", "snapshot"], arguments].concat());
        assert!(refused.code != 0 && refused.stderr.contains(why), "{}", refused.stderr);
    }
}

#[test]
fn a_diff_tells_rows_by_their_keys() {
    let project = small::project();
    let folder = project.path();
    karat(folder, &["sources", "snapshot", "--tag", "v1"]).ok();
    next_delivery(folder);
    karat(folder, &["sources", "ingest"]).ok();
    let diff = json(folder, &["sources", "diff", "payments", "v1", "2", "--samples", "3"]);
    let counts = ["added", "removed", "changed", "unchanged"].map(|what| diff[what].as_u64().unwrap());
    let rows = small::CLIENTS * small::MONTHS;
    // Beside the rows that join there is one of a client whom nobody knows.
    assert_eq!(counts, [1, 12, 2, rows + 1 - 12 - 2]);
    assert_eq!((&diff["from"]["commit"], &diff["from"]["rows"]), (&value!(1), &value!(rows + 1)));
    assert_eq!((&diff["to"]["commit"], &diff["to"]["rows"]), (&value!(2), &value!(rows + 1 + 1 - 12)));
    assert_eq!(diff["sample"]["added"].as_array().unwrap().len(), 1);
    assert_eq!(diff["sample"]["added"][0]["client_id"], 81);
    assert_eq!(diff["sample"]["removed"].as_array().unwrap().len(), 3);
    assert_eq!(diff["sample"]["removed"][0]["month"], "2021-01-01");
    let of = |row: usize| &diff["sample"]["changed"][row];
    assert_eq!(of(0)["key"], value!({"client_id": 6, "month": "2020-03-01"}));
    let columns: Vec<&str> =
        of(1)["columns"].as_array().unwrap().iter().map(|cell| cell["column"].as_str().unwrap()).collect();
    assert_eq!(columns, ["late"]);
    let late = diff["columns"].as_array().unwrap().iter().find(|column| column["column"] == "late").unwrap();
    assert!(late["rows"].as_u64().unwrap() >= 1);

    // The other way round, and with itself.
    let back = json(folder, &["sources", "diff", "payments", "2", "1"]);
    assert_eq!(["added", "removed", "changed"].map(|what| back[what].as_u64().unwrap()), [12, 1, 2]);
    let same = json(folder, &["sources", "diff", "payments", "2", "2"]);
    assert_eq!(["added", "removed", "changed"].map(|what| same[what].as_u64().unwrap()), [0, 0, 0]);
    let human = karat(folder, &["sources", "diff", "payments", "v1", "2"]).ok().stdout;
    assert!(human.contains("1 added, 2 changed, 12 removed"), "{human}");
    assert!(human.contains("6, 2020-03-01"), "{human}");
    let unknown = karat(folder, &["sources", "diff", "payments", "v2", "2"]).ends_with(1);
    assert!(unknown.stderr.contains("payments has no tag `v2`; did you mean `v1`?"), "{}", unknown.stderr);
}

#[test]
fn a_diff_tells_columns_that_came_and_files_without_keys() {
    let project = small::project();
    let folder = project.path();
    let source = "kind: Source\nname: calls\npath: calls-*.csv\ncolumns: {client_id: int, minutes: int}\n";
    put(folder, "sources/calls.yaml", source);
    put(folder, "calls-1.csv", "client_id,minutes,who\n1,5,a\n2,6,b\n1,5,a\n");
    karat(folder, &["sources", "ingest", "calls"]).ok();
    put(folder, "calls-2.csv", "client_id,minutes,who\n3,7,c\n");
    karat(folder, &["sources", "ingest", "calls"]).ok();
    let diff = json(folder, &["sources", "diff", "calls", "1", "2"]);
    assert_eq!(["added", "removed", "changed", "unchanged"].map(|what| diff[what].as_u64().unwrap()), [1, 0, 0, 3]);
    assert_eq!(diff["sample"]["added"][0]["minutes"], 7);

    edit(folder, "sources/calls.yaml", "minutes: int}", "minutes: float, who: text}");
    karat(folder, &["sources", "ingest", "calls", "--rebuild"]).ok();
    let diff = json(folder, &["sources", "diff", "calls", "2", "3"]);
    assert_eq!(diff["columns_added"], value!(["who"]));
    assert_eq!(diff["columns_retyped"], value!([{"column": "minutes", "from": "int", "to": "float"}]));
    assert_eq!(["added", "removed", "changed", "unchanged"].map(|what| diff[what].as_u64().unwrap()), [0, 0, 0, 4]);
}

#[test]
fn a_folder_holds_the_parts_and_says_where_they_come_from() {
    let project = small::project();
    let folder = project.path();
    let trial = json(folder, &["train", "default_risk"]);
    let written = json(folder, &["features", "training-set", "default_risk", "--output", "set"]);
    let manifest: Json =
        serde_json::from_str(&std::fs::read_to_string(folder.join("set/_manifest.json")).unwrap()).unwrap();
    assert_eq!(written["manifest"], manifest);
    // The set is the one that the run learned from, part by part.
    assert_eq!(manifest["digest"], trial["data"]["digest"]);
    assert_eq!(manifest["runs"], value!([trial["run_id"]]));
    let run = json(folder, &["runs", "show", trial["run_id"].as_str().unwrap()]);
    let param = |name: &str| run["params"][name].clone();
    assert_eq!(manifest["digest"], param("training_set_digest"));
    assert_eq!(manifest["definitions"]["history"], param("definition.history"));
    let split = &trial["data"]["split"];
    for part in ["train", "validation", "test"] {
        for what in ["rows", "positives", "first_as_of", "last_as_of", "last_label_time"] {
            assert_eq!(manifest["parts"][part][what], split[part][what], "{part} {what}");
        }
    }
    let sources: Vec<(&str, u64)> = manifest["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|read| (read["source"].as_str().unwrap(), read["commit"].as_u64().unwrap()))
        .collect();
    assert_eq!(sources, [("loans", 1), ("people", 1)]);
    let left_out: u64 = manifest["left_out"].as_object().unwrap().values().map(|rows| rows.as_u64().unwrap()).sum();
    assert_eq!(manifest["spine_rows"].as_u64().unwrap(), manifest["rows"].as_u64().unwrap() + left_out);
    for (why, rows) in manifest["left_out"].as_object().unwrap() {
        assert_eq!(&written[why], rows, "{why}");
    }
    assert_eq!(manifest["columns"][0], value!({"name": "client_id", "type": "int", "role": "key"}));
    karat(folder, &["features", "training-set", "default_risk", "--output", "whole.parquet"]).ok();
    agrees_with("partitioned.py", folder, "set");

    // What is there is never written over, and a set that cannot be written leaves nothing.
    let again = karat(folder, &["features", "training-set", "default_risk", "--output", "set/"]).ends_with(2);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    std::fs::create_dir(folder.join("empty")).unwrap();
    karat(folder, &["features", "training-set", "default_risk", "--output", "empty"]).ok();
    put(folder, "file", "");
    karat(folder, &["features", "training-set", "default_risk", "--output", "file/set"]).ends_with(1);
    let left: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Readers of a folder take `part` from its folders' names, and some of them take no account of case.
#[test]
fn a_folder_whose_columns_could_not_be_read_back_is_not_written() {
    let project = small::project();
    let folder = project.path();
    for (features, said) in [
        ("  part: {count: rows}\n", "`part` cannot be a column of a folder"),
        ("  Part: {count: rows}\n", "`Part` cannot be a column of a folder"),
        ("  nb: {count: rows}\n  NB: {count: rows}\n", "`nb` and `NB` cannot both be columns of a folder"),
        ("  Late: {count: rows}\n", "`Late` and `late` cannot both be columns of a folder"),
    ] {
        let view = format!("kind: FeatureView\nname: more\nentity: client\nsource: payments\nfeatures:\n{features}");
        put(folder, "features/more.yaml", &view);
        let model = std::fs::read_to_string(folder.join("models/default_risk.yaml")).unwrap();
        put(folder, "models/default_risk.yaml", &model.replace("features: [history, person]", "features: [more]"));
        let refused = karat(folder, &["features", "training-set", "default_risk", "--output", "set"]).ends_with(2);
        assert!(refused.stderr.contains(said), "{features}: {}", refused.stderr);
        assert!(!folder.join("set").exists());
        karat(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]).ok();
        let text = std::fs::read_to_string(folder.join("set.csv")).unwrap();
        let first = features.trim().split(':').next().unwrap().to_owned();
        assert!(text.lines().next().unwrap().split(',').any(|name| name == first), "{text}");
        std::fs::remove_file(folder.join("set.csv")).unwrap();
    }
}

#[test]
fn a_spine_keeps_so_many_rows_of_each_key() {
    let project = small::project();
    let folder = project.path();
    let labels = |keep: &str| {
        let text = std::fs::read_to_string(folder.join("models/default_risk.yaml")).unwrap();
        let spine = text.lines().find(|line| line.starts_with("spine:")).unwrap().to_owned();
        let new =
            format!("spine: {{source: loans, entity: client, as_of: month, label: late, label_time: month_end{keep}}}");
        put(folder, "models/default_risk.yaml", &text.replace(&spine, &new));
        let said = json(folder, &["features", "training-set", "default_risk", "--output", "set.csv"]);
        let text = std::fs::read_to_string(folder.join("set.csv")).unwrap();
        let months: Vec<String> =
            text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()[..7].to_owned()).collect();
        (months, said)
    };
    let (all, said) = labels("");
    let rows = (small::CLIENTS * small::MONTHS) as usize;
    assert_eq!((all.len(), &said["not_kept"]), (rows, &value!(0)));
    let (last, said) = labels(", keep: last");
    assert_eq!(last, vec!["2021-12"; small::CLIENTS as usize]);
    assert_eq!(said["not_kept"], rows - small::CLIENTS as usize);
    let (first, _) = labels(", keep: first");
    assert_eq!(first, vec!["2020-01"; small::CLIENTS as usize]);
    let (three, _) = labels(", keep: 3");
    assert_eq!(three.len(), 3 * small::CLIENTS as usize);
    assert!(three.iter().all(|month| ["2021-10", "2021-11", "2021-12"].contains(&month.as_str())));

    // What is kept is split: six months of each client, of which the last two are the test part.
    labels(", keep: 6");
    edit(
        folder,
        "models/default_risk.yaml",
        "validation: 5 months, test: 5 months",
        "validation: 2 months, test: 2 months",
    );
    let trial = json(folder, &["train", "default_risk"]);
    let split = &trial["data"]["split"];
    assert_eq!(split["not_kept"], 18 * small::CLIENTS);
    assert_eq!(split["rows"], rows);
    assert_eq!(split["test"]["rows"], 2 * small::CLIENTS);
    assert!(split["train"]["first_as_of"].as_str().unwrap().starts_with("2021-07"));
    let human = karat(folder, &["train", "default_risk"]).ok().stdout;
    assert!(human.contains("1,440 rows are left out: the spine keeps others of their key"), "{human}");
}

/// The features of this project take few values: rows of all parts are alike.
#[test]
fn rows_alike_on_both_sides_of_the_split_are_told() {
    let project = small::project();
    let folder = project.path();
    edit(folder, "features/history.yaml", "  nb: {count: rows, words: number of earlier months}\n", "");
    edit(folder, "features/history.yaml", "  mean_amount: {mean: amount}\n", "");
    edit(
        folder,
        "features/history.yaml",
        "  share_late: {share: late, words: share of earlier months paid late}\n",
        "",
    );
    edit(folder, "models/default_risk.yaml", "gates: [auc >= 0.55, auc >= champion.auc]\n", "");
    let trial = json(folder, &["train", "default_risk"]);
    let test = &trial["data"]["split"]["test"];
    let identical = test["identical"].as_u64().unwrap();
    assert!(identical > 0 && identical <= test["rows"].as_u64().unwrap());
    let warned = trial["warnings"].as_array().unwrap().iter().any(|warning| {
        let text = warning.as_str().unwrap();
        text.contains(&format!("{identical} of {} test rows", test["rows"]))
            && text.contains("the same as a training row")
    });
    assert!(warned, "{}", trial["warnings"]);
    karat(folder, &["models", "card", "default_risk", "--output", "card.html"]).ok();
    let page = std::fs::read_to_string(folder.join("card.html")).unwrap();
    assert!(page.contains("are the same as a training row in every input and in the label"));
}
