//! Whoever asked to be told of changes to models is told: of every change, whoever made it, also after a crash.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use karat_test_support::temp_dir;
use serde_json::{Value as Json, json as value};

use crate::mlflow::{mlflow_python, project};
use crate::small::{self, put};
use crate::support::{Server, json, karat};

/// What came, with the name under which it is the same delivery.
#[derive(Debug, Clone)]
struct Received {
    delivery: String,
    body: Json,
}

/// Takes what comes, once it listens.
struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// An address where nobody listens yet.
    fn away() -> Receiver {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Receiver { port, received: Arc::default() }
    }

    /// From now on; the first answers have these statuses, all others 200.
    fn listen(&self, statuses: &[u16]) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let (received, statuses) = (self.received.clone(), statuses.to_vec());
        std::thread::spawn(move || {
            let mut statuses = statuses.into_iter();
            for stream in listener.incoming() {
                take(stream.unwrap(), &received, statuses.next().unwrap_or(200));
            }
        });
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/told", self.port)
    }

    /// All that came, once it is so much.
    fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let received = self.received.lock().unwrap().clone();
            if received.len() >= count {
                return received;
            }
            assert!(Instant::now() < deadline, "{} of {count}: {received:?}", received.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn take(mut stream: TcpStream, received: &Mutex<Vec<Received>>, status: u16) {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    let (head, body) = loop {
        let length = stream.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..length]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        if header(&head, "content-length").parse::<usize>().unwrap() == body.len() {
            break (head.clone(), body.to_owned());
        }
    };
    let one = Received { delivery: header(&head, "x-mlflow-delivery-id"), body: serde_json::from_str(&body).unwrap() };
    received.lock().unwrap().push(one);
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

/// Asks to be told of everything; the id.
fn subscribe(server: &Server, url: &str) -> String {
    let event = |entity: &str, action: &str| value!({"entity": entity, "action": action});
    let events = [
        event("REGISTERED_MODEL", "CREATED"),
        event("MODEL_VERSION", "CREATED"),
        event("MODEL_VERSION_ALIAS", "CREATED"),
        event("MODEL_VERSION_ALIAS", "DELETED"),
    ];
    let body = value!({"name": "ci", "url": url, "secret": "0123456789", "events": events});
    let (status, made) = server.request("POST", "/api/2.0/mlflow/webhooks", &body.to_string());
    assert_eq!(status, 200, "{made}");
    assert!(!made.to_string().contains("0123456789"), "{made}");
    made["webhook"]["webhook_id"].as_str().unwrap().to_owned()
}

fn allow(folder: &Path, receiver: &Receiver) {
    let origins = format!("server: {{port: 8000, webhook_origins: [\"http://127.0.0.1:{}\"]}}", receiver.port);
    small::edit(folder, "karat.yaml", "server: {port: 8000}", &origins);
}

#[test]
fn the_client_cannot_tell_karats_webhooks_from_mlflows() {
    let test = "the_client_cannot_tell_karats_webhooks_from_mlflows";
    let Some(python) = mlflow_python() else {
        eprintln!("SKIPPED {test}: no MLflow (`scripts/setup tests` installs it)");
        return;
    };
    let (folder, receiver) = (project(), Receiver::away());
    let origin = format!("http://127.0.0.1:{}", receiver.port);
    put(folder.path(), "karat.yaml", &format!("name: tracking\nserver: {{webhook_origins: [\"{origin}\"]}}\n"));
    let server = Server::start(folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow_webhooks.py");
    let work = temp_dir();
    let output = Command::new(python)
        .arg(script)
        .args([&server.address, &receiver.port.to_string()])
        .current_dir(work.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let said: Json = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(said["differences"], value!([]), "{:#}", said["differences"]);
    assert!(said["compared"].as_u64().unwrap() >= 35, "{said}");
    // Who asked for what is in the audit log; what signs is nowhere.
    let audit = json(folder.path(), &["audit", "list", "--limit", "1000"]).to_string();
    assert!(audit.contains("webhook.create") && !audit.contains("not to be read back"), "{audit}");
}

#[test]
fn what_was_changed_is_told_whoever_dies_meanwhile() {
    let (project, receiver) = (small::project(), Receiver::away());
    let folder = project.path();
    allow(folder, &receiver);
    let server = Server::start(folder);
    let id = subscribe(&server, &receiver.url());
    // Committed while nobody listens; then the server is killed.
    let made = value!({"name": "foreign"}).to_string();
    assert_eq!(server.request("POST", "/api/2.0/mlflow/registered-models/create", &made).0, 200);
    server.kill();
    // With no server at all: commands change, too.
    karat(folder, &["train", "default_risk"]).ok();
    karat(folder, &["models", "approve", "default_risk", "--as", "champion", "--why", "figures hold"]).ok();
    // The other side is back, and cannot take the first at once.
    receiver.listen(&[503]);
    let server = Server::start(folder);
    let received = receiver.wait_for(5);
    let refused = &received[0];
    let again: Vec<&Received> = received[1..].iter().filter(|one| one.delivery == refused.delivery).collect();
    assert!(again.len() == 1 && again[0].body == refused.body, "what is sent again is the same: {received:?}");
    assert!(received.iter().any(|one| one.body["data"]["name"] == "foreign"), "{received:?}");
    let said = |entity: &str| {
        let found =
            received.iter().find(|one| one.body["entity"] == entity && one.body["data"]["name"] == "default_risk");
        found.unwrap_or_else(|| panic!("{entity}: {received:?}")).body["data"].clone()
    };
    let version = said("model_version");
    assert_eq!(version["source"], "mlflow-artifacts:/karat/models/default_risk/1");
    assert_eq!(version["version"], "1");
    assert_eq!(said("registered_model")["name"], "default_risk");
    assert_eq!(said("model_version_alias"), value!({"name": "default_risk", "alias": "champion", "version": "1"}));
    // Running, it hears of what commands do; and what arrived is not sent again.
    karat(folder, &["models", "alias", "default_risk", "champion", "--delete", "--why", "on trial"]).ok();
    let received = receiver.wait_for(6);
    let last = &received.last().unwrap().body;
    assert_eq!((&last["action"], &last["data"]["alias"]), (&value!("deleted"), &value!("champion")), "{received:?}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(receiver.wait_for(6).len(), 6);
    assert_eq!(server.request("DELETE", &format!("/api/2.0/mlflow/webhooks/{id}"), "{}").0, 200);
}

#[test]
fn strangers_cannot_have_the_server_ask_its_neighbours() {
    let folder = project();
    let server = Server::start(folder.path());
    let api = "/api/2.0/mlflow/webhooks";
    let neighbour = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = neighbour.local_addr().unwrap().port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::1]/".to_owned(),
        "https://nobody.invalid/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "x".to_owned(),
    ] {
        let body = value!({"name": "a", "url": url, "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}]});
        let (status, answer) = server.request("POST", api, &body.to_string());
        assert_eq!((status, &answer["error_code"]), (400, &value!("INVALID_PARAMETER_VALUE")), "{url}: {answer}");
    }
    let (_, answer) = server.request(
        "POST",
        api,
        &value!({"name": "a", "url": "http://h.example/", "events":
        [{"entity": "MODEL_VERSION", "action": "CREATED"}]})
        .to_string(),
    );
    assert!(answer["message"].to_string().contains("server.webhook_origins"), "{answer}");
    neighbour.set_nonblocking(true).unwrap();
    assert!(neighbour.accept().is_err(), "nobody was asked");
    assert_eq!(server.request("GET", api, ""), (200, value!({})));
}
