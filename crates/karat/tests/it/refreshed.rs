//! Sources that a server watches: what is put among their files is taken in without anybody asking.

use std::time::{Duration, Instant};

use serde_json::json as value;

use crate::small::put;
use crate::support::{Server, json};

/// Tries for a while.
pub fn eventually(mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "it never came to hold");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_is_put_among_watched_files_is_taken_in() {
    let project = karat_test_support::temp_dir();
    let folder = project.path();
    for (path, text) in [
        ("karat.yaml", "name: watching\n"),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n"),
        ("inbox/1.jsonl", "{\"visit\": 1, \"client_id\": 1, \"at\": \"2024-01-02T00:00:00Z\"}\n"),
        (
            "sources/visits.yaml",
            "kind: Source\nname: visits\npath: inbox/*.jsonl\nwatch: 1 second\ncolumns: {visit: int, client_id: int, at: \
             timestamp}\ndelivery: append\nevent_id: visit\nevent_time: at\ncontract:\n  - {column: visit, check: range, \
             min: 0, action: fail}\n",
        ),
        (
            "sources/daily.yaml",
            "kind: Source\nname: daily\nsql: SELECT client_id, CAST(at AS DATE) AS day, count(*) AS visits FROM visits GROUP BY \
             1, 2\nkeys: [client_id, day]\n",
        ),
        (
            "features/visited.yaml",
            "kind: FeatureView\nname: visited\nentity: client\nsource: visits\nfeatures:\n  nb: {count: rows}\n",
        ),
        (
            "features/days.yaml",
            "kind: FeatureView\nname: days\nentity: client\nsource: daily\nfeatures:\n  nb: {count: rows}\n  most: {max: \
             visits}\n",
        ),
    ] {
        put(folder, path, text);
    }
    let server = Server::start(folder);
    let features = |view: &str| server.request("GET", &format!("/v1/features/{view}/1"), "").1["features"].clone();
    assert_eq!(features("visited"), value!({"nb": 1}));
    let line = |visit: i64, day: u32| {
        value!({"visit": visit, "client_id": 1, "at": format!("2024-01-{day:02}T01:00:00Z")}).to_string()
    };
    put(folder, "inbox/2.jsonl", &[line(2, 2), line(3, 5)].join("\n"));
    eventually(|| features("visited") == value!({"nb": 3}));
    // What is computed from it, too.
    eventually(|| features("days") == value!({"nb": 2, "most": 2}));
    // What is refused stays out, and what comes after it is taken in once it is gone.
    put(folder, "inbox/3.jsonl", &line(-4, 6));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(features("visited"), value!({"nb": 3}));
    assert_eq!(server.request("GET", "/health/ready", "").0, 200);
    assert!(server.terminate().success());
    std::fs::remove_file(folder.join("inbox/3.jsonl")).unwrap();
    let commits = json(folder, &["sources", "list"]);
    let visits = commits.as_array().unwrap().iter().find(|source| source["name"] == "visits").unwrap();
    assert_eq!(visits["commit"], 2, "{commits}");
}
