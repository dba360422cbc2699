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
    // In a query an unescaped plus is a space.
    let (status, then) = server.request("GET", "/v1/features/history/7?as_of=2022-01-07T02:00:00+02:00", "");
    assert_eq!((status, &then["as_of"], &then["features"]["n"]), (200, &value!("2022-01-07T00:00:00Z"), &value!(2)));
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
    let twice = body(&[row(1, 7, 1.0)]).replace("\"amount\":", "\"amount\":9,\"amount\":");
    let (status, problem) = server.request("POST", PUSH, &twice);
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 400 && detail.contains("`amount` stands twice in one object"), "{problem}");
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
    put(folder, "bad.jsonl", "\u{feff}{\"id\": 4, \"id\": 5}\n");
    let refused = karat(folder, &["features", "push", "payments", "bad.jsonl"]).ends_with(1);
    assert!(refused.stderr.contains("row 1: `id` stands twice in one object"), "{}", refused.stderr);
    lines(folder, "payments.jsonl", &[row(1, 7, 1.0)]);
    let whole = std::fs::read_to_string(folder.join("payments.jsonl")).unwrap();
    put(folder, "payments.jsonl", &(whole.clone() + &whole.replace("\"id\":1", "\"id\":1,\"id\":2")));
    let report = json(folder, &["sources", "check", "payments"])[0]["report"].clone();
    assert_eq!((&report["accepted"], &report["unreadable"]), (&value!(1), &value!(1)), "{report}");
    assert!(
        report["examples"][0]["reason"].as_str().unwrap().starts_with("`id` stands twice in one object"),
        "{report}"
    );
}

/// A field through which a column's path leads is an object, or there is nothing: else what was good would become null.
#[test]
fn what_a_path_leads_through_is_an_object() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    put(
        folder,
        "sources/calls.yaml",
        "kind: Source\nname: calls\npush: true\ndelivery: append\nevent_id: call\nevent_time: at\ncolumns: {call: int, at: \
         timestamp, tag: {type: text, from: meta.tag}}\n",
    );
    let server = Server::start(folder);
    let push = |meta: Json| {
        let row = value!({"call": 1, "at": "2022-01-05T10:00:00Z", "meta": meta});
        server.request("POST", PUSH, &value!({"source": "calls", "rows": [row]}).to_string())
    };
    assert_eq!(push(value!({"tag": "good"})).0, 200);
    for meta in [value!("lost"), value!(["x"]), value!(7)] {
        let (status, problem) = push(meta);
        assert_eq!(status, 422, "{problem}");
        let fault = &problem["rows"][0];
        assert_eq!((&fault["column"], &fault["check"]), (&value!("tag"), &value!("read")), "{problem}");
        assert_eq!(fault["reason"], "`meta` is no object, and `meta.tag` is read from it");
    }
    assert_eq!(json(folder, &["query", "SELECT tag FROM calls"])["rows"], value!([{"tag": "good"}]));
    assert!(server.terminate().success());
}

/// A row that a feature cannot be computed of, and one with a key longer than a page, are rows like any other: whoever else
/// pushes, reads or starts the server finds what was there.
#[test]
fn no_row_keeps_others_from_being_read() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    let view = "kind: FeatureView\nname: firms\nentities: [employer]\nsource: payments\nfeatures:\n  n: {count: rows}\n  \
                shares: {sum: 100 / client}\n  odd: {count: rows, where: 100 % client > 0}\n  \
                each: {expression: 1000 / n}\n  total: {sum: amount}\n";
    put(folder, "features/firms.yaml", view);
    let server = Server::start(folder);
    let long = "ž".repeat(100_000);
    let of = |id: i64, client: i64, firm: &str| {
        let mut row = row(id, client, 2.5);
        (row["town"], row["firm"]) = (value!("Brno"), value!(firm));
        row
    };
    for rows in [vec![of(1, 5, "a"), of(2, 0, "a")], vec![of(3, 0, &long)], vec![of(4, 4, &long)], vec![of(5, 8, "a")]]
    {
        let (status, answer) = server.request("POST", PUSH, &body(&rows));
        assert_eq!((status, &answer["accepted"]), (200, &value!(rows.len())), "{answer}");
    }
    let wanted = [
        ("a", value!({"n": 3, "shares": 32, "odd": 1, "each": 333, "total": 7.5})),
        (&long, value!({"n": 2, "shares": 25, "odd": 0, "each": 500, "total": 5.0})),
        ("nobody", value!({"n": 0, "shares": null, "odd": 0, "each": null, "total": null})),
    ];
    for (firm, features) in &wanted {
        let asked = value!({"features": ["firms:each", "firms:n", "firms:odd", "firms:shares", "firms:total"],
            "entities": {"town": ["Brno"], "firm": [firm]}});
        let (status, answer) = server.request("POST", "/get-online-features", &asked.to_string());
        assert_eq!(status, 200, "{answer}");
        let found: Vec<&Json> =
            answer["results"].as_array().unwrap()[2..].iter().map(|one| &one["values"][0]).collect();
        assert_eq!(found, features.as_object().unwrap().values().collect::<Vec<_>>());
    }
    assert!(server.terminate().success());
    let (firm, features) = &wanted[0];
    let got = json(folder, &["features", "get", "firms", &format!("town=Brno,firm={firm}")]);
    assert_eq!(got["features"], *features);
    std::fs::remove_dir_all(folder.join(".karat/online")).unwrap();
    let server = Server::start(folder);
    assert!(server.terminate().success());
    let verified = json(folder, &["features", "verify", "--pairs", "100"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
}

/// A changed definition answers once its state is whole, and the one before it until then; then that is dropped.
#[test]
fn a_changed_definition_is_switched_to_without_a_gap() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    let server = Server::start(folder);
    let push = |id: i64| {
        let (status, answer) = server.request("POST", PUSH, &body(&[row(id, 7, 1.0)]));
        assert_eq!(status, 200, "{answer}");
    };
    (1..2000).for_each(push);
    let view = std::fs::read_to_string(folder.join("features/history.yaml")).unwrap();
    put(folder, "features/history.yaml", &format!("{view}  n_late: {{count: rows, where: late}}\n"));
    karat(folder, &["apply"]).ok();
    let begun = std::time::Instant::now();
    for id in 2000.. {
        push(id);
        let features = features(&server, 7);
        assert_eq!(features["features"]["n"], id);
        if features["features"]["n_late"] == 0 {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{features}");
    }
    let states = json(folder, &["features", "states"]);
    let users = |state: &Json| (state["view"].as_str().map(str::to_owned), state["used_by"].as_array().unwrap().len());
    let mut found: Vec<_> = states.as_array().unwrap().iter().map(users).collect();
    found.sort();
    assert_eq!(found, [(None, 0), (Some("history".to_owned()), 2), (Some("jointly".to_owned()), 2)], "{states}");
    let is_sized = |state: &Json| (state["bytes"].as_u64().unwrap() > 100) == (state["keys"] == 1);
    assert!(states.as_array().unwrap().iter().all(is_sized), "{states}");
    let dropped = json(folder, &["features", "states", "--drop-unused"]);
    assert_eq!(dropped.as_array().unwrap().iter().filter(|state| state["dropped"] == true).count(), 1);
    assert_eq!(json(folder, &["features", "states"]).as_array().unwrap().len(), 2);
    features(&server, 7);
    assert!(server.terminate().success());
}

/// Files come into an empty folder later, and rows meanwhile.
#[test]
fn a_watched_folder_may_be_empty_at_first_and_again() {
    let project = project(EVENTS, &format!("{PUSHED}path: inbox/*.jsonl\nwatch: 1 second\n"));
    let folder = project.path();
    std::fs::create_dir(folder.join("inbox")).unwrap();
    for id in 1..3 {
        let server = Server::start(folder);
        let (status, answer) = server.request("POST", PUSH, &body(&[row(id, 7, 1.0)]));
        assert_eq!(status, 200, "{answer}");
        assert_eq!(features(&server, 7)["features"]["n"], 2 * id - 1);
        lines(folder, "inbox/1.jsonl", &[row(10 * id, 7, 1.0)]);
        let begun = std::time::Instant::now();
        while features(&server, 7)["features"]["n"] != 2 * id {
            assert!(begun.elapsed() < std::time::Duration::from_secs(60));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(server.terminate().success());
        std::fs::remove_file(folder.join("inbox/1.jsonl")).unwrap();
    }
}

/// What is pushed while values are compared is in history before it is in the online state: that is no difference.
#[test]
fn online_and_history_are_compared_as_of_one_commit() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    karat(folder, &["check"]).ok();
    let server = Server::start(folder);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut pushed = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let rows: Vec<Json> = (0..20).map(|row| row_of(pushed + row)).collect();
                let (status, answer) = server.request("POST", PUSH, &body(&rows));
                assert_eq!(status, 200, "{answer}");
                pushed += 20;
            }
            pushed
        });
        for seed in ["1", "2", "3"] {
            let verified = json(folder, &["features", "verify", "--pairs", "300", "--seed", seed]);
            for view in verified.as_array().unwrap() {
                assert_eq!(view["different"], 0, "{verified}");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(pushing.join().unwrap() > 100, "there was something to be confused by");
    });
    assert!(server.terminate().success());

    fn row_of(id: i64) -> Json {
        row(id, id % 7, 1.0)
    }
}
