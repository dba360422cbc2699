//! Decisions about models over HTTP, by people whose tokens the server knows.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value as Json, json as value};

use crate::small;
use crate::support::{Server, json, karat};

const RITA: &str = "rita-0123456789abcdef";
const TESTER: &str = "tester-0123456789abcdef";

fn ask(server: &Server, (method, path): (&str, &str), token: Option<&str>, body: &Json) -> (u16, Json) {
    let body = body.to_string();
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: karat\r\nconnection: close\r\ncontent-type: application/json\r\n{token}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or(Json::Null))
}

#[test]
fn who_has_a_token_decides_and_is_recorded() {
    let project = small::project();
    let folder = project.path();
    small::edit(folder, "models/default_risk.yaml", "approval: required", "approval: four_eyes");
    let people = format!("server: {{port: 8000, people: {{rita: {RITA}, tester: \"${{TOKEN:-{TESTER}}}\"}}}}");
    small::edit(folder, "karat.yaml", "server: {port: 8000}", &people);
    karat(folder, &["train", "default_risk"]).ok();
    let server = Server::start(folder);
    let version = "/v1/models/default_risk/versions/1";
    let approve = format!("{version}/approve");
    let why = value!({"why": "figures hold", "alias": "champion"});

    let (status, listed) = ask(&server, ("GET", "/v1/models"), None, &Json::Null);
    assert_eq!((status, &listed["models"][0]["approval"]), (200, &value!("four_eyes")), "{listed}");
    for (token, expected) in [(None, 401), (Some("rita-0123456789abcdeX"), 401), (Some(TESTER), 409)] {
        let (status, problem) = ask(&server, ("POST", &approve), token, &why);
        assert_eq!(status, expected, "{problem}");
    }
    let (status, problem) = ask(&server, ("POST", &approve), Some(RITA), &value!({"why": " "}));
    assert_eq!(status, 422, "{problem}");
    let (status, approved) = ask(&server, ("POST", &approve), Some(RITA), &why);
    assert_eq!(
        (status, &approved["standing"], &approved["aliases"]),
        (200, &value!("approved"), &value!(["champion"])),
        "{approved}"
    );
    let (status, problem) =
        ask(&server, ("POST", &format!("{version}/reject")), Some(RITA), &value!({"why": "late doubt"}));
    assert!(status == 409 && problem["detail"].to_string().contains("karat models rollback"), "{problem}");

    let (_, held) = ask(&server, ("GET", "/v1/models/default_risk/aliases"), None, &Json::Null);
    let one = &held["aliases"][0];
    assert_eq!(
        (&one["alias"], &one["moved_by"], &one["approval"]["by"]),
        (&value!("champion"), &value!("rita"), &value!("rita"))
    );
    let alias = "/v1/models/default_risk/aliases/champion";
    assert_eq!(ask(&server, ("POST", &format!("{alias}/rollback")), Some(RITA), &value!({"why": "x"})).0, 409);
    assert_eq!(ask(&server, ("DELETE", alias), Some(RITA), &value!({"why": "stale data"})).0, 200);
    assert_eq!(ask(&server, ("PUT", alias), Some(TESTER), &value!({"version": 1, "why": "data is back"})).0, 200);
    assert_eq!(ask(&server, ("PUT", alias), Some(TESTER), &value!({"version": 9, "why": "?"})).0, 404);
    assert_eq!(ask(&server, ("GET", "/v1/models/nobody"), None, &Json::Null).0, 404);

    // MLflow's client with a token is that person, too.
    let tag = value!({"name": "default_risk", "key": "seen", "value": "yes"});
    let path = "/api/2.0/mlflow/registered-models/set-tag";
    assert_eq!(ask(&server, ("POST", path), Some(RITA), &tag).0, 200);
    let audit = json(folder, &["audit", "list", "--model", "default_risk"]);
    let actors: Vec<&str> = audit.as_array().unwrap().iter().map(|entry| entry["actor"].as_str().unwrap()).collect();
    assert_eq!(actors, ["rita", "tester", "rita", "rita", "rita", "tester"], "{audit}");
    assert!(!audit.to_string().contains(RITA));
}

#[test]
fn without_people_nobody_decides_over_http() {
    let project = small::project();
    let server = Server::start(project.path());
    let (status, problem) =
        ask(&server, ("POST", "/v1/models/default_risk/versions/1/approve"), Some(RITA), &value!({"why": "x"}));
    assert_eq!(status, 401, "{problem}");
    assert!(problem["detail"].to_string().contains("server.people"), "{problem}");
}

/// Trees as a client logs them: into a run of its own, as MLflow's LightGBM flavour does.
fn log_trees(server: &Server, path: &str, trees: &str) -> String {
    let made = value!({"experiment_id": "0", "run_name": "grown elsewhere"}).to_string();
    let (_, made) = server.request("POST", "/api/2.0/mlflow/runs/create", &made);
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    for (name, content) in [("MLmodel", "flavors:\n  lightgbm: {data: model.lgb}\n"), ("model.lgb", trees)] {
        let at = format!("/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{path}/{name}");
        assert_eq!(server.request("PUT", &at, content).0, 200);
    }
    run
}

#[test]
fn who_has_a_token_registers_what_a_run_logged() {
    let project = small::project();
    let folder = project.path();
    small::edit(folder, "models/default_risk.yaml", "approval: required", "approval: four_eyes");
    small::edit(
        folder,
        "karat.yaml",
        "server: {port: 8000}",
        &format!("server: {{port: 8000, people: {{rita: {RITA}}}}}"),
    );
    karat(folder, &["train", "default_risk"]).ok();
    let version = folder.join(".karat/artifacts/models/default_risk/1");
    let trees = std::fs::read_to_string(version.join("trees.txt")).unwrap();
    // Other trees: each leaf of the first has the opposite of its value, and the sizes do not fit any more.
    let mut lines: Vec<String> =
        trees.lines().filter(|line| !line.starts_with("tree_sizes=")).map(str::to_owned).collect();
    let leaves = lines.iter_mut().find(|line| line.starts_with("leaf_value=")).unwrap();
    let turned = |value: &str| value.strip_prefix('-').map_or_else(|| format!("-{value}"), str::to_owned);
    let values: Vec<String> = leaves["leaf_value=".len()..].split(' ').map(turned).collect();
    *leaves = format!("leaf_value={}", values.join(" "));
    // As LightGBM's Python package writes it after the trees: what the codes of `region` stand for.
    lines.push("pandas_categorical:[[\"east\", \"north\", \"south\"]]\n".to_owned());

    let server = Server::start(folder);
    let run = log_trees(&server, "model", &lines.join("\n"));
    let register = ("POST", "/v1/models/default_risk/versions");
    let asked = value!({"run": run});
    assert_eq!(ask(&server, register, None, &asked).0, 401);
    for (body, expected) in [
        (value!({"run": "f".repeat(32)}), 404),
        (value!({"run": run, "path": "nothing"}), 404),
        (value!({"run": " "}), 422),
        (value!({"run": run, "model": "default_risk"}), 400),
    ] {
        let (status, problem) = ask(&server, register, Some(RITA), &body);
        assert_eq!(status, expected, "{body}: {problem}");
    }
    let (status, problem) = ask(&server, ("POST", "/v1/models/nothing/versions"), Some(RITA), &asked);
    assert_eq!(status, 404, "{problem}");
    // Two at once: one is measured, the other may ask again.
    let mut answers: Vec<(u16, Json)> = std::thread::scope(|scope| {
        let asking = [0, 1].map(|_| scope.spawn(|| ask(&server, register, Some(RITA), &asked)));
        asking.map(|one| one.join().unwrap()).to_vec()
    });
    answers.sort_unstable_by_key(|(status, _)| *status);
    assert_eq!((answers[0].0, answers[1].0), (201, 429), "{answers:?}");
    let (status, again) = ask(&server, register, Some(RITA), &asked);
    assert_eq!((status, &again["version"], &again["standing"]), (200, &value!(2), &value!("undecided")), "{again}");
    assert!(!again["gates"].as_array().unwrap().is_empty(), "{again}");

    // Under the name of who asked, in the audit log and before its four eyes.
    let audit = json(folder, &["audit", "list"]);
    let entry = audit.as_array().unwrap().iter().find(|entry| entry["action"] == "model.register").unwrap();
    assert_eq!((&entry["actor"], &entry["subject"]["version"]), (&value!("rita"), &value!("2")), "{audit}");
    let approve = ("POST", "/v1/models/default_risk/versions/2/approve");
    let (status, problem) = ask(&server, approve, Some(RITA), &value!({"why": "my own"}));
    assert_eq!(status, 409, "{problem}");
    // What Karat cannot score says what it could.
    let pickled = log_trees(&server, "model", "");
    let at = format!("/api/2.0/mlflow-artifacts/artifacts/0/{pickled}/artifacts/model/MLmodel");
    assert_eq!(server.request("PUT", &at, "flavors:\n  sklearn: {pickled_model: model.pkl}\n").0, 200);
    let (status, problem) = ask(&server, register, Some(RITA), &value!({"run": pickled}));
    assert!(status == 409 && problem["detail"].to_string().contains("LightGBM's trees"), "{status} {problem}");
    log_trees(&server, "other", "");
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);
}
