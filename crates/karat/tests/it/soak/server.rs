//! A `karat serve` that can be killed, and whose words are kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use crate::support::command;

pub struct Server {
    child: Child,
    pub address: String,
    words: PathBuf,
}

/// One that did not come up.
#[derive(Debug)]
pub struct Refused {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub stderr: String,
}

impl Server {
    pub fn start(folder: &Path) -> Server {
        Server::try_start(folder).unwrap_or_else(|refused| panic!("the server does not come up: {refused:?}"))
    }

    pub fn try_start(folder: &Path) -> Result<Server, Refused> {
        Server::try_start_with(folder, &[])
    }

    /// With variables of its environment. What it says is kept outside the project.
    pub fn try_start_with(folder: &Path, variables: &[(&str, String)]) -> Result<Server, Refused> {
        let words = std::env::temp_dir().join(format!("karat-serve-{}-{}", std::process::id(), fastrand::u64(..)));
        let mut child = command(folder, &["serve", "--port", "0"])
            .env("KARAT_LOG", "warn,karat_serving=error")
            .envs(variables.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(File::create(&words).unwrap())
            .spawn()
            .expect("the binary was built for this test");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next());
        match address.map(str::to_owned) {
            Some(address) => Ok(Server { child, address, words }),
            None => {
                let code = child.wait().unwrap().code();
                let stderr = std::fs::read_to_string(&words).unwrap();
                std::fs::remove_file(words).unwrap();
                Err(Refused { code, stderr })
            }
        }
    }

    /// What it said so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.words).unwrap()
    }

    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let mut connection = Connection::open(&self.address).unwrap();
        let (status, body) = connection.exchange(method, path, body).unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Json::Null))
    }

    /// The most of it that was ever in memory, in bytes.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    /// As `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and kills it amid that.
    pub fn terminate_and_kill(mut self, after: Duration) {
        self.signal("-TERM");
        std::thread::sleep(after);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn terminate(mut self) {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success(), "{}", self.stderr());
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `kill` and `terminate` it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.words);
    }
}

/// A connection that is kept.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Status and body. Only an answer that came whole is one.
    pub fn exchange(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(cut)?];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body).expect("answers are UTF-8")))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(cut)
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut")
}
