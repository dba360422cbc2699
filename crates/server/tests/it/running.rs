//! A server over a network, and what it takes to talk to it byte by byte.

use std::net::SocketAddr;

use karat_project::spec::Server;
use karat_server::{AppState, ListenOptions, serve};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::App;

pub const PREDICT: &str = "/v1/endpoints/risk/predict";

/// A server of its own, on a free port.
pub struct Running {
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub served: JoinHandle<std::io::Result<()>>,
}

pub fn milliseconds(number: u64) -> karat_core::Window {
    format!("{number} milliseconds").parse().unwrap()
}

/// Quick to lose patience, on one thread.
pub fn impatient() -> Server {
    Server {
        threads: Some(1),
        header_timeout: milliseconds(300),
        body_timeout: milliseconds(300),
        drain_within: milliseconds(1000),
        ..Server::default()
    }
}

pub async fn start(app: &App, server: Server) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let state: AppState = app.state(server.clone());
    let served = tokio::spawn(serve(listener, state, ListenOptions::from(&server), async {
        stopped.await.ok();
    }));
    Running { address, stop, served }
}

impl Running {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub async fn post(&self, body: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request(body).as_bytes()).await.unwrap();
        answer(&mut stream).await.unwrap()
    }
}

pub fn request(body: &str) -> String {
    format!(
        "POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn one() -> String {
    json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}).to_string()
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Json,
}

/// The next answer on a connection; `None` when it ends instead.
pub async fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap_or("0").parse().unwrap();
            while bytes.len() < end + 4 + length {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "an answer is whole");
                bytes.extend(&buffer[..read]);
            }
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let body = serde_json::from_slice(&bytes[end + 4..end + 4 + length]).unwrap_or(Json::Null);
            return Some(Answer { status, head, body });
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend(&buffer[..read]),
        }
    }
}

pub fn many(keys: usize) -> String {
    json!({"keys": (0..keys).collect::<Vec<_>>(), "fields": {"income": 1, "age": 40}}).to_string()
}
