//! Versions change under clients that never pause: no request fails, and each change is seen within two seconds.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json as value;

use crate::small;
use crate::support::{Server, json, karat};

const AS_OF: &str = "2022-01-01T00:00:00Z";
const CLIENTS: u64 = 4;

/// What clients see while they ask.
#[derive(Default)]
struct Seen {
    done: AtomicBool,
    answers: AtomicUsize,
    /// The version that answered last.
    version: Mutex<String>,
    failures: Mutex<Vec<String>>,
}

impl Seen {
    fn ask(&self, server: &Server, mut key: u64) {
        while !self.done.load(Ordering::Relaxed) {
            key = key % small::CLIENTS + 1;
            let body = value!({"key": key, "as_of": AS_OF}).to_string();
            let (status, answer) = server.request("POST", "/v1/endpoints/decide/predict", &body);
            if status == 200 {
                *self.version.lock().unwrap() = answer["model"]["version"].as_str().unwrap().to_owned();
                self.answers.fetch_add(1, Ordering::Relaxed);
            } else {
                self.failures.lock().unwrap().push(format!("{status} {answer}"));
            }
        }
    }

    fn until(&self, version: &str) {
        let begun = Instant::now();
        while *self.version.lock().unwrap() != version {
            assert!(begun.elapsed() < Duration::from_secs(2), "version {version} does not answer within two seconds");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn two_versions(folder: &Path) {
    json(folder, &["train", "default_risk"]);
    karat(folder, &["models", "approve", "default_risk/1", "--as", "champion", "--why", "first"]).ok();
    let model = std::fs::read_to_string(folder.join("models/default_risk.yaml")).unwrap();
    // Not worse than the champion is a gate; here the second only has to be another.
    let second = model.replace("num_leaves: 7", "num_leaves: 5").replace(", auc >= champion.auc", "");
    assert_ne!(model, second);
    small::put(folder, "models/default_risk.yaml", &second);
    assert_eq!(json(folder, &["train", "default_risk"])["version"], 2);
    karat(folder, &["models", "approve", "default_risk/2", "--why", "second"]).ok();
}

#[test]
fn versions_change_within_two_seconds_and_no_request_fails() {
    let project = small::project();
    let folder = project.path();
    two_versions(folder);
    let server = Server::start(folder);
    let seen = Arc::new(Seen::default());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (seen, server) = (seen.clone(), &server);
            scope.spawn(move || seen.ask(server, client));
        }
        let changes: [(&[&str], &str); 4] = [
            (&["models", "alias", "default_risk/2", "champion"], "2"),
            (&["models", "rollback", "default_risk", "champion", "--why", "worse"], "1"),
            (&["models", "alias", "default_risk/2", "champion"], "2"),
            (&["models", "rollback", "default_risk", "champion", "--why", "worse"], "1"),
        ];
        let done = Done(&seen.done);
        seen.until("1");
        for (command, version) in changes {
            karat(folder, command).ok();
            seen.until(version);
        }
        karat(folder, &["models", "reject", "default_risk/2", "--why", "worse"]).ok();
        std::thread::sleep(Duration::from_millis(700));
        seen.until("1");
        drop(done);
    });
    assert_eq!(*seen.failures.lock().unwrap(), Vec::<String>::new());
    let answers = seen.answers.load(Ordering::Relaxed);
    assert!(answers > 100, "{answers}");
    assert!(server.terminate().success());
    let logged = json(folder, &["query", "SELECT count(*) AS n FROM predictions"]);
    assert_eq!(logged["rows"], value!([{"n": answers}]));
}

/// Ends the clients, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
