//! Moving in: a tracking server's database and files, imported whole, in pieces, again, and from what is none.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use karat_test_support::postgres_server::PostgresServer;
use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};

use crate::mlflow::{mlflow_python, project};
use crate::small;
use crate::support::{Server, command, json, karat};

/// Of the database, what an import writes.
const TABLES: [&str; 20] = [
    "experiments",
    "experiment_tags",
    "runs",
    "metrics",
    "latest_metrics",
    "params",
    "run_tags",
    "datasets",
    "run_inputs",
    "run_models",
    "logged_models",
    "logged_model_params",
    "logged_model_tags",
    "logged_model_metrics",
    "registered_models",
    "registered_model_tags",
    "model_versions",
    "model_version_tags",
    "model_aliases",
    "alias_moves",
];

/// Of these a server tells everything.
const SAME_OVER_HTTP: [&str; 10] = [
    "experiments",
    "experiment_tags",
    "metrics",
    "latest_metrics",
    "params",
    "run_tags",
    "datasets",
    "run_inputs",
    "run_models",
    "model_aliases",
];

pub struct Mlflow {
    python: PathBuf,
    work: tempfile::TempDir,
}

impl Mlflow {
    /// None where MLflow is not installed.
    pub fn find() -> Option<Mlflow> {
        Some(Mlflow { python: mlflow_python()?, work: temp_dir() })
    }

    /// The last line that the script prints.
    pub fn run(&self, arguments: &[&str]) -> Json {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_import.py");
        let output =
            Command::new(&self.python).arg(script).args(arguments).current_dir(self.work.path()).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
    }

    pub fn path(&self, name: &str) -> String {
        self.work.path().join(name).display().to_string()
    }

    pub fn dump(&self, project: &Path) -> Json {
        let database = project.join(".karat/metadata.db").display().to_string();
        self.run(&[&["dump", database.as_str()][..], &TABLES[..]].concat())
    }

    pub fn agrees(&self, what: &str, server: &Server) -> Json {
        let said = self.run(&[what, &server.address]);
        let differences = said["differences"].as_array().unwrap();
        assert!(differences.is_empty(), "{} of {}: {:#}", differences.len(), said["compared"], said["differences"]);
        said
    }
}

/// Names and lengths of all files below a folder.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, u64)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(root, &path, found),
                false => found.push((path.strip_prefix(root).unwrap().to_owned(), path.metadata().unwrap().len())),
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

fn count(imported: &Json, noun: &str, side: &str) -> u64 {
    imported["counts"][noun][side].as_u64().unwrap_or_else(|| panic!("no {noun} {side}: {imported:#}"))
}

#[test]
fn a_team_moves_in_with_one_command_and_its_clients_see_the_same() {
    let Some(mlflow) = Mlflow::find() else {
        eprintln!("SKIPPED a_team_moves_in_with_one_command: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    mlflow.run(&["fill", "80"]);
    let (database, artifacts) =
        (format!("sqlite:///{}", mlflow.path("reference.db")), mlflow.path("reference-artifacts"));
    let import = ["import", "mlflow", &database, "--artifacts", &artifacts];

    // In one go.
    let one = project();
    let begun = Instant::now();
    let imported = json(one.path(), &import);
    let took = begun.elapsed();
    assert_eq!(imported["reconciled"], true, "{imported:#}");
    assert_eq!(imported["schema"].as_str().map(str::len), Some(12));
    assert!(
        count(&imported, "runs", "here") > 140 && count(&imported, "metric_points", "here") > 23_000,
        "{imported:#}"
    );
    assert!(count(&imported, "aliases", "new") > 0 && count(&imported, "files", "new") > 20, "{imported:#}");
    let left = imported["left_out"].as_array().unwrap();
    assert!(left.is_empty(), "{left:#?}");
    let kept = mlflow.dump(one.path());

    // Again: nothing changes, not even the audit log.
    let again = json(one.path(), &import);
    for (noun, side) in again["counts"].as_object().unwrap() {
        assert_eq!((side["new"].as_u64(), &side["here"]), (Some(0), &imported["counts"][noun]["here"]), "{noun}");
    }
    assert_eq!(mlflow.dump(one.path()), kept);
    let audit = json(one.path(), &["audit", "list"]);
    let entries: Vec<&Json> =
        audit.as_array().unwrap().iter().filter(|entry| entry["action"] == "import.mlflow").collect();
    assert_eq!(entries.len(), 1, "{audit:#}");
    assert_eq!(
        (&entries[0]["actor"], &entries[0]["details"]["counts"]["runs"]["there"]),
        (&value!("tester"), &imported["counts"]["runs"]["there"])
    );
    assert_eq!(json(one.path(), &["audit", "verify"])["intact"], true);

    // Killed again and again, then whole: the same.
    let killed = project();
    let mut cut_short = 0;
    for _ in 0..12 {
        let mut child = command(killed.path(), &import).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took.mul_f64(0.1 + 0.5 * fastrand::f64()));
        cut_short += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(cut_short > 0, "none of them was caught at work");
    let resumed = json(killed.path(), &import);
    assert_eq!((&resumed["reconciled"], resumed["left_out"].as_array().unwrap().len()), (&value!(true), 0));
    assert_eq!(mlflow.dump(killed.path()), kept, "after {cut_short} that were cut short");
    let below = |folder: &Path| files(&folder.join(".karat/artifacts/mlflow"));
    assert_eq!(below(killed.path()), below(one.path()));

    // From the running server: what it tells, and its files.
    let over_http = project();
    from_a_running_server(&mlflow, over_http.path(), &imported);
    let told = mlflow.dump(over_http.path());
    for table in SAME_OVER_HTTP {
        assert_eq!(told[table], kept[table], "{table}");
    }
    assert_eq!(below(over_http.path()), below(one.path()));

    // From the same records in PostgreSQL.
    if let Some(postgres) = PostgresServer::start("a_team_moves_in_with_one_command") {
        // As SQLAlchemy writes it.
        let uri = postgres.database().replacen("postgres://", "postgresql+psycopg2://", 1);
        assert!(mlflow.run(&["postgres", &uri])["copied"].as_u64().unwrap() > 23_000);
        let from_postgres = project();
        let imported = json(from_postgres.path(), &["import", "mlflow", &uri, "--artifacts", &artifacts]);
        assert_eq!((&imported["reconciled"], &imported["left_out"]), (&value!(true), &value!([])), "{imported:#}");
        let dump = mlflow.dump(from_postgres.path());
        // A move of an alias says where it was imported from.
        for table in TABLES.into_iter().filter(|table| *table != "alias_moves") {
            assert_eq!(dump[table], kept[table], "{table}");
        }
        assert_eq!(below(from_postgres.path()), below(one.path()));
    }

    // What MLflow's client sees.
    let server = Server::start(one.path());
    let said = mlflow.agrees("compare", &server);
    assert!(said["compared"].as_u64().unwrap() > 300, "{said}");
    assert!(said["points"].as_u64().unwrap() > 23_000 && said["files"].as_u64().unwrap() > 20, "{said}");
    drop(server);

    what_was_changed_here_stays(&mlflow, one.path(), &import);
    without_a_server(&mlflow);
    of_an_older_schema(&mlflow);
}

/// Counts are those of the database, but for what a server does not tell of.
fn from_a_running_server(mlflow: &Mlflow, folder: &Path, database: &Json) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_import.py");
    let mut child = Command::new(&mlflow.python)
        .arg(script)
        .arg("serve")
        .current_dir(mlflow.work.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let uri = serde_json::from_str::<Json>(&line).unwrap()["uri"].as_str().unwrap().to_owned();
    let imported = json(folder, &["import", "mlflow", &uri]);
    assert_eq!((&imported["reconciled"], &imported["left_out"]), (&value!(true), &value!([])), "{imported:#}");
    for (noun, side) in database["counts"].as_object().unwrap() {
        let (here, there) =
            (imported["counts"][noun]["here"].as_u64().unwrap_or_default(), side["here"].as_u64().unwrap());
        match noun.as_str() {
            "versions"
            | "version_tags"
            | "logged_models"
            | "logged_model_params"
            | "logged_model_tags"
            | "logged_model_metrics"
            | "files"
            | "bytes" => assert!(here <= there, "{noun}: {here} {there}"),
            _ => assert_eq!(here, there, "{noun}"),
        }
    }
    let again = json(folder, &["import", "mlflow", &uri]);
    assert!(again["counts"].as_object().unwrap().values().all(|side| side["new"] == 0), "{again:#}");
    drop(child.stdin.take());
    child.wait().unwrap();
    let gone = karat(folder, &["import", "mlflow", &uri]);
    assert!(gone.code != 0 && gone.stderr.contains("it cannot be reached"), "{}", gone.stderr);
    // What listens there may be something else.
    let other = Server::start(folder);
    let wrong = karat(folder, &["import", "mlflow", &format!("http://{}/v1", other.address)]);
    assert!(wrong.code != 0 && wrong.stderr.contains("status 404"), "{}", wrong.stderr);
}

fn what_was_changed_here_stays(mlflow: &Mlflow, folder: &Path, import: &[&str]) {
    let runs = json(folder, &["runs", "list", "--experiment", "deep", "--limit", "3"]);
    let run = runs[0]["run_id"].as_str().unwrap();
    karat(folder, &["runs", "delete", run]).ok();
    let before = mlflow.dump(folder);
    let imported = json(folder, import);
    assert_eq!((&imported["reconciled"], count(&imported, "runs", "left_out")), (&value!(true), 1));
    let left = imported["left_out"].as_array().unwrap();
    let why = left.iter().find(|one| one["what"] == format!("run {run}")).unwrap()["why"].as_str().unwrap();
    assert_eq!(why, "it is here already with other stage, and stays as it is here");
    assert_eq!(mlflow.dump(folder), before);
    // Files, too.
    let (file, _) = files(&folder.join(".karat/artifacts/mlflow")).pop().unwrap();
    std::fs::write(folder.join(".karat/artifacts/mlflow").join(&file), "ours").unwrap();
    let imported = karat(folder, &[import, &["--format", "json"]].concat()).ok().json();
    assert_eq!(count(&imported, "files", "left_out"), 1);
    assert_eq!(std::fs::read(folder.join(".karat/artifacts/mlflow").join(&file)).unwrap(), b"ours");
}

/// Ids are taken here by experiments and a model that Karat trains.
fn without_a_server(mlflow: &Mlflow) {
    let project = small::project();
    let folder = project.path();
    json(folder, &["train", "default_risk"]);
    let local = mlflow.path("local.db");
    let unsaid = karat(folder, &["import", "mlflow", &local]).ends_with(2).stderr;
    assert!(unsaid.contains("--artifacts DIR"), "{unsaid}");
    let mlruns = mlflow.path("mlruns");
    let imported = json(folder, &["import", "mlflow", &local, "--artifacts", &mlruns]);
    assert_eq!((&imported["reconciled"], count(&imported, "files", "here")), (&value!(true), 2), "{imported:#}");
    let server = Server::start(folder);
    let said = mlflow.agrees("local", &server);
    assert_eq!(said["ids"]["Default"], value!(["0", "0"]));
    assert_eq!(said["ids"]["first"], value!(["1", "3"]), "1 is the project's own: {said}");
    // A model that Karat trains is nobody else's.
    let text = "UPDATE registered_models SET name = 'default_risk'; UPDATE model_versions SET name = 'default_risk'; \
                UPDATE registered_model_aliases SET name = 'default_risk'";
    let script = format!("import sqlite3; sqlite3.connect({local:?}).executescript({text:?})");
    assert!(Command::new(&mlflow.python).args(["-c", &script]).status().unwrap().success());
    let before = json(folder, &["models", "show", "default_risk"]);
    let imported = json(folder, &["import", "mlflow", &local, "--artifacts", &mlruns]);
    let left = imported["left_out"].to_string();
    assert!(
        left.contains("registered model default_risk") && left.contains("Karat trains a model of this name"),
        "{left}"
    );
    assert_eq!((&imported["reconciled"], count(&imported, "versions", "left_out")), (&value!(true), 1));
    assert_eq!(json(folder, &["models", "show", "default_risk"]), before);
}

fn of_an_older_schema(mlflow: &Mlflow) {
    let there = mlflow.run(&["old"]);
    let artifacts = mlflow.work.path().join("reference-artifacts");
    // A file that a version names is gone.
    let folders = files(&artifacts);
    let model = folders.iter().find(|(path, _)| path.ends_with("artifacts/MLmodel")).unwrap().0.parent().unwrap();
    std::fs::remove_dir_all(artifacts.join(model)).unwrap();
    let folder = project();
    let import = ["import", "mlflow", &mlflow.path("old.db"), "--artifacts", artifacts.to_str().unwrap()];
    let imported = json(folder.path(), &import);
    assert_eq!(
        (&imported["reconciled"], count(&imported, "runs", "here")),
        (&value!(true), there["runs"].as_u64().unwrap())
    );
    let remarks = imported["remarks"].to_string();
    assert!(remarks.contains("the schema ffffffffffff is none that this Karat knows"), "{remarks}");
    let text = karat(folder.path(), &import).ok().stdout;
    assert!(text.contains("both sides agree") && text.contains("points of metrics"), "{text}");
    let missing = mlflow.path("reference.db");
    let elsewhere = project();
    let imported = json(elsewhere.path(), &["import", "mlflow", &missing, "--artifacts", artifacts.to_str().unwrap()]);
    assert!(imported["left_out"].to_string().contains("its files are not at"), "{:#}", imported["left_out"]);
    assert_eq!(imported["reconciled"], true);
}

#[test]
fn what_is_no_tracking_server_says_what_it_is() {
    let folder = project();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(folder.path().join("notes.db"), "not a database, and long enough to be read as one: ".repeat(40))
        .unwrap();
    karat(folder.path(), &["apply"]).ok();
    let own = folder.path().join(".karat/metadata.db").display().to_string();
    for (source, with) in [
        (path("nothing.db"), "there is no file"),
        (path("notes.db"), "cannot be read as a SQLite database"),
        (format!("sqlite:///{own}"), "but none of MLflow's"),
        ("mysql://root:secret@db/mlflow".to_owned(), "is nowhere Karat imports from"),
        ("postgresql://root:secret@127.0.0.1:9/mlflow".to_owned(), "cannot be read as a PostgreSQL database"),
        ("http://root:secret@db/".to_owned(), "leave the password out of the address"),
        ("http://127.0.0.1:9".to_owned(), "it cannot be reached"),
    ] {
        let ran = karat(folder.path(), &["import", "mlflow", &source, "--artifacts", "none"]);
        assert!(
            ran.code != 0 && ran.stderr.contains(with) && !ran.stderr.contains("secret"),
            "{source}: {}",
            ran.stderr
        );
    }
    let ran = karat(folder.path(), &["import", "mlflow", &path("notes.db"), "--artifacts", "nowhere"]);
    assert!(ran.code != 0, "{}", ran.stderr);
    let lock = std::fs::File::create(folder.path().join(".karat/import.lock")).unwrap();
    lock.lock().unwrap();
    let ran = karat(folder.path(), &["import", "mlflow", &path("notes.db")]).ends_with(1);
    assert!(ran.stderr.contains("another import into this project"), "{}", ran.stderr);
    let deadline = Instant::now() + Duration::from_secs(10);
    drop(lock);
    let ran = karat(folder.path(), &["import", "mlflow", &path("notes.db")]);
    assert!(ran.stderr.contains("cannot be read") && Instant::now() < deadline, "{}", ran.stderr);
}
