//! An S3 server of the test's own: moto's, from PyPI.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::test_python;

/// Says to a test that it was run again by [`S3Server::run_again`].
const INNER: &str = "KARAT_TEST_INNER";
const SECRET: &str = "secret-of-the-test";

/// Ends with the test.
#[derive(Debug)]
pub struct S3Server {
    child: Child,
    port: u16,
}

impl S3Server {
    /// `None` where there is none: the test says by its name that it is skipped, and fails under CI, which installs one.
    pub fn start(test: &str) -> Option<S3Server> {
        S3Server::with(test, &[])
    }

    /// One that knows nobody's keys, once a bucket was made.
    pub fn strict(test: &str) -> Option<S3Server> {
        S3Server::with(test, &[("INITIAL_NO_AUTH_ACTION_COUNT", "1")])
    }

    fn with(test: &str, variables: &[(&str, &str)]) -> Option<S3Server> {
        match S3Server::try_start(variables) {
            Ok(server) => Some(server),
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "CI sets moto up (scripts/setup tests): {why}");
                // Not `eprintln!`, which the workspace's lints keep out of libraries.
                writeln!(std::io::stderr(), "SKIPPED {test}: {why}").ok();
                None
            }
        }
    }

    fn try_start(variables: &[(&str, &str)]) -> Result<S3Server, String> {
        let python = test_python().ok_or("no KARAT_TEST_PYTHON (`scripts/setup tests` makes it)")?;
        let has_moto = Command::new(&python).args(["-c", "import moto.server"]).stderr(Stdio::null()).status();
        if !has_moto.is_ok_and(|status| status.success()) {
            return Err(format!("{} has no moto (`scripts/setup tests` installs it)", python.display()));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&python)
            .args(["-c", "from moto.server import main; import sys; main(sys.argv[1:])"])
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let server = S3Server { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "moto does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a process needs to be told to use it.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        S3Server::variables_of(&self.endpoint())
    }

    /// Of a server at an endpoint, should there be one.
    pub fn variables_of(endpoint: &str) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    pub fn make_bucket(&self, name: &str) {
        let answer = self.exchange("PUT", &format!("/{name}"), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    pub fn put(&self, bucket: &str, key: &str, text: &str) {
        let answer = self.exchange("PUT", &format!("/{bucket}/{key}"), text);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The keys of a bucket, sorted; and of what was begun and neither completed nor given up.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let begun = self.exchange("GET", &format!("/{bucket}?uploads"), "");
        let mut keys = named(&self.exchange("GET", &format!("/{bucket}?list-type=2&max-keys=1000"), ""));
        keys.extend(named(&begun).into_iter().map(|key| format!("{key} (begun)")));
        keys
    }

    fn exchange(&self, method: &str, target: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Runs a test again, alone, as a process that was told of this server: a process's own environment is not changed
    /// while others run.
    pub fn run_again(&self, test: &str) {
        S3Server::run_again_with(test, self.variables());
    }

    pub fn run_again_with(test: &str, variables: [(&'static str, String); 4]) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .envs(variables)
            .env(INNER, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    /// Whether this process is one that [`S3Server::run_again`] started.
    pub fn is_told() -> bool {
        std::env::var_os(INNER).is_some()
    }

    /// Ends it, as a store that is away.
    pub fn stop(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // After `stop` it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What stands between `<Key>` and `</Key>`.
fn named(listing: &str) -> Vec<String> {
    listing.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
}
