//! Runs and experiments from the command line: found, compared, deleted, brought back, removed for good.

use std::path::Path;

use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};

use crate::small::{self, put};
use crate::support::{Server, json, karat};

/// A project in which a client logged three runs, the first with a file.
fn logged() -> (tempfile::TempDir, Vec<String>) {
    let folder = temp_dir();
    put(folder.path(), "karat.yaml", "name: tracking\n");
    let server = Server::start(folder.path());
    let ask = |path: &str, body: Json| {
        let (status, answer) = server.request("POST", &format!("/api/2.0/mlflow/{path}"), &body.to_string());
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let experiment = ask("experiments/create", value!({"name": "scorecards"}))["experiment_id"].clone();
    let mut runs = Vec::new();
    for (number, depth) in ["3", "6", "6"].into_iter().enumerate() {
        let start = 1_000 + number;
        let run = ask(
            "runs/create",
            value!({"experiment_id": experiment, "run_name": format!("r{number}"), "start_time": start}),
        );
        let run_id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let metric = |key: &str, value: f64| value!({"key": key, "value": value, "timestamp": 1, "step": 0});
        let metrics = [metric("auc", 0.7 + 0.05 * number as f64), metric("loss", 0.5)];
        let params = [value!({"key": "depth", "value": depth}), value!({"key": "seed", "value": "1"})];
        ask("runs/log-batch", value!({"run_id": run_id, "metrics": metrics, "params": params}));
        runs.push(run_id);
    }
    let file = format!("/api/2.0/mlflow-artifacts/artifacts/1/{}/artifacts/notes.json", runs[0]);
    assert_eq!(server.request("PUT", &file, "{\"a\": 1}").0, 200);
    (folder, runs)
}

fn names(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let found = json(folder, &[&["runs", "list"], arguments].concat());
    found.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn runs_are_found_as_mlflow_finds_them_and_compared() {
    let (folder, runs) = logged();
    let folder = folder.path();
    assert_eq!(names(folder, &["--experiment", "scorecards"]), ["r2", "r1", "r0"]);
    assert_eq!(names(folder, &["--filter", "metrics.auc > 0.72", "--order-by", "metrics.auc ASC"]), ["r1", "r2"]);
    assert_eq!(names(folder, &["--filter", "params.depth = '6'", "--limit", "1"]), ["r2"]);
    let table = karat(folder, &["runs", "list", "--order-by", "metrics.loss"]).ok().stdout;
    assert!(table.starts_with("run ") && table.contains("loss") && table.contains("scorecards"), "{table}");
    let sheet = karat(folder, &["runs", "list", "--format", "csv"]).ok().stdout;
    let mut lines = sheet.lines();
    let header = lines.next().unwrap();
    assert!(header.contains(",metrics.auc,metrics.loss,params.depth,params.seed,tags."), "{header}");
    assert_eq!(lines.count(), 3);

    let mistake = karat(folder, &["runs", "list", "--filter", "metrics.auc > 'high'"]).ends_with(2).stderr;
    assert!(mistake.contains("(at character 15)"), "{mistake}");
    let no_list = karat(folder, &["runs", "show", &runs[0], "--format", "csv"]).ends_with(2).stderr;
    assert!(no_list.contains("--format json"), "{no_list}");

    let compared = json(folder, &["runs", "compare", &runs[0], &runs[1][..20]]);
    assert_eq!(compared["params"], value!({"depth": ["3", "6"]}));
    assert_eq!(compared["metrics"]["auc"], value!([0.7, 0.75]));
    let text = karat(folder, &["runs", "compare", &runs[0], &runs[1]]).ok().stdout;
    assert!(text.contains("difference") && text.contains("+0.0500") && !text.contains("seed"), "{text}");
    let sheet = karat(folder, &["runs", "compare", &runs[0], &runs[1], "--format", "csv"]).ok().stdout;
    assert!(sheet.contains("params.depth,3,6") && sheet.contains("metrics.auc,0.7,0.75"), "{sheet}");
}

#[test]
fn what_is_deleted_comes_back_until_it_is_removed_for_good() {
    let (folder, runs) = logged();
    let folder = folder.path();
    karat(folder, &["runs", "delete", &runs[0], "ffff"]).ends_with(1);
    assert_eq!(names(folder, &[]).len(), 3, "a typing mistake deletes nothing");
    karat(folder, &["runs", "delete", &runs[0], &runs[1]]).ok();
    assert_eq!(names(folder, &[]), ["r2"]);
    assert_eq!(names(folder, &["--deleted"]), ["r1", "r0"]);
    assert_eq!(names(folder, &["--all"]).len(), 3);
    karat(folder, &["runs", "restore", &runs[1]]).ok();
    assert_eq!(names(folder, &[]), ["r2", "r1"]);

    assert!(json(folder, &["runs", "gc", "--older-than", "1 day", "--yes"])["runs"].as_array().unwrap().is_empty());
    let notes = folder.join(format!(".karat/artifacts/mlflow/1/{}/artifacts/notes.json", runs[0]));
    let plan = json(folder, &["runs", "gc"]);
    assert_eq!((plan["runs"][0]["id"].as_str(), plan["files"].as_u64()), (Some(runs[0].as_str()), Some(1)));
    assert!(notes.is_file(), "without --yes nothing goes");
    let done = karat(folder, &["runs", "gc", "--yes"]).ok().stdout;
    assert!(done.contains("1 run") && done.contains("1 file of 8 bytes"), "{done}");
    assert!(!notes.exists() && !notes.parent().unwrap().parent().unwrap().exists());
    assert_eq!(names(folder, &["--all"]).len(), 2);

    // An experiment goes with its runs, and is kept as long as one of them is not to go.
    karat(folder, &["experiments", "delete", "scorecards"]).ok();
    assert_eq!(names(folder, &[]).len(), 0);
    karat(folder, &["experiments", "restore", "scorecards"]).ok();
    assert_eq!(names(folder, &[]).len(), 2);
    karat(folder, &["experiments", "rename", "1", "cards"]).ok();
    let shown = json(folder, &["experiments", "show", "cards"]);
    assert_eq!(shown["runs"].as_array().unwrap().len(), 2);
    karat(folder, &["experiments", "delete", "cards"]).ok();
    let gone = json(folder, &["runs", "gc", "--yes"]);
    assert_eq!((gone["runs"].as_array().unwrap().len(), gone["experiments"][0]["name"].as_str()), (2, Some("cards")));
    let left = json(folder, &["experiments", "list", "--all"]);
    assert_eq!(left.as_array().unwrap().len(), 1, "the one that every server has: {left}");
    let actions = json(folder, &["audit", "list"]);
    let purged = actions.as_array().unwrap().iter().filter(|entry| entry["action"] == "run.purge").count();
    assert_eq!(purged, 2);
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);
}

#[test]
fn a_run_that_a_version_comes_from_stays() {
    let project = small::project();
    let folder = project.path();
    let run = json(folder, &["train", "default_risk"])["run_id"].as_str().unwrap().to_owned();
    let shown = karat(folder, &["runs", "show", &run]).ok().stdout;
    let files = shown.lines().find_map(|line| line.strip_prefix("its files: ")).unwrap();
    assert!(Path::new(files).join("features.json").is_file(), "{shown}");
    karat(folder, &["runs", "delete", &run]).ok();
    let done = karat(folder, &["runs", "gc", "--yes"]).ok().stdout;
    assert!(done.contains("stays: default_risk/1 comes from it"), "{done}");
    karat(folder, &["runs", "restore", &run]).ok();
    assert_eq!(json(folder, &["runs", "reproduce", &run])["model"]["same"], true);
}
