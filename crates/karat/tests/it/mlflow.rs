//! MLflow's own client, from PyPI, against Karat's server, beside MLflow's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use karat_test_support::postgres_server::PostgresServer;
use karat_test_support::s3_server::S3Server;
use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};

use crate::mlflow_files::Place;
use crate::small::{self, put};
use crate::support::{Server, json, karat};

/// The Python that has MLflow, as `scripts/setup tests` installs it.
pub fn mlflow_python() -> Option<PathBuf> {
    let python = std::env::var_os("KARAT_MLFLOW_PYTHON").map(PathBuf::from).filter(|python| python.is_file());
    assert!(python.is_some() || std::env::var_os("CI").is_none(), "CI sets it up: scripts/setup tests");
    python
}

pub fn project() -> tempfile::TempDir {
    let folder = temp_dir();
    put(folder.path(), "karat.yaml", "name: tracking\n");
    folder
}

#[test]
fn the_client_cannot_tell_karat_from_mlflow() {
    let Some(python) = mlflow_python() else {
        eprintln!("SKIPPED the_client_cannot_tell_karat_from_mlflow: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    compared(&python, &project());
}

#[test]
fn nor_where_what_it_logs_lies_in_postgresql() {
    let test = "nor_where_what_it_logs_lies_in_postgresql";
    let Some(python) = mlflow_python() else {
        eprintln!("SKIPPED {test}: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    let Some(postgres) = PostgresServer::start(test) else { return };
    let folder = project();
    put(folder.path(), "karat.yaml", &format!("name: tracking\nstores: {{metadata: \"{}\"}}\n", postgres.database()));
    compared(&python, &folder);
    assert!(!folder.path().join(".karat/metadata.db").exists());
}

/// Does the same to Karat and to MLflow's own server.
fn compared(python: &Path, folder: &tempfile::TempDir) {
    let server = Server::start(folder.path());
    let work = temp_dir();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_client.py");
    let output = Command::new(python).arg(script).arg(&server.address).current_dir(work.path()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let said: Json = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let differences = said["differences"].as_array().unwrap();
    assert!(differences.is_empty(), "{} of {}: {:#}", differences.len(), said["compared"], said["differences"]);
    assert!(said["compared"].as_u64().unwrap() > 680, "{said}");
    // What clients logged is what Karat's own commands show.
    let runs = json(folder.path(), &["runs", "list", "--experiment", "fluent"]);
    let names: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["modelled", "child", "parent"]);
}

#[test]
fn a_client_of_a_year_before_sees_the_same() {
    let older = std::env::var_os("KARAT_MLFLOW_OLD_PYTHON").map(PathBuf::from).filter(|python| python.is_file());
    let (Some(python), Some(older)) = (mlflow_python(), older) else {
        assert!(std::env::var_os("CI").is_none(), "CI sets it up: scripts/setup tests");
        eprintln!("SKIPPED a_client_of_a_year_before_sees_the_same: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    let told_by = |python: &Path| {
        let folder = project();
        let (server, work) = (Server::start(folder.path()), temp_dir());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_story.py");
        let output = Command::new(python).arg(script).arg(&server.address).current_dir(work.path()).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str::<Json>(stdout.lines().last().unwrap()).unwrap()
    };
    let (newer, older) = std::thread::scope(|scope| {
        let newer = scope.spawn(|| told_by(&python));
        (told_by(&older), newer.join().unwrap())
    });
    assert_ne!(newer["version"], older["version"]);
    let (newer, older) = (newer["seen"].as_array().unwrap(), older["seen"].as_array().unwrap());
    assert!(newer.len() > 100 && newer.len() == older.len(), "{} {}", newer.len(), older.len());
    let different: Vec<_> = newer.iter().zip(older).filter(|(newer, older)| newer != older).collect();
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn models_that_karat_trains_are_mlflows_models_and_gates_hold_on_every_route() {
    let Some(python) = mlflow_python() else {
        eprintln!("SKIPPED models_that_karat_trains_are_mlflows_models: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    let project = small::project();
    let folder = project.path();
    let trained = json(folder, &["train", "default_risk"]);
    let server = Server::start(folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_models.py");
    let work = temp_dir();
    let output = Command::new(python)
        .arg(script)
        .args([&server.address, "default_risk"])
        .current_dir(work.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let said: Json = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(said["source"], "mlflow-artifacts:/karat/models/default_risk/1");
    assert_eq!(said["of_run"], "default_risk/1");
    let run_files = said["run_files"].as_array().unwrap();
    assert!(run_files.contains(&value!("features.json")), "{run_files:?}");
    assert!(said["trees"].as_u64().unwrap() > 0, "{said}");
    assert!(said["features"].as_array().unwrap().contains(&value!("share_late")), "{said}");
    assert_eq!(said["scores"], said["same"]);
    let refused = |what: &str, with: &str| {
        let text = said[what].as_str().unwrap();
        assert!(text.starts_with("INVALID_PARAMETER_VALUE: ") && text.contains(with), "{what}: {text}");
    };
    refused("serves", "is not approved, and its model requires approval");
    refused("renames", "cannot be renamed");
    refused("deletes", "decisions are replayed with its versions");
    refused("points", "is not approved");
    assert!(said["writes"].as_str().unwrap().contains("log into a run of your own"), "{said}");
    assert_eq!(said["foreign"], "2");
    // One registry: what the client added is listed, by whom is in the audit log, and approval opens the way.
    let versions = json(folder, &["models", "show", "default_risk"]);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2, "{versions}");
    let audit = json(folder, &["audit", "list"]);
    let by_eve = audit.as_array().unwrap().iter().filter(|entry| entry["actor"] == "mlflow:eve").count();
    assert_eq!(by_eve, 1, "{audit}");
    json(folder, &["models", "approve", "default_risk/1", "--why", "figures hold"]);
    let alias = value!({"name": "default_risk", "alias": "champion", "version": "1"}).to_string();
    assert_eq!(server.request("POST", "/api/2.0/mlflow/registered-models/alias", &alias), (200, value!({})));
    assert_eq!(trained["version"], 1);
    let held = json(folder, &["audit", "list", "--model", "default_risk", "--at", "2999-12-31"]);
    assert_eq!((&held[0]["alias"], &held[0]["moved"]["actor"]), (&value!("champion"), &value!("mlflow")), "{held}");
    assert_eq!(held[0]["approval"]["why"], "figures hold");
    assert_eq!(held[0]["approval"]["gates"].as_array().unwrap().len(), 2);
    assert_eq!(json(folder, &["audit", "list", "--model", "default_risk", "--at", "2001-01-01"]), value!([]));
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);
}

#[test]
fn mistakes_never_fail_the_server_and_what_is_not_there_says_so() {
    let folder = project();
    let server = Server::start(folder.path());
    let api = "/api/2.0/mlflow";
    let ask = |method: &str, path: &str, body: &str| server.request(method, &format!("{api}{path}"), body);
    for body in
        ["{", "[]", "null", "\"x\"", "{\"run_id\": 5}", "{\"run_id\": null}", "{\"run_id\": {\"a\": []}}", "\u{0}"]
    {
        for path in
            ["runs/create", "runs/log-batch", "runs/search", "experiments/create", "runs/log-inputs", "runs/update"]
        {
            let (status, answer) = ask("POST", &format!("/{path}"), body);
            assert!(status < 500, "{path} {body}: {status} {answer}");
        }
    }
    let (status, answer) = ask("POST", "/traces/search", "{}");
    assert_eq!((status, &answer["error_code"]), (501, &value!("NOT_IMPLEMENTED")), "{answer}");
    assert_eq!(server.request("POST", "/api/3.0/mlflow/traces", "{}").0, 501);
    let (status, answer) = server.request("GET", "/api/3.0/mlflow/server-info", "");
    assert_eq!((status, &answer["multipart_uploads_enabled"]), (200, &value!(false)));
    let (status, answer) = server.request("GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", "");
    assert_eq!((status, &answer["experiment"]["name"]), (200, &value!("Default")));
    // MLflow's own list of calls has one without a slash.
    for prefix in ["/api/2.0mlflow", "/ajax-api/2.0mlflow", "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"] {
        let (status, answer) = server.request("POST", &format!("{prefix}/experiments/search-datasets"), "{}");
        assert!(status == 400 && answer["message"].to_string().contains("at least one experiment_id"), "{answer}");
    }
    // As it is on the wire: no int64 as text, nothing empty.
    let (_, answer) = ask("POST", "/runs/create", &value!({"experiment_id": "0", "start_time": 5}).to_string());
    let run = answer["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let bulk = format!("/ajax-api{}/metrics/get-history-bulk?run_id={run}&metric_key=m", &api[4..]);
    assert_eq!(server.request("GET", &bulk, ""), (200, value!({"metrics": []})));
    assert_eq!(answer["run"]["inputs"], value!({}));
    assert_eq!(answer["run"]["info"]["start_time"], 5);
}

#[test]
fn a_server_of_its_own_needs_no_project() {
    let folder = temp_dir();
    let start = |more: &[&str]| {
        let arguments = [&["serve", "--port", "0", "--data", "kept"], more].concat();
        Server::of(&mut crate::support::command(folder.path(), &arguments))
    };
    let server = start(&["--artifacts", "uploads", "--default-artifact-root", "s3://bucket/mlflow/"]);
    let api = "/api/2.0/mlflow";
    let (_, made) = server.request("POST", &format!("{api}/experiments/create"), "{\"name\": \"a\"}");
    let id = made["experiment_id"].as_str().unwrap().to_owned();
    let get = format!("{api}/experiments/get?experiment_id={id}");
    let (_, found) = server.request("GET", &get, "");
    assert_eq!(found["experiment"]["artifact_location"], format!("s3://bucket/mlflow/{id}"));
    assert_eq!(server.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/9/x/a.json", "{}").0, 200);
    assert!(folder.path().join("uploads/9/x/a.json").is_file());
    drop(server);
    // The folder is a project now, whose runs every command shows.
    let server = start(&[]);
    assert_eq!(server.request("GET", &get, "").1, found);
    let listed = json(folder.path(), &["experiments", "list", "--project", "kept"]);
    assert_eq!(listed[0]["name"], "a");
    let wrong = karat(folder.path(), &["serve", "--data", "kept", "--artifacts", "gs://bucket/x"]).ends_with(2).stderr;
    assert!(wrong.contains("s3://BUCKET/PREFIX") && wrong.contains("--default-artifact-root gs://bucket/x"), "{wrong}");
    let nowhere = karat(folder.path(), &["serve"]).ends_with(2).stderr;
    assert!(nowhere.contains("no karat.yaml") && nowhere.contains("--data"), "{nowhere}");
}

#[test]
fn many_who_write_at_once_are_all_answered() {
    let folder = project();
    let server = Server::start(folder.path());
    let ask = |path: &str, body: Json| server.request("POST", &format!("/api/2.0/mlflow/{path}"), &body.to_string());
    let ask = &ask;
    let (_, answer) = ask("runs/create", value!({"experiment_id": "0"}));
    let run = answer["run"]["info"]["run_id"].as_str().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for step in 0..25 {
                    let metric = value!({"run_id": run, "key": format!("m{writer}"), "value": step, "timestamp": 1, "step": step});
                    assert_eq!(ask("runs/log-metric", metric), (200, value!({})));
                }
            });
        }
        // Karat's own commands write to the same database meanwhile.
        scope.spawn(|| karat(folder.path(), &["apply"]).ok());
    });
    let (_, answer) = server.request("GET", &format!("/api/2.0/mlflow/runs/get?run_id={run}"), "");
    let metrics = answer["run"]["data"]["metrics"].as_array().unwrap();
    assert!(metrics.len() == 8 && metrics.iter().all(|metric| metric["value"] == 24.0), "{answer}");
    // What was answered is there after a crash.
    server.kill();
    let server = Server::start(folder.path());
    let (_, again) = server.request("GET", &format!("/api/2.0/mlflow/runs/get?run_id={run}"), "");
    assert_eq!(again, answer);
}

#[test]
fn artifacts_are_never_outside_their_folder() {
    let folder = project();
    let server = Server::start(folder.path());
    let at = |path: &str| format!("/api/2.0/mlflow-artifacts/artifacts/{path}");
    let put = |path: &str| server.request("PUT", &at(path), "{\"a\": 1}").0;
    assert_eq!(put("1/x/artifacts/a.json"), 200);
    assert_eq!(server.request("GET", &at("1/x/artifacts/a.json"), ""), (200, value!({"a": 1})));
    for path in [
        "../x",
        "a/../../x",
        "%2e%2e/x",
        "a/%2e%2e/%2e%2e/x",
        "..%2fx",
        "..%5cx",
        "%2Fetc/passwd",
        "a/%252e%252e/x",
        "/etc/x",
        "a//x",
        "c:/x",
        "a%00b",
        ".staged-x",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let (status, _) = server.request(method, &at(path), "{}");
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }
    for path in ["..", "a/..", "../..", "%2e%2e"] {
        let (status, answer) = server.request("GET", &format!("/api/2.0/mlflow-artifacts/artifacts?path={path}"), "");
        assert_eq!(status, 400, "{path}: {answer}");
    }
    let (_, made) = server.request("POST", "/api/2.0/mlflow/runs/create", "{\"experiment_id\": \"0\"}");
    let run = made["run"]["info"]["run_id"].as_str().unwrap();
    for path in
        ["../../../../../etc/passwd", "..%2f..%2fx", "%252e%252e/x", "/etc/passwd", "a/../b", "", "a%00b", "c:/x"]
    {
        for (method, route) in [
            ("GET", format!("/get-artifact?run_id={run}&path={path}")),
            ("POST", format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={path}")),
        ] {
            let (status, answer) = server.request(method, &route, "{}");
            assert_eq!(status, 400, "{method} {route}: {answer}");
        }
    }
    let kept: Vec<_> = std::fs::read_dir(folder.path().join(".karat/artifacts/mlflow")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(put("1/x/artifacts"), 400, "a folder is no file");
    assert_eq!(put("1/x/artifacts/a.json/b"), 400, "a file is no folder");
    assert_eq!(server.request("GET", &at("1/x/artifacts"), "").0, 400);
    assert_eq!(server.request("DELETE", &at("1/x"), "{}").0, 200);
    assert_eq!(server.request("GET", &at("1/x/artifacts/a.json"), "").0, 404);
    assert_eq!(server.request("DELETE", &at("1/x"), "{}").0, 404);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_leaves_in_pieces_whatever_its_size() {
    use std::io::{Read, Write};
    let folder = project();
    let server = Server::start(folder.path());
    let at = "/api/2.0/mlflow-artifacts/artifacts/0/x/artifacts/large.bin";
    assert_eq!(server.request("PUT", at, "{}").0, 200);
    let large = std::fs::File::options()
        .write(true)
        .open(folder.path().join(".karat/artifacts/mlflow/0/x/artifacts/large.bin"))
        .unwrap();
    const LENGTH: u64 = 300 << 20;
    large.set_len(LENGTH).unwrap();
    let before = server.peak_memory();
    for (range, expected) in [(String::new(), LENGTH), (format!("range: bytes=7-{}\r\n", LENGTH - 8), LENGTH - 14)] {
        let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
        write!(stream, "GET {at} HTTP/1.1\r\nhost: karat\r\nconnection: close\r\n{range}\r\n").unwrap();
        let mut piece = vec![0; 1 << 20];
        let (mut received, mut head) = (0_u64, Vec::new());
        loop {
            let length = stream.read(&mut piece).unwrap();
            if length == 0 {
                break;
            }
            match head.is_empty() {
                true => head.extend_from_slice(&piece[..length]),
                false => received += length as u64,
            }
        }
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(received + (head.len() - end) as u64, expected, "{}", String::from_utf8_lossy(&head[..end]));
    }
    let grown = server.peak_memory() - before;
    assert!(grown < 32 << 20, "{} MiB for a file of {} MiB", grown >> 20, LENGTH >> 20);
}

#[test]
fn trees_that_python_grew_are_scored_exactly_behind_the_same_gates() {
    let Some(python) = mlflow_python() else {
        eprintln!("SKIPPED trees_that_python_grew: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    adopted(&python, &small::project(), None);
}

#[test]
fn and_so_are_those_in_a_bucket() {
    let test = "and_so_are_those_in_a_bucket";
    let Some(python) = mlflow_python() else {
        eprintln!("SKIPPED {test}: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    let Some(s3) = S3Server::start(test) else { return };
    s3.make_bucket("lake");
    let project = small::project();
    put(project.path(), "karat.yaml", "name: small\nstores: {artifacts: \"s3://lake/x\"}\n");
    adopted(&python, &project, Some(&s3));
}

fn adopted(python: &Path, project: &tempfile::TempDir, s3: Option<&S3Server>) {
    let folder = project.path();
    let place = Place::new(folder, s3);
    json(folder, &["features", "training-set", "default_risk", "--output", "set"]);
    let server = place.serve(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_boosters.py");
    let work = temp_dir();
    let set = folder.join("set");
    let output =
        Command::new(python).arg(script).arg(&server.address).arg(&set).current_dir(work.path()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let said: Json = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let run = |name: &str| said["runs"][name].as_str().unwrap().to_owned();

    let trial = place.json(&["models", "register", &run("booster")]);
    assert_eq!(
        (trial["version"].as_u64(), trial["new_version"].as_bool(), trial["rounds"].as_u64()),
        (Some(1), Some(true), Some(12))
    );
    assert!(trial["warnings"].to_string().contains("grown elsewhere"), "{trial}");
    assert_eq!(trial["gates"].as_array().unwrap().len(), 2);
    // The measures are those that scikit-learn takes of LightGBM's own scores.
    for measure in ["auc", "log_loss"] {
        let (ours, theirs) = (trial["metrics"][measure].as_f64().unwrap(), said[measure].as_f64().unwrap());
        assert!((ours - theirs).abs() < 1e-12, "{measure}: {ours} {theirs}");
    }
    // Its own files are listed and given as ever, wherever those of clients lie.
    let own = "/api/2.0/mlflow-artifacts/artifacts";
    let (_, listed) = server.request("GET", &format!("{own}?path=karat/models/default_risk/1"), "");
    assert!(listed["files"].as_array().unwrap().iter().any(|file| file["path"] == "MLmodel"), "{listed}");
    assert!(server.text(&format!("{own}/karat/models/default_risk/1/MLmodel")).contains("lightgbm.basic.Booster"));
    // Again it is the same version, and the source's run says which.
    assert_eq!(place.json(&["models", "register", &run("booster")])["new_version"], false);
    let source = json(folder, &["runs", "show", &run("booster")]);
    assert_eq!(source["tags"]["karat.model_version"], "default_risk/1");
    let again = karat(folder, &["runs", "reproduce", trial["run_id"].as_str().unwrap()]).ends_with(1).stderr;
    assert!(again.contains("nothing to train again"), "{again}");

    // It decides like any other version, and its decisions replay.
    karat(folder, &["models", "approve", "default_risk/1", "--as", "champion", "--why", "figures hold"]).ok();
    karat(folder, &["features", "materialize"]).ok();
    // The running server takes the champion up within two seconds.
    let ask = || server.request("POST", "/v1/endpoints/decide/predict", "{\"key\": 5}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut answer = ask();
    while answer.0 == 503 && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(100));
        answer = ask();
    }
    let (status, decided) = answer;
    assert_eq!(status, 200, "{decided}");
    let replayed = json(folder, &["replay", decided["prediction_id"].as_str().unwrap()]);
    assert_eq!(replayed["arithmetic"]["verdict"], "same", "{replayed}");

    for (name, with) in [
        ("wrapped", "log its booster instead"),
        ("linear", "Karat scores LightGBM's trees"),
        ("mixed", "train on the columns of `karat features training-set default_risk`"),
        ("nothing", "has logged no model"),
        ("two", "has logged several models: --path one|other"),
    ] {
        let said = place.karat(&["models", "register", &run(name)]);
        assert!(said.code != 0 && said.stderr.contains(with), "{name}: {}", said.stderr);
    }
}
