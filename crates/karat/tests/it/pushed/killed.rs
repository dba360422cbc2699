//! `kill -9` of a server that rows are pushed to: what it acknowledged is there once, online as in history.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json as value};

use super::{EVENTS, PUSHED, project};
use crate::support::{Server, json};

const CLIENTS: i64 = 5;

/// Pushes one row after the other until the server goes away.
fn push(address: &str, next: &AtomicI64, acknowledged: &Mutex<BTreeSet<i64>>) {
    loop {
        let id = next.fetch_add(1, Ordering::SeqCst);
        let row = value!({"id": id, "client": id % CLIENTS, "at": "2022-01-05T10:00:00Z", "known": "2022-01-06T00:00:00Z",
            "amount": 0.25});
        let body = value!({"source": "payments", "rows": [row]}).to_string();
        let exchanged = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            write!(
                stream,
                "POST /v1/features/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        match exchanged() {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") && answer.ends_with('}') => {
                acknowledged.lock().unwrap().insert(id);
            }
            Ok(answer) if answer.is_empty() => return,
            Ok(answer) => panic!("{answer}"),
            Err(_) => return,
        }
    }
}

fn ids(folder: &Path) -> Vec<i64> {
    let rows = json(folder, &["query", "--limit", "0", "SELECT id FROM payments ORDER BY id"]);
    rows["rows"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[test]
fn what_a_killed_server_acknowledged_is_there_once() {
    let project = project(EVENTS, PUSHED);
    let folder = project.path();
    let (next, acknowledged) = (AtomicI64::new(1), Mutex::new(BTreeSet::new()));
    for round in 0..4_u64 {
        let server = Server::start(folder);
        let address = server.address.clone();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| push(&address, &next, &acknowledged));
            }
            let before = acknowledged.lock().unwrap().len();
            while acknowledged.lock().unwrap().len() < before + 100 {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(3100 * round));
            server.kill();
        });
        // Before anything mends it.
        let (found, acknowledged) = (ids(folder), acknowledged.lock().unwrap());
        let unique: BTreeSet<i64> = found.iter().copied().collect();
        assert_eq!(unique.len(), found.len(), "nothing twice");
        let lost: Vec<_> = acknowledged.difference(&unique).collect();
        assert!(lost.is_empty(), "round {round} lost {lost:?}");
    }
    let server = Server::start(folder);
    let all: Vec<i64> = ids(folder);
    for client in 0..CLIENTS {
        let of = all.iter().filter(|id| *id % CLIENTS == client).count();
        let (status, answer) = server.request("GET", &format!("/v1/features/history/{client}"), "");
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["features"]["n"], value!(of), "client {client}");
        assert_eq!(answer["features"]["total"], Json::from(of as f64 / 4.0));
    }
    assert!(server.terminate().success());
    let verified = json(folder, &["features", "verify", "--pairs", "1000"]);
    assert_eq!(verified[0]["different"], 0, "{verified}");
    assert_eq!(ids(folder), all);
}
