//! A PostgreSQL server of the test's own, and a whole suite run again on one.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Where the tests of a suite that is run again find their server: its port.
const PORT: &str = "KARAT_TEST_POSTGRES_PORT";

/// Debian's PostgreSQL with a cluster of its own, which ends with the test. Its user `karat` may do everything and needs no
/// password, `guarded` needs `unguessable`. Text sorts there as people read it, which is not how Karat compares it.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl PostgresServer {
    /// `None` where there is no PostgreSQL: the test says by its name that it is skipped, and fails under CI, which
    /// installs one.
    pub fn start(test: &str) -> Option<PostgresServer> {
        match PostgresServer::try_start() {
            Ok(server) => Some(server),
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "CI sets PostgreSQL up (scripts/setup tests): {why}");
                // Not `eprintln!`, which the workspace's lints keep out of libraries.
                writeln!(std::io::stderr(), "SKIPPED {test}: {why}").ok();
                None
            }
        }
    }

    fn try_start() -> Result<PostgresServer, String> {
        let none = "no PostgreSQL in /usr/lib/postgresql (`scripts/setup tests` installs it)";
        let server = PostgresServer { programs: programs().ok_or(none)?, folder: crate::temp_dir(), port: free_port() };
        if is_root() {
            // A server refuses to run as root; Debian's package brings an account for it.
            let owned = Command::new("chown").args(["-R", "postgres"]).arg(server.folder.path()).status();
            if !owned.is_ok_and(|status| status.success()) {
                return Err("tests run as root, and there is no account `postgres`".to_owned());
            }
        }
        let data = server.data();
        let made = ["-D", &data, "-A", "trust", "-U", "karat", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"];
        server.run("initdb", &[&made[..], &["--locale-provider=icu", "--icu-locale=en-US"]].concat())?;
        let users =
            "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust\n";
        std::fs::write(Path::new(&data).join("pg_hba.conf"), users).map_err(|error| error.to_string())?;
        server.up()?;
        server.sql("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'unguessable'");
        Ok(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("cluster").display().to_string()
    }

    fn up(&self) -> Result<(), String> {
        let data = self.data();
        let options =
            format!("-p {} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=400", self.port);
        self.run("pg_ctl", &["-D", &data, "-o", &options, "-l", &format!("{data}/log"), "-w", "start"])
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let path = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        // `pg_ctl` leaves its output to the server it starts: nobody waits for the end of that.
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            outcome => Err(format!("{program} failed: {outcome:?}")),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of a database, made or not.
    pub fn uri(&self, database: &str) -> String {
        uri(self.port, database)
    }

    /// A database of its own, empty.
    pub fn database(&self) -> String {
        new_database(self.port)
    }

    pub fn sql(&self, database: &str, sql: &str) {
        psql(self.port, database, sql);
    }

    /// Ends it as a machine that fails does.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).unwrap();
    }

    pub fn start_again(&self) {
        self.up().unwrap();
    }

    /// Runs all tests of this binary but `this` and `without` again, ignored ones included, on this server: what asks for
    /// a [`fresh_database`] gets one there. Says how many ran.
    pub fn run_all_again(&self, this: &str, without: &str) -> usize {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--include-ignored", "--skip", this, "--skip", without])
            .env(PORT, self.port.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "on PostgreSQL:\n{text}");
        text.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ... ok")).count()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]).ok();
    }
}

/// The URI of an empty database where the suite is run again on PostgreSQL; `None` where it runs on what is the default.
pub fn fresh_database() -> Option<String> {
    Some(new_database(std::env::var(PORT).ok()?.parse().unwrap()))
}

fn new_database(port: u16) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    psql(port, "postgres", &format!("CREATE DATABASE {name}"));
    uri(port, &name)
}

fn uri(port: u16, database: &str) -> String {
    format!("postgres://karat@127.0.0.1:{port}/{database}")
}

fn psql(port: u16, database: &str, sql: &str) {
    let psql = programs().unwrap().join("psql");
    let mut command = Command::new(psql);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "karat", "-d", database]);
    let output = command.args(["-v", "ON_ERROR_STOP=1", "-qXc", sql]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The newest installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    folders.filter(|programs| programs.join("initdb").exists()).max()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}
