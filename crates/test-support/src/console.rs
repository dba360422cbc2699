//! Runs the `console` blocks of documents and compares what they print.
//!
//! In a block, a line `$ command` is run by bash; `> more` lines continue it. The lines after it are what it prints on
//! standard output: `...` alone stands for any number of lines, within a line for any text; a command without such
//! lines may print anything. A command succeeds unless the next line says otherwise (`? 1`: exit code 1; then
//! standard error is compared too, after standard output). A command that ends in ` &` is a server: it runs on until
//! its [`Session`] ends, on a port of the session's (`--port` is added), and the commands after it wait until it answers.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::markdown::Block;

/// The port that documents name, in URLs and as a flag; a session moves it to its own, so that tests do not meet.
const DOCUMENTED_PORT: [&str; 2] = [":8000", "--port 8000"];
const SERVER_START: Duration = Duration::from_secs(60);

/// A command of a block and what the document says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub line: usize,
    pub command: String,
    pub exit_code: i32,
    pub expected: Vec<String>,
}

/// Reads a block's commands. Lines before the first are an error in the document.
pub fn steps(block: &Block) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, text) in block.text.lines().enumerate() {
        let line = block.line + index;
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step { line, command: command.to_owned(), exit_code: 0, expected: Vec::new() });
            continue;
        }
        let Some(step) = steps.last_mut() else {
            return Err(format!("line {line}: a console block begins with a command, `$ …`"));
        };
        match (text.strip_prefix("> "), text.strip_prefix("? ")) {
            (Some(more), _) if step.expected.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            (_, Some(code)) if step.expected.is_empty() => {
                step.exit_code =
                    code.trim().parse().map_err(|_| format!("line {line}: `{code}` is not an exit code"))?;
            }
            _ => step.expected.push(text.to_owned()),
        }
    }
    Ok(steps)
}

/// Where commands run, and the servers they started.
#[derive(Debug)]
pub struct Session {
    folder: PathBuf,
    path: std::ffi::OsString,
    port: String,
    servers: Vec<Child>,
}

impl Session {
    /// Commands run in `folder` and find `program` by its file name. Where the documents say port 8000, they use `port`.
    pub fn new(folder: &Path, program: &Path, port: u16) -> Session {
        let programs = program.parent().expect("a program lies in a folder").to_owned();
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&before)))
            .expect("the folders were parts of a PATH");
        Session { folder: folder.to_owned(), path, port: port.to_string(), servers: Vec::new() }
    }

    /// Runs one command; an error is the whole story, for a person to read.
    pub fn run(&mut self, step: &Step) -> Result<(), String> {
        let command = self.local(&step.command);
        if let Some(server) = command.strip_suffix(" &") {
            return self.start(server);
        }
        let output = self.bash(&command).output().map_err(|error| format!("bash does not start: {error}"))?;
        let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().unwrap_or(-1);
        if code != step.exit_code {
            return Err(format!(
                "$ {command}\nended with {code}, not {}\n--- stdout\n{printed}\n--- stderr\n{stderr}",
                step.exit_code
            ));
        }
        if step.exit_code != 0 {
            printed.push_str(&stderr);
        }
        let expected: Vec<String> = step.expected.iter().map(|line| self.local(line)).collect();
        let lines: Vec<&str> = printed.lines().collect();
        if expected.is_empty() || matches(&expected, &lines) {
            return Ok(());
        }
        Err(format!("$ {command}\n--- expected\n{}\n--- printed\n{printed}\n--- stderr\n{stderr}", expected.join("\n")))
    }

    fn local(&self, text: &str) -> String {
        DOCUMENTED_PORT
            .iter()
            .fold(text.to_owned(), |text, documented| text.replace(documented, &documented.replace("8000", &self.port)))
    }

    fn bash(&self, script: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        bash
    }

    fn start(&mut self, server: &str) -> Result<(), String> {
        // Documents leave the port to its default.
        let port = if server.contains("--port") { String::new() } else { format!(" --port {}", self.port) };
        let server = &format!("{server}{port}");
        let child = self
            .bash(&format!("exec {server}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("$ {server} & does not start: {error}"))?;
        self.servers.push(child);
        let address = format!("127.0.0.1:{}", self.port);
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let child = self.servers.last_mut().expect("it was just pushed");
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("$ {server} &\nended by itself: {status}"));
            }
            if started.elapsed() > SERVER_START {
                return Err(format!("$ {server} &\ndid not listen on {address} within {SERVER_START:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // It may have ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Whether the printed lines are the expected ones; trailing blanks do not count.
pub fn matches(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.iter().all(|line| line.trim().is_empty()),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => match printed.split_first() {
            Some((line, others)) => line_matches(first.trim_end(), line.trim_end()) && matches(rest, others),
            None => false,
        },
    }
}

fn line_matches(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split("...");
    let first = parts.next().expect("split gives at least one part");
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    unreachable!("the last part returns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temp_dir;

    fn block(text: &str) -> Block {
        Block { language: "console".into(), line: 10, text: text.into() }
    }

    fn run(text: &str) -> Result<(), String> {
        let folder = temp_dir();
        let mut session = Session::new(folder.path(), Path::new("/bin/true"), 1);
        steps(&block(text))?.iter().try_for_each(|step| session.run(step))
    }

    #[test]
    fn steps_hold_command_exit_code_and_output() {
        let read = steps(&block("$ a |\n> b\n? 2\nx\n$ c\n")).unwrap();
        assert_eq!(read[0], Step { line: 10, command: "a |\nb".into(), exit_code: 2, expected: vec!["x".into()] });
        assert_eq!(read[1], Step { line: 14, command: "c".into(), exit_code: 0, expected: vec![] });
        assert!(steps(&block("no command\n")).unwrap_err().contains("line 10"));
    }

    #[test]
    fn wildcards_stand_for_lines_and_for_parts_of_lines() {
        let expect = |expected: &[&str], printed: &[&str]| {
            matches(&expected.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), printed)
        };
        assert!(expect(&["a", "...", "z"], &["a", "b", "c", "z"]));
        assert!(expect(&["a", "...", "z"], &["a", "z", ""]));
        assert!(!expect(&["a", "...", "z"], &["a", "b"]));
        assert!(expect(&["took ... s, ... rows"], &["took 1.5 s, 777715 rows"]));
        assert!(!expect(&["took ... s"], &["took 1.5 minutes"]));
        assert!(!expect(&["a...a"], &["a"]));
        assert!(!expect(&["a"], &["a", "b"]));
        assert!(!expect(&["777,715"], &["777,714"]));
    }

    #[test]
    fn commands_run_in_order_in_one_folder() {
        run("$ echo hello > there\n$ cat there\nhello\n$ false\n? 1\n").unwrap();
        assert!(run("$ echo hello\nbye\n").unwrap_err().contains("hello"));
        assert!(run("$ exit 3\n").unwrap_err().contains("ended with 3"));
        run("$ echo oh >&2; exit 2\n? 2\noh\n").unwrap();
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_apart() {
        assert!(run("$ true &\n").unwrap_err().contains("ended by itself"));
    }

    #[test]
    fn the_documented_port_moves_and_numbers_like_it_do_not() {
        let folder = temp_dir();
        let session = Session::new(folder.path(), Path::new("/bin/true"), 4321);
        let moved = session.local("curl http://127.0.0.1:8000/docs; serve --port 8000; 38000 rows, 8000 clients");
        assert_eq!(moved, "curl http://127.0.0.1:4321/docs; serve --port 4321; 38000 rows, 8000 clients");
    }
}
