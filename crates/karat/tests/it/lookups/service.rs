//! A bureau over real sockets: what it says of a client is set by the test, and every call is counted.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json as value;

/// What it asks to see.
pub const TOKEN: &str = "t0p-s3cret-bureau-token";

#[derive(Debug, Clone)]
pub enum Says {
    /// Its score of a client.
    Score,
    /// The same, after a while.
    Late(Duration),
    /// Nothing for as long as anybody waits.
    Nothing,
    Status(u16),
    /// It fails so often, and then answers.
    FailsFirst(u64),
    /// A body as it is.
    Body(String),
    /// What it was sent as a secret, as its answer.
    Echo,
    /// It hangs up.
    HangsUp,
}

#[derive(Default)]
struct State {
    says: HashMap<i64, Says>,
    others: Option<Says>,
    calls: HashMap<i64, u64>,
    /// Calls without the token.
    strangers: u64,
    at_once: u64,
    most_at_once: u64,
}

pub struct Service {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    pub fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = shared.clone();
                // A client that went away is none of the test's business.
                std::thread::spawn(move || stream.map(|stream| connection(&stream, &state)));
            }
        });
        Service { url, state }
    }

    pub fn says(&self, client: i64, says: Says) {
        self.state.lock().unwrap().says.insert(client, says);
    }

    /// Of every client that nothing else is said of.
    pub fn says_of_all(&self, says: Says) {
        self.state.lock().unwrap().others = Some(says);
    }

    pub fn calls_of(&self, client: i64) -> u64 {
        self.state.lock().unwrap().calls.get(&client).copied().unwrap_or(0)
    }

    pub fn calls(&self) -> u64 {
        self.state.lock().unwrap().calls.values().sum()
    }

    pub fn strangers(&self) -> u64 {
        self.state.lock().unwrap().strangers
    }

    pub fn most_at_once(&self) -> u64 {
        self.state.lock().unwrap().most_at_once
    }
}

/// The score of a client, no short number.
pub fn score(client: i64) -> f64 {
    (client as f64) * 7.3 + 0.1
}

fn answer(client: i64) -> String {
    value!({"score": score(client), "rating": {"band": format!("b{}", client % 3)}, "report": {"id": 1}}).to_string()
}

/// `None` once the client is gone.
fn connection(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.to_owned();
        let (mut token, mut length) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let header = line.trim();
            if header.is_empty() {
                break;
            }
            if let Some((name, text)) = header.split_once(": ") {
                match name.to_ascii_lowercase().as_str() {
                    "authorization" => token = text.to_owned(),
                    "content-length" => length = text.parse().ok()?,
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let client: i64 = path.rsplit('/').next()?.parse().ok()?;
        let (says, call) = {
            let mut state = state.lock().unwrap();
            state.strangers += u64::from(token != format!("Bearer {TOKEN}"));
            state.at_once += 1;
            state.most_at_once = state.most_at_once.max(state.at_once);
            let calls = state.calls.entry(client).or_default();
            *calls += 1;
            let call = *calls;
            let says = state.says.get(&client).or(state.others.as_ref()).cloned();
            (says.unwrap_or(Says::Score), call)
        };
        let said = said(client, call, &says, &token);
        // Before it is written: who reads it may call again at once.
        state.lock().unwrap().at_once -= 1;
        let (status, body) = said?;
        write(stream, status, &body)?;
    }
}

/// The status and the body it answers with, once it does. `None` where it hangs up.
fn said(client: i64, call: u64, says: &Says, token: &str) -> Option<(u16, String)> {
    Some(match says {
        Says::Score => (200, answer(client)),
        Says::Late(after) => {
            std::thread::sleep(*after);
            (200, answer(client))
        }
        Says::Nothing => {
            std::thread::sleep(Duration::from_secs(30));
            return None;
        }
        Says::Status(status) => (*status, "{\"error\": \"no\"}".to_owned()),
        Says::FailsFirst(times) if call <= *times => (500, String::new()),
        Says::FailsFirst(_) => (200, answer(client)),
        Says::Body(body) => (200, body.clone()),
        Says::Echo => (200, value!({"score": token}).to_string()),
        Says::HangsUp => return None,
    })
}

fn write(mut stream: &TcpStream, status: u16, body: &str) -> Option<()> {
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()
}
