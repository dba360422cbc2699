//! Runs the binary as a person or a program would, in a project of the test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use karat_test_support::{repository, test_python};
use serde_json::Value as Json;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The one JSON document on stdout.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one document: {error}\n{self:?}"))
    }

    pub fn ok(self) -> Ran {
        assert_eq!(self.code, 0, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn ends_with(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }
}

/// A `karat` command in `folder`, with nothing of the surroundings that could change what it says.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_karat"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in ["KARAT_PROJECT", "KARAT_ENVIRONMENT", "KARAT_LOG", "OMP_NUM_THREADS", "COLUMNS"] {
        command.env_remove(name);
    }
    command.env("KARAT_ACTOR", "tester").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    command
}

pub fn run_command(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary was built for this test");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("karat prints UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("karat prints UTF-8"),
    }
}

pub fn karat(folder: &Path, arguments: &[&str]) -> Ran {
    run_command(&mut command(folder, arguments))
}

/// The document of a command that succeeds.
pub fn json(folder: &Path, arguments: &[&str]) -> Json {
    karat(folder, &[arguments, &["--format", "json"]].concat()).ok().json()
}

/// A running `karat serve` on a port of its own.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(folder: &Path) -> Server {
        Server::of(command(folder, &["serve", "--port", "0"]).stderr(Stdio::null()))
    }

    /// A command that serves.
    pub fn of(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary was built for this test");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("not the address: {line:?}")).to_owned();
        Server { child, address }
    }

    /// Status and JSON of one exchange.
    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let (status, body) = self.exchange(method, path, body);
        (status, serde_json::from_str(&body).unwrap_or(Json::Null))
    }

    /// A page as it stands.
    pub fn text(&self, path: &str) -> String {
        self.exchange("GET", path, "").1
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.with_head(method, path, body);
        (status, body)
    }

    /// With the head of the answer as it stands.
    pub fn with_head(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, format!("{head}\r\n"), body.to_owned())
    }

    /// The most memory it has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    /// As a crash does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as a process manager does.
    pub fn terminate(mut self) -> ExitStatus {
        // The shell's own kill: a bare machine has no other.
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `terminate` it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a script of the oracles' folder says of a file that Karat wrote.
#[expect(clippy::print_stdout, reason = "what is skipped is skipped visibly")]
pub fn agrees_with(oracle: &str, project: &Path, written: &str) {
    let Some(python) = test_python() else {
        assert!(std::env::var_os("CI").is_none(), "CI sets Python up: scripts/setup tests");
        println!("SKIPPED: no Python with pandas; `scripts/setup tests` installs one");
        return;
    };
    let output = Command::new(python)
        .arg(repository().join("crates/karat/tests/oracles").join(oracle))
        .arg(project.join("data"))
        .arg(project.join(written))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
