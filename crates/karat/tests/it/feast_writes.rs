//! What Feast's clients write: pushes, values, and the wish that views be brought up to date.

use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::feast::{feast_python, sdk};
use crate::small::put;
use crate::support::{Server, json, karat};

fn project() -> TempDir {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    for (path, text) in [
        ("karat.yaml", "name: writing\n"),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n"),
        (
            "sources/contacts.yaml",
            "kind: Source\nname: contacts\npush: true\ndelivery: append\nevent_time: at\ncolumns: {client_id: int, at: \
             timestamp, phone: text, monthly_income: float, dependants: int, verified: bool, seen: timestamp}\n",
        ),
        (
            "features/contact.yaml",
            "kind: FeatureView\nname: contact\nentity: client\nsource: contacts\nfeatures:\n  phone: {last: phone}\n  \
             income: {last: monthly_income}\n  dependants: {last: dependants}\n  verified: {last: verified}\n  \
             seen: {last: seen}\n",
        ),
        (
            "features/contacts_made.yaml",
            "kind: FeatureView\nname: contacts_made\nentity: client\nsource: contacts\nfeatures:\n  nb: {count: rows}\n",
        ),
        ("data/visits/1.csv", "visit,client_id,at\nv1,1,2024-01-02T00:00:00Z\n"),
        (
            "sources/visits.yaml",
            "kind: Source\nname: visits\npath: data/visits/*.csv\ncolumns: {visit: text, client_id: int, at: timestamp}\n\
             delivery: append\nevent_id: visit\nevent_time: at\npush: true\n",
        ),
        (
            "features/visited.yaml",
            "kind: FeatureView\nname: visited\nentity: client\nsource: visits\nfeatures:\n  nb: {count: rows}\n",
        ),
    ] {
        put(folder, path, text);
    }
    project
}

#[test]
fn the_sdk_writes_and_reads_back_what_its_own_store_has() {
    let Some(python) = feast_python() else {
        eprintln!(
            "SKIPPED the_sdk_writes_and_reads_back_what_its_own_store_has: no Feast (`scripts/setup tests` installs it)"
        );
        return;
    };
    let project = project();
    let server = Server::start(project.path());
    let said = sdk(&python, "feast_writer.py", &server.address);
    assert_eq!(said["karat"], said["feast"]);
    assert_eq!(said["karat"]["first"]["income"], value!([1000.5, 0.25]));
    assert_eq!(said["karat"]["later"], value!({"client_id": [2], "phone": ["+55 85"], "dependants": [4]}));
    let computed = said["computed"]["message"].as_str().unwrap();
    assert!(computed.contains("nb is computed from events"), "{computed}");
    assert!(server.terminate().success());
    // They are events: training sees them, at their times.
    let past = json(project.path(), &["features", "get", "contact", "2", "--as-of", "2024-01-07T00:00:00Z"]);
    assert_eq!(past["features"]["phone"], "+55 21");
    let rows = json(project.path(), &["query", "SELECT count(*) AS rows FROM contacts"]);
    assert_eq!(rows["rows"], value!([{"rows": 3}]));
}

#[test]
fn a_data_frame_is_taken_as_rows_and_mistakes_are_feasts() {
    let project = project();
    let server = Server::start(project.path());
    let push = |source: &str, frame: Json| {
        let body = value!({"push_source_name": source, "df": frame, "to": "online_and_offline"});
        server.request("POST", "/push", &body.to_string())
    };
    let frame =
        value!({"visit": ["v7", "v8"], "client_id": [3, 3], "at": ["2024-01-05T10:00:00", "2024-01-06T10:00:00Z"]});
    assert_eq!(push("visits", frame.clone()), (200, Json::Null));
    let by_label = value!({"visit": {"0": "v8", "1": "v9"}, "client_id": {"0": 3, "1": 3},
        "at": {"0": "2024-01-06T10:00:00Z", "1": "2024-01-07T10:00:00Z"}});
    assert_eq!(push("visits", by_label), (200, Json::Null));
    let (_, answer) = server.request("GET", "/v1/features/visited/3", "");
    assert_eq!(answer["features"]["nb"], 3, "{answer}");

    let twice = r#"{"push_source_name": "visits", "df": {"visit": ["v1"], "visit": ["v2"], "client_id": [1], "at": ["2024-01-05"]}}"#;
    let (status, answer) = server.request("POST", "/push", twice);
    assert!(status == 422 && answer.as_str().unwrap().contains("`visit` stands twice"), "{answer}");
    let (status, answer) = push("visit", frame);
    assert_eq!(status, 422);
    let told: Json = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    assert_eq!(told["class"], "PushSourceNotFoundException");
    assert!(told["message"].as_str().unwrap().contains("did you mean `visits`?"), "{told}");
    let (status, answer) = push("visits", value!({"visit": ["v1"], "client_id": [1, 2]}));
    assert_eq!(status, 422);
    assert!(answer.as_str().unwrap().contains("columns client_id and visit are not of the same rows"), "{answer}");
    let (status, answer) =
        push("visits", value!({"visit": ["v1"], "client_id": ["x"], "at": ["2024-01-05T10:00:00Z"]}));
    assert_eq!(status, 422);
    assert!(answer.as_str().unwrap().contains("row 1: client_id"), "{answer}");
    let write = |view: &str| {
        let body =
            value!({"feature_view_name": view, "df": {"client_id": [1], "event_timestamp": ["2024-01-05T10:00:00"]}});
        server.request("POST", "/write-to-online-store", &body.to_string())
    };
    let (status, answer) = write("contac");
    assert_eq!(status, 404);
    assert!(answer.as_str().unwrap().contains("FeatureViewNotFoundException"), "{answer}");
    let (status, answer) = write("visited");
    assert_eq!(status, 422);
    assert!(answer.as_str().unwrap().contains("nb is computed from events"), "{answer}");
    assert_eq!(write("contact"), (200, Json::Null));
}

#[test]
fn views_are_brought_up_to_what_files_hold_now() {
    let project = project();
    let folder = project.path();
    let server = Server::start(folder);
    let visits = || server.request("GET", "/v1/features/visited/1", "").1["features"]["nb"].clone();
    let ask = |path: &str, body: Json| server.request("POST", path, &body.to_string());
    assert_eq!(visits(), 1);
    assert_eq!(server.request("GET", "/health", "").0, 200);

    put(folder, "data/visits/2.csv", "visit,client_id,at\nv2,1,2024-01-03T00:00:00Z\n");
    let range = value!({"start_ts": "2024-01-01T00:00:00", "end_ts": "2024-02-01", "feature_views": ["visited"]});
    assert_eq!(ask("/materialize", range), (200, Json::Null));
    assert_eq!(visits(), 2);
    // The source takes pushes again, and what was pushed before stays.
    let pushed = value!({"source": "visits", "rows": [{"visit": "v3", "client_id": 1, "at": "2024-01-04T00:00:00Z"}]});
    assert_eq!(ask("/v1/features/push", pushed).0, 200);
    put(folder, "data/visits/3.csv", "visit,client_id,at\nv4,1,2024-01-05T00:00:00Z\n");
    assert_eq!(ask("/materialize-incremental", value!({"end_ts": "2024-02-01T00:00:00Z"})), (200, Json::Null));
    assert_eq!(visits(), 4);

    put(folder, "data/visits/4.csv", "visit,client_id,at\nv5,1,2024-01-06T00:00:00Z\n");
    let all = value!({"disable_event_timestamp": true});
    let (status, answer) = ask("/materialize?async=true", all);
    assert_eq!((status, &answer["status"]), (202, &value!("accepted")), "{answer}");
    assert_eq!(answer["feature_views"].as_array().unwrap().len(), 3);
    crate::refreshed::eventually(|| visits() == 5);

    for (path, body, status, said) in [
        ("/materialize", value!({}), 422, "start_ts and end_ts are required"),
        ("/materialize", value!({"start_ts": "2024-02-01", "end_ts": "2024-01-01"}), 422, "must be before end_ts"),
        ("/materialize-incremental", value!({"end_ts": "soon"}), 422, "Invalid timestamp format: end_ts"),
        (
            "/materialize-incremental",
            value!({"end_ts": "2024-02-01", "feature_views": ["visitd"]}),
            404,
            "FeatureViewNotFoundException",
        ),
    ] {
        let (found, answer) = ask(path, body);
        assert_eq!(found, status, "{answer}");
        assert!(answer.as_str().unwrap().contains(said), "{answer}");
    }
    // A file that the contract refuses is the operator's to see to.
    put(folder, "data/visits/5.csv", "visit,client\nv6,1\n");
    let (status, answer) = ask("/materialize-incremental", value!({"end_ts": "2024-02-01"}));
    assert_eq!(status, 503, "{answer}");
    assert_eq!(visits(), 5);
    // It keeps no other view from what is new; nor does a source that has nothing but pushes so far.
    put(
        folder,
        "sources/calls.yaml",
        "kind: Source\nname: calls\npath: data/calls/*.csv\npush: true\ncolumns: {call: text, \
        client_id: int, at: timestamp}\ndelivery: append\nevent_id: call\nevent_time: at\n",
    );
    put(
        folder,
        "sources/walks.yaml",
        "kind: Source\nname: walks\npath: data/walks/*.csv\ncolumns: {walk: text, client_id: int, \
        at: timestamp}\ndelivery: append\nevent_id: walk\nevent_time: at\n",
    );
    for (view, source) in [("called", "calls"), ("walked", "walks")] {
        let text = format!(
            "kind: FeatureView\nname: {view}\nentity: client\nsource: {source}\nfeatures:\n  nb: {{count: rows}}\n"
        );
        put(folder, &format!("features/{view}.yaml"), &text);
    }
    // In the order of names, one whose state cannot be made comes first.
    put(
        folder,
        "sources/broken.yaml",
        "kind: Source\nname: broken\npath: data/broken.csv\ncolumns: {walk: text, client_id: int, at: timestamp}\nkeys: \
         [walk]\nevent_time: at\n",
    );
    let broken = "kind: FeatureView\nname: broke\nentity: client\nsource: broken\nfeatures:\n  nb: {count: rows}\n";
    put(folder, "features/broke.yaml", broken);
    put(folder, "data/walks/1.csv", "walk,client_id,at\nw1,1,2024-01-03T00:00:00Z\n");
    karat(folder, &["apply"]).ok();
    let walked = value!({"end_ts": "2024-02-01", "feature_views": ["walked", "called"]});
    // As soon as the server has taken up the release.
    crate::refreshed::eventually(|| ask("/materialize-incremental", walked.clone()) == (200, Json::Null));
    // Views that are new over what is there have their state made by themselves.
    let again = std::fs::read_to_string(folder.join("features/walked.yaml")).unwrap();
    put(folder, "features/walked_again.yaml", &again.replace("name: walked", "name: walked_again"));
    karat(folder, &["apply"]).ok();
    let nb = |view: &str| server.request("GET", &format!("/v1/features/{view}/1"), "").1["features"]["nb"].clone();
    crate::refreshed::eventually(|| nb("walked_again") == 1);
    assert_eq!((nb("walked"), nb("called")), (value!(1), value!(0)));
    put(folder, "data/walks/2.csv", "walk,client_id,at\nw2,1,2024-01-04T00:00:00Z\n");
    assert_eq!(ask("/materialize-incremental", value!({"end_ts": "2024-02-01"})).0, 503);
    assert_eq!((nb("walked"), visits()), (value!(2), value!(5)));
    assert_eq!(ask("/materialize-incremental", walked), (200, Json::Null));
    assert!(server.terminate().success());
    for path in ["data/visits/5.csv", "sources/broken.yaml", "features/broke.yaml"] {
        std::fs::remove_file(folder.join(path)).unwrap();
    }
    let verified = json(folder, &["features", "verify", "--pairs", "200"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
    karat(folder, &["sources", "list"]).ok();
}

/// A definition that changed above it, of which the source between could not be brought up, changes nothing of its rows.
#[test]
fn what_reads_a_source_that_was_left_is_left_too() {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    let read = |name: &str, of: &str| {
        format!("kind: Source\nname: {name}\nsql: SELECT client_id, v FROM {of}\nkeys: [client_id]\n")
    };
    let first = "kind: Source\nname: first\npath: first.csv\ncolumns: {client_id: int, v: int}\nkeys: [client_id]\n";
    for (path, text) in [
        ("karat.yaml", "name: chain\n"),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n"),
        ("first.csv", "client_id,v\n1,5\n"),
        ("sources/first.yaml", first),
        ("sources/second.yaml", &read("second", "first")),
        ("sources/third.yaml", &read("third", "second")),
        (
            "features/seen.yaml",
            "kind: FeatureView\nname: seen\nentity: client\nsource: third\nfeatures:\n  v: {last: v}\n",
        ),
    ] {
        put(folder, path, text);
    }
    let server = Server::start(folder);
    let commits = || {
        let listed = json(folder, &["sources", "list"]);
        let commit = |name: &str| {
            listed.as_array().unwrap().iter().find(|source| source["name"] == name).unwrap()["commit"].clone()
        };
        ["first", "second", "third"].map(commit)
    };
    put(folder, "first.csv", "client_id,v\n1,6\n");
    karat(folder, &["sources", "ingest", "first"]).ok();
    put(folder, "sources/first.yaml", &format!("{first}prepare: {{v: v * 10}}\n"));
    karat(folder, &["apply"]).ok();
    let ask = |end: &str| server.request("POST", "/materialize-incremental", &value!({"end_ts": end}).to_string());
    assert_eq!(ask("2024-02-01").0, 503);
    assert_eq!(commits(), [value!(2), value!(1), value!(1)]);
    let rows = json(folder, &["query", "SELECT v FROM third"]);
    assert_eq!(rows["rows"], value!([{"v": 5}]));
    // Nor does asking for it by name.
    for name in ["second", "third"] {
        let refused = karat(folder, &["sources", "ingest", name]).ends_with(1).stderr;
        assert!(refused.contains("the definition of first changed since commit 2"), "{refused}");
    }
    assert_eq!(commits(), [value!(2), value!(1), value!(1)]);
    karat(folder, &["sources", "ingest", "first", "--rebuild"]).ok();
    karat(folder, &["sources", "ingest", "second", "--rebuild"]).ok();
    karat(folder, &["sources", "ingest", "third", "--rebuild"]).ok();
    assert_eq!(json(folder, &["query", "SELECT v FROM third"])["rows"], value!([{"v": 60}]));
    assert!(server.terminate().success());
}
