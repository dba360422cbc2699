//! Pushes over HTTP, and from a file without a server.

use serde_json::{Value as Json, json as value};

use super::{EVENTS, PUSHED, lines, project};
use crate::small::put;
use crate::support::{Server, json, karat};

const PUSH: &str = "/v1/features/push";

fn row(id: i64, client: i64, amount: f64) -> Json {
    value!({"id": id, "client": client, "town": null, "firm": null, "at": "2022-01-05T10:00:00Z", "known": "2022-01-06T00:00:00Z", "amount": amount,
        "late": false, "removed": false})
}

fn body(rows: &[Json]) -> String {
    value!({"source": "payments", "rows": rows}).to_string()
}

fn features(server: &Server, client: i64) -> Json {
    let (status, answer) = server.request("GET", &format!("/v1/features/history/{client}"), "");
    assert_eq!(status, 200, "{answer}");
    answer
}

#[test]
fn a_row_is_read_as_soon_as_its_push_is_answered() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    karat(folder, &["check"]).ok();
    let server = Server::start(folder);
    let before = features(&server, 7);
    assert_eq!((&before["no_history"], &before["commit"]), (&value!(true), &value!(0)));
    let (status, answer) = server.request("POST", PUSH, &body(&[row(1, 7, 12.5), row(2, 7, 0.25), row(3, 8, 1.0)]));
    assert_eq!((status, &answer), (200, &value!({"accepted": 3, "duplicates": 0, "commit": 1})));
    let after = features(&server, 7);
    assert_eq!((&after["features"]["n"], &after["features"]["total"]), (&value!(2), &value!(12.75)));
    assert_eq!(after["commit"], 1);
    // Again, and a correction that moves a payment to another client.
    let corrected = value!({"id": 2, "client": 8, "at": "2022-01-05T10:00:00Z", "known": "2022-01-07T00:00:00Z",
        "amount": 0.5, "late": true});
    let (status, answer) = server.request("POST", PUSH, &body(&[row(1, 7, 12.5), corrected]));
    assert_eq!((status, &answer), (200, &value!({"accepted": 1, "duplicates": 1, "commit": 2})));
    assert_eq!(features(&server, 7)["features"]["total"], 12.5);
    assert_eq!(features(&server, 8)["features"]["total"], 1.5);
    let (_, metrics) = server.request("GET", "/health/ready", "");
    assert_eq!(metrics["status"], "ok");
    // History belongs to the server until it ends; readers of other processes see it at once.
    let refused = karat(folder, &["features", "push", "payments", "-"]).ends_with(1);
    assert!(refused.stderr.contains("push the rows to it, or stop it first"), "{}", refused.stderr);
    let rows = json(folder, &["query", "SELECT id, client, amount FROM payments ORDER BY id"]);
    assert_eq!(
        rows["rows"],
        value!([{"id": 1, "client": 7, "amount": 12.5}, {"id": 2, "client": 8, "amount": 0.5},
        {"id": 3, "client": 8, "amount": 1.0}])
    );
    // A tag of rows that are in no sealed commit yet.
    let tagged = json(folder, &["sources", "snapshot", "payments", "--tag", "corrected"]);
    assert_eq!(tagged[0]["commit"], 2, "{tagged}");
    assert!(server.terminate().success());
    let differences = json(folder, &["sources", "diff", "payments", "1", "corrected"]);
    assert_eq!((&differences["changed"], &differences["unchanged"]), (&value!(1), &value!(2)), "{differences}");
    let listed = json(folder, &["sources", "list"]);
    assert_eq!((&listed[0]["commit"], &listed[0]["from"]), (&value!(2), &value!("pushes")), "{listed}");
    let verified = json(folder, &["features", "verify", "--pairs", "500"]);
    assert_eq!(verified[0]["different"], 0, "{verified}");
}

#[test]
fn rows_that_cannot_be_taken_are_named_and_nothing_of_their_request_is_taken() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    let server = Server::start(folder);
    let mut wrong = [row(1, 7, 1.0), row(2, 7, 2.0), row(3, 7, 3.0), row(4, 7, 4_000_000.0), row(5, 7, 5.0)];
    wrong[0]["amount"] = value!("much");
    wrong[1]["amuont"] = value!(2);
    wrong[2]["id"] = Json::Null;
    let (status, problem) = server.request("POST", PUSH, &body(&wrong));
    assert_eq!(status, 422, "{problem}");
    let rows: Vec<(u64, &str, &str)> = problem["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["row"].as_u64().unwrap(), row["column"].as_str().unwrap(), row["check"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [(1, "amount", "read"), (2, "amuont", "read"), (3, "id", "key"), (4, "amount", "range")]);
    assert!(problem["rows"][1]["reason"].as_str().unwrap().contains("did you mean `amount`?"), "{problem}");
    assert_eq!(features(&server, 7)["features"]["n"], 0);
    // What the contract keeps apart is kept apart, and the others are taken.
    let (status, answer) = server.request("POST", PUSH, &body(&[row(1, 7, -2_000_000.0), row(2, 7, 2.0)]));
    assert_eq!((status, &answer["accepted"]), (200, &value!(1)), "{answer}");
    assert_eq!(answer["quarantined"][0]["row"], 1, "{answer}");
    assert_eq!(answer["quarantined"][0]["value"], "-2000000", "{answer}");
    let kept: Vec<_> = std::fs::read_dir(folder.join(".karat/quarantine/payments")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    for (body, status, code) in [
        ("{", 400, "malformed"),
        ("{\"source\": \"payments\"}", 400, "malformed"),
        ("{\"source\": \"payments\", \"rows\": [], \"more\": 1}", 400, "malformed"),
        ("{\"source\": \"paymens\", \"rows\": []}", 404, "not_found"),
    ] {
        let (found, problem) = server.request("POST", PUSH, body);
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{body} {problem}");
    }
    let (status, answer) = server.request("POST", PUSH, &body(&[]));
    assert_eq!((status, &answer["accepted"]), (200, &value!(0)));
}

/// Without an `event_id` a row is its content.
#[test]
fn rows_without_an_identity_are_told_apart_by_their_content() {
    let project = project("delivery: append\n", PUSHED);
    let folder = project.path();
    for round in 0..3 {
        let server = Server::start(folder);
        let (status, answer) = server.request("POST", PUSH, &body(&[row(1, 7, 1.0), row(2, 7, 2.0), row(1, 7, 1.0)]));
        let accepted = if round == 0 { 2 } else { 0 };
        let commit = answer["commit"].clone();
        assert_eq!(
            (status, &answer),
            (200, &value!({"accepted": accepted, "duplicates": 3 - accepted, "commit": commit}))
        );
        assert_eq!(features(&server, 7)["features"]["total"], 3.0);
        // Sealed, and left to the next.
        if round == 0 {
            assert!(server.terminate().success());
        } else {
            server.kill();
        }
    }
    let verified = json(folder, &["features", "verify", "--pairs", "100"]);
    assert_eq!(verified[0]["different"], 0, "{verified}");
}

#[test]
fn files_and_pushes_stand_in_one_history() {
    let project = project(EVENTS, "path: payments.jsonl\npush: {survives: power_loss}\n");
    let folder = project.path();
    lines(folder, "payments.jsonl", &[row(1, 7, 1.0), row(2, 8, 2.0)]);
    lines(folder, "more.jsonl", &[row(2, 8, 2.0), row(3, 8, 4.0)]);
    let pushed = json(folder, &["features", "push", "payments", "more.jsonl"]);
    assert_eq!((&pushed["accepted"], &pushed["duplicates"], &pushed["commit"]), (&value!(1), &value!(1), &value!(2)));
    let pushed = karat(folder, &["features", "push", "payments", "more.jsonl"]).ok();
    assert!(pushed.stdout.starts_with("pushed to payments: 0 accepted, 2 duplicates, 0 quarantined; commit 2"));
    let got = json(folder, &["features", "get", "history", "8"]);
    assert_eq!((&got["features"]["n"], &got["commit"]), (&value!(2), &value!(2)));
    // A new delivery of the file goes on after what was pushed.
    lines(folder, "payments.jsonl", &[row(1, 7, 1.0), row(2, 8, 2.0), row(9, 8, 8.0)]);
    let got = json(folder, &["features", "get", "history", "8"]);
    assert_eq!((&got["features"]["total"], &got["commit"]), (&value!(14.0), &value!(3)));
    let refused = karat(folder, &["features", "push", "paymets", "more.jsonl"]).ends_with(1);
    assert!(refused.stderr.contains("did you mean `payments`?"), "{}", refused.stderr);
    put(folder, "bad.jsonl", "{\"id\": \"x\"}\n");
    let refused = karat(folder, &["features", "push", "payments", "bad.jsonl"]).ends_with(2);
    assert!(refused.stderr.contains("row 1: id `x`"), "{}", refused.stderr);
}
