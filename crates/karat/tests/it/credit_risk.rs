//! The shipped example, whole, against what is known of its data and against pandas.

use std::path::Path;

use karat_test_support::temp_dir;
use serde_json::json as value;

use crate::support::{agrees_with, command, json, karat, run_command};

/// What the story must say, on its own lines where it matters to programs that read it.
const FIGURES: [&str; 10] = [
    "438,557 read = 438,510 accepted + 47 quarantined",
    "75,324 job starts",
    "270,860 credit rows of 9,528 ids without an application",
    "777,715 loans",
    "36,457 clients",
    "status mean 0.01488334415563542",
    "147,323 test rows",
    "job_start_date 3021-09-18 nulled by range",
    "arithmetic: passed",
    "history: passed",
];

fn figure(story: &str, name: &str) -> f64 {
    let line = story.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no line `{name} …` in\n{story}")).trim().parse().unwrap()
}

#[test]
fn whole_example_demo_training_set_and_digests() {
    let folder = temp_dir();
    let demo = ["demo", "credit-risk", "--once", "--yes", "--port", "18000"];
    let story = karat(folder.path(), &demo).ok().stdout;
    for expected in FIGURES {
        assert!(story.contains(expected), "no `{expected}` in\n{story}");
    }
    assert!(figure(&story, "AUC") >= 0.93, "{story}");
    assert!(figure(&story, "KS") >= 0.67, "{story}");
    let project = folder.path().join("credit-risk");
    trained_alike_on_any_number_of_threads(&project);
    same_as_pandas(&project);
    profiled_as_pandas_does(&project);
    reported(&story, &project);
    let verified = json(&project, &["features", "verify", "--pairs", "50000"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");

    // Again in the same folder: everything is there, and the story says the same, to a program too.
    let again = json(folder.path(), &demo);
    let expected = value!({
        "loans": 777_715, "clients": 36_457, "late": 11_575, "status_mean": 0.01488334415563542,
        "applications_accepted": 438_510, "applications_quarantined": 47, "job_starts_nulled": 75_324,
        "credit_rows_left_out": 270_860, "version": "credit_default/1",
    });
    for (name, figure) in expected.as_object().unwrap() {
        assert_eq!(again[name], *figure, "{name}");
    }
    assert_eq!(format!("{:.4}", again["auc"].as_f64().unwrap()), format!("{:.4}", figure(&story, "AUC")));
    assert_eq!(json(&project, &["models", "show", "credit_default"])["model"]["versions"], 1);
}

fn trained_alike_on_any_number_of_threads(project: &Path) {
    let registered = json(project, &["models", "show", "credit_default/1"]);
    for threads in ["1", "2"] {
        let arguments = ["train", "credit_default", "--format", "json"];
        let trial = run_command(command(project, &arguments).env("OMP_NUM_THREADS", threads)).ok().json();
        assert_eq!(trial["digest"], registered["digest"], "with {threads} threads");
        assert_eq!(trial["threads"].to_string(), threads);
        for name in ["run_id", "model", "version", "metrics", "gates", "data"] {
            assert!(!trial[name].is_null(), "no `{name}`");
        }
    }
}

fn same_as_pandas(project: &Path) {
    json(project, &["features", "training-set", "credit_default", "--output", "training.parquet"]);
    agrees_with("credit_risk.py", project, "training.parquet");
}

fn profiled_as_pandas_does(project: &Path) {
    let profile = karat(project, &["sources", "profile", "loans", "--format", "json"]).ok().stdout;
    std::fs::write(project.join("profile.json"), profile).unwrap();
    agrees_with("profile.py", project, "profile.json");
}

/// The demo's last page holds the decision it told of.
fn reported(story: &str, project: &Path) {
    let page = std::fs::read_to_string(project.join(".karat/reports/report.html")).unwrap();
    assert!(story.contains(".karat/reports/report.html"), "{story}");
    for part in ["credit_default/1", "champion", "mean |SHAP|", "logged score bit for bit", "nulled by range", "0.9"] {
        assert!(page.contains(part), "no `{part}` in the report");
    }
}
