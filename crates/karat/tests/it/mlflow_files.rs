//! What comes through the server, kept in a folder or in a bucket: MLflow's own client tells them not apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use karat_test_support::s3_server::S3Server;
use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};

use crate::mlflow::{mlflow_python, project};
use crate::small::put;
use crate::support::{Ran, Server, command, run_command};

const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// A project and where its artifacts are.
pub struct Place<'a> {
    folder: &'a Path,
    s3: Option<&'a S3Server>,
}

impl<'a> Place<'a> {
    pub fn new(folder: &'a Path, s3: Option<&'a S3Server>) -> Place<'a> {
        Place { folder, s3 }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.folder, arguments);
        command.envs(self.s3.into_iter().flat_map(S3Server::variables));
        command
    }

    pub fn karat(&self, arguments: &[&str]) -> Ran {
        run_command(&mut self.command(arguments))
    }

    pub fn json(&self, arguments: &[&str]) -> Json {
        self.karat(&[arguments, &["--format", "json"]].concat()).ok().json()
    }

    pub fn serve(&self, arguments: &[&str]) -> Server {
        let arguments = [&["serve", "--port", "0"], arguments].concat();
        Server::of(self.command(&arguments).stderr(Stdio::null()))
    }
}

/// The last line that the script prints.
fn script(python: &Path, work: &Path, arguments: &[&str]) -> Json {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_files.py");
    let output = Command::new(python).arg(script).args(arguments).current_dir(work).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[expect(clippy::print_stderr, reason = "what is skipped is skipped visibly")]
fn python(test: &str) -> Option<PathBuf> {
    let python = mlflow_python();
    if python.is_none() {
        eprintln!("SKIPPED {test}: no MLflow (`scripts/setup tests` installs it)");
    }
    python
}

/// Logs, and removes a run for good. Gives what was logged.
fn story(python: &Path, place: &Place<'_>, kept: &dyn Fn(&str) -> usize) -> Json {
    let server = place.serve(&[]);
    let work = temp_dir();
    let logged = script(python, work.path(), &["logged", &server.address]);
    let run = logged["run"].as_str().unwrap();
    assert_eq!(logged["uri"], format!("mlflow-artifacts:/{}/{run}/artifacts", logged["experiment"].as_str().unwrap()));
    assert_eq!(kept(run), 10, "a tree of six, and of its copy four that were not deleted");
    let models = kept(logged["model"].as_str().unwrap());
    assert!(models > 2, "{models}");
    place.karat(&["runs", "delete", run]).ok();
    let planned = place.json(&["runs", "gc"]);
    assert_eq!((&planned["files"], kept(run)), (&value!(10), 10), "{planned}");
    let collected = place.json(&["runs", "gc", "--yes"]);
    assert_eq!((&collected["files"], &collected["bytes"]), (&planned["files"], &planned["bytes"]));
    assert!(collected["bytes"].as_u64().unwrap() > 22 << 20, "{collected}");
    assert_eq!(kept(run), 0);
    assert_eq!(kept(logged["model"].as_str().unwrap()), models);
    let (_, listed) = server.request(
        "GET",
        &format!("{}?path={}/{run}/artifacts", FILES, logged["experiment"].as_str().unwrap()),
        "",
    );
    assert_eq!(listed["files"].as_array().map_or(0, Vec::len), 0, "{listed}");
    logged
}

fn below(folder: &Path, id: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let within = |path: &Path| path.components().any(|part| part.as_os_str() == id);
    entries.map(|path| if path.is_dir() { below(&path, id) } else { usize::from(within(&path)) }).sum()
}

#[test]
fn files_and_models_come_through_to_a_folder() {
    let Some(python) = python("files_and_models_come_through_to_a_folder") else { return };
    let project = project();
    let folder = project.path().join(".karat/artifacts/mlflow");
    story(&python, &Place::new(project.path(), None), &|id| below(&folder, id));
}

#[test]
fn files_and_models_come_through_to_a_bucket() {
    let test = "files_and_models_come_through_to_a_bucket";
    let Some(python) = python(test) else { return };
    let Some(s3) = S3Server::start(test) else { return };
    s3.make_bucket("lake");
    let project = project();
    put(project.path(), "karat.yaml", "name: tracking\nstores: {artifacts: \"s3://lake/team/mlflow\"}\n");
    let place = Place::new(project.path(), Some(&s3));
    let of = |id: &str| {
        let within = |key: &&String| key.split('/').any(|name| name == id);
        s3.keys("lake").iter().filter(within).count()
    };
    story(&python, &place, &of);
    let keys = s3.keys("lake");
    assert!(keys.iter().all(|key| key.starts_with("team/mlflow/")), "{keys:?}");
    assert!(!project.path().join(".karat/artifacts/mlflow").exists(), "nothing of it lies in the project");
}

#[test]
fn who_moves_in_may_move_into_a_bucket() {
    let test = "who_moves_in_may_move_into_a_bucket";
    let Some(python) = python(test) else { return };
    let Some(s3) = S3Server::start(test) else { return };
    s3.make_bucket("lake");
    let work = temp_dir();
    let logged = script(&python, work.path(), &["local", "sqlite:///mlflow.db"]);
    let (database, files) = (work.path().join("mlflow.db"), work.path().join("mlruns"));
    let project = project();
    put(project.path(), "karat.yaml", "name: tracking\nstores: {artifacts: \"s3://lake/first\"}\n");
    let place = Place::new(project.path(), Some(&s3));
    let import = ["import", "mlflow", database.to_str().unwrap(), "--artifacts", files.to_str().unwrap()];
    let imported = place.json(&import);
    let files = &imported["counts"]["files"];
    assert_eq!(
        (&imported["reconciled"], &files["here"], &files["new"]),
        (&value!(true), &files["there"], &files["there"])
    );
    assert!(files["there"].as_u64().unwrap() > 12, "{imported:#}");
    let again = place.json(&import);
    assert_eq!((&again["counts"]["files"]["new"], &again["counts"]["files"]["here"]), (&value!(0), &files["here"]));
    // What is there and differs stays as it is here.
    let run = format!("{}/{}/artifacts", logged["experiment"].as_str().unwrap(), logged["run"].as_str().unwrap());
    let server = place.serve(&[]);
    let plain = format!("{FILES}/{run}/deep/er/and/deeper.json");
    assert_eq!(server.request("GET", &plain, ""), (200, value!({"a": 1})));
    assert_eq!(server.request("PUT", &plain, "{\"a\": 2}").0, 200);
    let left = place.json(&import);
    let told = left["left_out"][0]["why"].as_str().unwrap();
    assert_eq!(
        told,
        format!("another file is at s3://lake/first/{run}/deep/er/and/deeper.json, and stays as it is here")
    );
    assert_eq!(server.request("GET", &plain, "").1, value!({"a": 2}));

    // From a running server, which is one of ours, into another place.
    let second = self::project();
    put(second.path(), "karat.yaml", "name: tracking\nstores: {artifacts: \"s3://lake/second\"}\n");
    let address = format!("http://{}", server.address);
    let over_http = Place::new(second.path(), Some(&s3)).json(&["import", "mlflow", &address]);
    assert_eq!(over_http["reconciled"], true, "{over_http:#}");
    let below = |prefix: &str| -> Vec<String> {
        s3.keys("lake").iter().filter_map(|key| key.strip_prefix(prefix).map(str::to_owned)).collect()
    };
    assert_eq!(below("second/"), below("first/"));
}

#[test]
fn a_bucket_that_fails_is_told_as_mlflow_tells_it() {
    let test = "a_bucket_that_fails_is_told_as_mlflow_tells_it";
    let Some(s3) = S3Server::start(test) else { return };
    s3.make_bucket("lake");
    let project = project();
    let place = Place::new(project.path(), Some(&s3));
    let path = format!("{FILES}/1/x/artifacts/a.json");
    let server = place.serve(&["--artifacts", "s3://nowhere/x"]);
    for method in ["PUT", "GET", "DELETE"] {
        let (status, said) = server.request(method, &path, "{}");
        assert_eq!((status, &said["error_code"]), (404, &value!("RESOURCE_DOES_NOT_EXIST")), "{method}: {said}");
        assert!(said["message"].as_str().unwrap().starts_with("s3://nowhere/x: there is no such bucket."), "{said}");
    }
    drop(server);
    let server = place.serve(&["--artifacts-destination", "s3://lake/x"]);
    assert_eq!(server.request("PUT", &path, "{\"a\": 1}").0, 200);
    assert_eq!(s3.keys("lake"), ["x/1/x/artifacts/a.json"]);
    s3.stop();
    for method in ["PUT", "GET", "DELETE"] {
        let (status, head, body) = server.with_head(method, &path, "{}");
        assert_eq!(status, 503, "{method}: {body}");
        assert!(head.to_ascii_lowercase().contains("\r\nretry-after: 5\r\n"), "{head}");
        let said: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(said["error_code"], "TEMPORARILY_UNAVAILABLE", "{said}");
        assert!(!body.contains("127.0.0.1"), "{body}");
    }
    // Runs need no bucket.
    assert_eq!(server.request("POST", "/api/2.0/mlflow/runs/create", "{\"experiment_id\": \"0\"}").0, 200);
}

#[test]
fn a_bucket_of_others_is_told_once() {
    let test = "a_bucket_of_others_is_told_once";
    let Some(s3) = S3Server::strict(test) else { return };
    s3.make_bucket("lake");
    let project = project();
    let place = Place::new(project.path(), Some(&s3));
    let server = place.serve(&["--artifacts", "s3://lake/x"]);
    for method in ["PUT", "GET", "DELETE"] {
        let (status, said) = server.request(method, &format!("{FILES}/1/x/a.json"), "{}");
        assert_eq!((status, &said["error_code"]), (403, &value!("PERMISSION_DENIED")), "{method}: {said}");
        assert!(said["message"].as_str().unwrap().contains("whoever runs it sees to its credentials"), "{said}");
    }
}
