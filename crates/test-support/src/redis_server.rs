//! A Redis server of the test's own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Ends with the test. Keeps what it is told across [`RedisServer::restart`].
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    password: Option<String>,
    child: Child,
}

impl RedisServer {
    /// `None` where there is no Redis: the test says by its name that it is skipped, and fails under CI, which installs one.
    pub fn start(test: &str) -> Option<RedisServer> {
        RedisServer::begin(test, None)
    }

    pub fn start_with_password(test: &str, password: &str) -> Option<RedisServer> {
        RedisServer::begin(test, Some(password.to_owned()))
    }

    fn begin(test: &str, password: Option<String>) -> Option<RedisServer> {
        let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "CI sets Redis up: scripts/setup tests");
            // Not `eprintln!`, which the workspace's lints keep out of libraries.
            writeln!(std::io::stderr(), "SKIPPED {test}: no redis-server (`scripts/setup tests` installs it)").ok();
            return None;
        }
        let folder = crate::temp_dir();
        // Another test may be given the same port between its being free and its being taken.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = spawn(&folder, port, password.as_deref());
            if comes_up(&mut child, port) {
                return Some(RedisServer { folder, port, password, child });
            }
        }
        panic!("redis-server does not come up");
    }

    pub fn uri(&self) -> String {
        self.database(0)
    }

    pub fn database(&self, number: u8) -> String {
        let user = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{user}127.0.0.1:{}/{number}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers over TLS, too: at this address, with a certificate whose authority is in this file.
    pub fn over_tls(&self) -> (String, PathBuf) {
        let folder = self.folder.path();
        std::fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
        for arguments in [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority",
            "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile extensions",
        ] {
            let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let (certificate, key, authority) = (file("server.crt"), file("server.key"), file("ca.crt"));
        let settings = ["tls-cert-file", &certificate, "tls-key-file", &key, "tls-ca-cert-file", &authority];
        let listening = ["tls-auth-clients", "no", "tls-port", &port];
        let set = self.command(&[&["CONFIG", "SET"], &settings[..], &listening[..]].concat());
        assert_eq!(set, "OK");
        (format!("rediss://127.0.0.1:{port}/0"), PathBuf::from(authority))
    }

    /// Kills it, as a machine that fails does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// After [`RedisServer::kill`], or in its place.
    pub fn restart(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
        self.child = spawn(&self.folder, self.port, self.password.as_deref());
        assert!(comes_up(&mut self.child, self.port), "redis-server does not come up again");
    }

    /// What it answers to a command, as `redis-cli` shows it where nobody looks.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(password) = &self.password {
            cli.env("REDISCLI_AUTH", password);
        }
        let output = cli.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir, port: u16, password: Option<&str>) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "no"]).arg("--dir").arg(folder.path());
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether it answers; not, where it ended instead.
fn comes_up(child: &mut Child, port: u16) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if pong(port).is_ok_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn pong(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
