//! The output of a command, read while it runs. It counts only if the command ends well.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use karat_core::Window;
use karat_project::spec::Stderr;

/// A command ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// With variables filled in: never shown.
    pub words: Vec<String>,
    pub folder: PathBuf,
    pub timeout: Duration,
    pub stderr: Stderr,
}

/// Of what it says on standard error, the end is kept: this much.
const KEPT: usize = 4 << 10;
/// A piece of its output, and how many wait to be read.
const PIECE: usize = 1 << 17;
const IN_FLIGHT: usize = 8;

pub(crate) struct Running {
    run: Run,
    child: Child,
    deadline: Instant,
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    taken: usize,
    errors: Receiver<Vec<u8>>,
    ended: bool,
}

pub(crate) fn timeout(window: Window) -> Duration {
    match window {
        Window::Fixed(micros) => Duration::from_micros(micros.max(0) as u64),
        Window::Months(months) => Duration::from_secs(u64::from(months) * 31 * 86_400),
    }
}

impl Run {
    pub(super) fn start(&self) -> io::Result<Running> {
        let (program, arguments) =
            self.words.split_first().ok_or_else(|| io::Error::other("the command has no program"))?;
        let mut process = Process::new(resolved(program, &self.folder));
        process
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A group of its own, so that what it started ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        let mut child = process.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let problem = "there is no such program here: is it installed, and in PATH?";
                io::Error::new(io::ErrorKind::InvalidData, problem)
            }
            _ => io::Error::other(format!("cannot be started: {error}")),
        })?;
        let output = child.stdout.take().expect("it was piped");
        let mut errors = child.stderr.take().expect("it was piped");
        let (sender, pieces) = sync_channel(IN_FLIGHT);
        std::thread::spawn(move || pump(output, &sender));
        let (told, said) = sync_channel(1);
        std::thread::spawn(move || told.send(tail(&mut errors)));
        Ok(Running {
            run: self.clone(),
            child,
            deadline: Instant::now() + self.timeout,
            pieces,
            piece: Vec::new(),
            taken: 0,
            errors: said,
            ended: false,
        })
    }
}

/// `./extract.sh` is meant from the project folder, whatever the process's own is.
fn resolved(program: &str, folder: &Path) -> PathBuf {
    if program.contains('/') { folder.join(program) } else { PathBuf::from(program) }
}

fn pump(mut output: ChildStdout, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let piece = match output.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => {
                piece.truncate(read);
                Ok(piece)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if sender.send(piece).is_err() || failed {
            return;
        }
    }
}

fn tail(errors: &mut impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read) = errors.read(&mut piece) {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&piece[..read]);
        let beyond = kept.len().saturating_sub(KEPT);
        kept.drain(..beyond);
    }
    kept
}

impl Running {
    /// Once its output has ended: whether it ended well.
    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() >= self.deadline {
                return Err(self.late());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = self.said();
        let words = said.as_deref().map(|said| format!("; it says: {said}")).unwrap_or_default();
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("ended with exit code {code}"),
                None => "was ended by a signal".to_owned(),
            };
            return Err(io::Error::other(format!("the command {how}{words}")));
        }
        match (said, self.run.stderr) {
            (Some(said), Stderr::Fail) => Err(io::Error::other(format!(
                "the command ended well, and wrote to its standard error: {said}; say `stderr: ignore` if it means nothing"
            ))),
            _ => Ok(()),
        }
    }

    /// The last lines it wrote to standard error.
    fn said(&mut self) -> Option<String> {
        // Something it left running may hold the other end for ever.
        let errors = self.errors.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
        let text = String::from_utf8_lossy(&errors);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(5)..].join(" / ");
        (!last.is_empty()).then_some(last)
    }

    fn late(&mut self) -> io::Error {
        self.kill();
        let seconds = self.run.timeout.as_secs_f64();
        io::Error::other(format!("the command did not end within {seconds} seconds (`timeout`), and was stopped"))
    }

    fn kill(&mut self) {
        // The whole group: `kill` of a shell's script leaves what the script started.
        #[cfg(unix)]
        let _ =
            Process::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).stderr(Stdio::null()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left) {
                Ok(piece) => (self.piece, self.taken) = (piece?, 0),
                Err(RecvTimeoutError::Timeout) => {
                    self.ended = true;
                    return Err(self.late());
                }
                Err(RecvTimeoutError::Disconnected) => self.end()?,
            }
        }
        let read = buffer.len().min(self.piece.len() - self.taken);
        buffer[..read].copy_from_slice(&self.piece[self.taken..self.taken + read]);
        self.taken += read;
        Ok(read)
    }
}

/// Whoever stops reading stops the command.
impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}
