//! A project whose online state is on Redis, from materializing to replay; the server is restarted, and away, in between.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use karat_test_support::redis_server::RedisServer;
use serde_json::{Value as Json, json as value};

use crate::small::{self, CLIENTS};
use crate::spreads;
use crate::support::{Server, command, json, karat, run_command};

const AS_OF: &str = "2022-03-01T00:00:00Z";
const PASSWORD: &str = "unguessable";

fn predict(server: &Server, key: u64) -> (u16, Json) {
    let body = value!({"key": key, "as_of": AS_OF, "reasons": "all"}).to_string();
    server.request("POST", "/v1/endpoints/decide/predict", &body)
}

/// What of an answer depends on nothing but the features and the model.
fn decided(answer: &Json) -> Json {
    value!([answer["features"], answer["score"], answer["label"], answer["reasons"]])
}

fn trained(folder: &Path) {
    karat(folder, &["train", "default_risk"]).ok();
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"]).ok();
}

#[test]
fn a_project_lives_on_redis_as_it_does_on_lmdb() {
    let test = "redis::a_project_lives_on_redis_as_it_does_on_lmdb";
    let Some(mut redis) = RedisServer::start_with_password(test, PASSWORD) else { return };
    let (local, project) = (small::project(), small::project());
    let folder = project.path();
    let config = format!("name: small\nstores: {{online: \"{}?prefix=small\"}}\n", redis.database(2));
    small::put(folder, "karat.yaml", &config);
    small::put(folder, "features/spreads.yaml", spreads::VIEW);
    karat(folder, &["check"]).ok();
    let built = json(folder, &["features", "materialize"]);
    assert!(built.as_array().unwrap().iter().all(|view| view["built"] == true && view["keys"] == CLIENTS), "{built}");
    let again = json(folder, &["features", "materialize"]);
    assert!(again.as_array().unwrap().iter().all(|view| view["built"] == false), "{again}");
    let verified = json(folder, &["features", "verify", "--pairs", "1000"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    assert!(!folder.join(".karat/online").exists(), "nothing of it lies in the project");
    assert_eq!(redis.command(&["-n", "2", "SCARD", "small:definitions"]), "3");

    trained(folder);
    trained(local.path());
    let (server, other) = (Server::start(folder), Server::start(local.path()));
    for key in 1..=CLIENTS {
        let ((status, answer), (_, expected)) = (predict(&server, key), predict(&other, key));
        assert_eq!(status, 200, "{answer}");
        assert_eq!(decided(&answer), decided(&expected), "client {key}");
    }
    assert_eq!(predict(&server, 999_999).0, 404);
    assert_eq!(server.request("GET", &format!("/v1/features/history/1?as_of={AS_OF}"), "").0, 200);

    redis.restart();
    let (status, answer) = predict(&server, 7);
    assert_eq!(status, 200, "a restart in between is not noticed: {answer}");
    redis.kill();
    let (status, refusal) = predict(&server, 7);
    assert_eq!(status, 503, "{refusal}");
    let detail = refusal["detail"].as_str().unwrap();
    assert!(detail.contains("nothing was decided") && !detail.contains("127.0.0.1"), "{detail}");
    let (status, not_ready) = server.request("GET", "/health/ready", "");
    assert_eq!(status, 503, "{not_ready}");
    assert_eq!(not_ready["detail"], "features cannot be read right now: the server's log says why");
    let away = karat(folder, &["features", "verify"]).ends_with(1);
    assert!(away.stderr.contains("nothing listens at redis://127.0.0.1:"), "{}", away.stderr);
    assert!(!(away.stderr + &away.stdout).contains(PASSWORD));
    redis.restart();
    let begun = Instant::now();
    while predict(&server, 7).0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the server does not come back to Redis");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    // A replica that has nothing yet answers, and knows nobody.
    redis.command(&["-n", "2", "FLUSHDB"]);
    let (status, not_ready) = server.request("GET", "/health/ready", "");
    assert_eq!(status, 503, "{not_ready}");
    assert!(not_ready["detail"].as_str().unwrap().contains("has no state for view"), "{not_ready}");
    karat(folder, &["features", "materialize"]).ok();
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    assert!(server.terminate().success());
    let id = answer["prediction_id"].as_str().unwrap();
    let replayed = json(folder, &["replay", id]);
    assert_eq!(replayed["arithmetic"]["verdict"], "same");
    assert_eq!(replayed["history"]["verdict"], "same");
}

#[test]
fn online_state_is_reached_over_tls() {
    let Some(redis) = RedisServer::start("redis::online_state_is_reached_over_tls") else { return };
    let (uri, authority) = redis.over_tls();
    let project = small::project();
    let folder = project.path();
    small::put(folder, "karat.yaml", &format!("name: small\nstores: {{online: \"{uri}\"}}\n"));
    let unknown = karat(folder, &["features", "materialize"]).ends_with(1);
    assert!(unknown.stderr.contains(&format!("{uri} cannot be reached")), "{}", unknown.stderr);
    let knowing = |arguments: &[&str]| {
        let mut command = command(folder, arguments);
        command.env("SSL_CERT_FILE", &authority);
        command
    };
    run_command(&mut knowing(&["features", "materialize"])).ok();
    let server = Server::of(knowing(&["serve", "--port", "0"]).stderr(Stdio::null()));
    for _ in 0..3 {
        let (status, features) = server.request("GET", &format!("/v1/features/history/1?as_of={AS_OF}"), "");
        assert_eq!((status, &features["no_history"]), (200, &value!(false)), "{features}");
    }
}

#[test]
fn a_mistake_in_the_address_says_what_to_write_and_no_password() {
    let project = small::project();
    let online = |uri: &str| {
        small::put(project.path(), "karat.yaml", &format!("name: small\nstores: {{online: \"{uri}\"}}\n"));
        let ran = karat(project.path(), &["features", "materialize"]).ends_with(2);
        assert!(!(ran.stderr.clone() + &ran.stdout).contains(PASSWORD), "{}", ran.stderr);
        ran.stderr
    };
    let misspelt = online(&format!("reddis://:{PASSWORD}@host/0"));
    assert!(misspelt.contains("karat.yaml:2:18") && misspelt.contains("`redis://HOST:PORT/DATABASE`"), "{misspelt}");
    let no_number = online(&format!("redis://:{PASSWORD}@host/first"));
    assert!(no_number.contains("redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]"), "{no_number}");
}
