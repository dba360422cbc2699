//! The turn of one writer among all threads, processes and machines, for writes of many steps.
//!
//! The turn is a key that holds the writer's token and goes away by itself where it is not renewed: a killed writer keeps others
//! waiting for [`super::RedisOptions::turn`] at most. Each step asks for the token inside the server before it writes,
//! so that a writer which was stopped and lost its turn without knowing writes nothing any more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ::redis::{Cmd, RedisResult, Value};
use karat_core::{Digest, OnlineError, StateNote};

use super::link::{Link, Server};
use super::scripts::Script;
use super::write::{Entry, number};
use super::{FORMAT_VERSION, errors};

/// Chunks on their way before the first is answered: the next is sent while the server works on the last.
const WINDOW: usize = 4;
/// How many keys one step of a merge copies.
const MERGE_KEYS: usize = 500;

// What scripts answer below zero.
const NEWER: i64 = -1;
const NOT_ITS_TURN: i64 = -2;
const OTHERS_TURN: i64 = -3;
const GONE: i64 = -4;

/// How a generation that was filled becomes a definition's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What it has not is looked for in what was there.
    Over,
    Instead,
}

/// What becomes of a state filled in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Finish,
}

/// Given back when dropped, with what was filled and never pointed at.
pub(super) struct Turn {
    server: Arc<Server>,
    link: Link,
    token: String,
    generation: i64,
    /// Chunks sent and not answered.
    under_way: usize,
    /// Keys that the answered ones brought.
    keys: u64,
    heart: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Turn {
    /// Waits until it is this writer's turn, and begins a generation.
    pub fn take(server: &Arc<Server>) -> Result<Turn, OnlineError> {
        let mut link = server.connect()?;
        let token = format!("{:x}-{:032x}", std::process::id(), fastrand::u128(..));
        let mut command = server.writing(Script::Take);
        command.arg(&token).arg(milliseconds(server));
        let mut waiting = Waiting::default();
        let generation = loop {
            match allowed(server, &link.call(&command).map_err(|error| server.error(error))?)? {
                Some(generation) => break generation,
                None => waiting.wait(server),
            }
        };
        let heart = start_heart(server, &token)?;
        Ok(Turn { server: server.clone(), link, token, generation, under_way: 0, keys: 0, heart: Some(heart) })
    }

    /// Writes a chunk into the generation, which nobody points at yet.
    pub fn fill(&mut self, base: Option<&[u8]>, entries: &[Entry]) -> Result<(), OnlineError> {
        if self.under_way == WINDOW {
            self.receive_one()?;
        }
        let mut command = self.step(Script::Fill);
        command.arg(self.generation).arg(base.unwrap_or_default());
        self.send(command, entries)
    }

    /// Writes a chunk into what is filled of a definition in parts.
    pub fn fill_more(&mut self, definition: &Digest, entries: &[Entry]) -> Result<(), OnlineError> {
        if self.under_way == WINDOW {
            self.receive_one()?;
        }
        let mut command = self.step(Script::More);
        command.arg(definition.as_str());
        self.send(command, entries)
    }

    fn send(&mut self, mut command: Cmd, entries: &[Entry]) -> Result<(), OnlineError> {
        for (key, state) in entries {
            command.arg(key).arg(state);
        }
        self.link.send(&command).map_err(|error| self.server.error(error))?;
        self.under_way += 1;
        Ok(())
    }

    /// Begins what is filled of a definition in parts with this turn's generation.
    pub fn begin_filling(&mut self, definition: &Digest, note: &StateNote) -> Result<(), OnlineError> {
        let mut command = self.step(Script::Begin);
        command.arg(definition.as_str()).arg(self.generation).arg(note);
        self.call(&command).map(drop)
    }

    /// Notes what was filled, once it is there, or lets the definition have it.
    pub fn note_filling(&mut self, definition: &Digest, note: &StateNote, then: Then) -> Result<(), OnlineError> {
        while self.under_way > 0 {
            self.receive_one()?;
        }
        let mut command = self.step(match then {
            Then::GoOn => Script::Mark,
            Then::Finish => Script::Finish,
        });
        command.arg(definition.as_str()).arg(note);
        self.call(&command).map(drop)
    }

    /// Lets the definition have what was filled, in one step that readers see.
    pub fn point(&mut self, definition: &Digest, note: &StateNote, place: Place) -> Result<(), OnlineError> {
        while self.under_way > 0 {
            self.receive_one()?;
        }
        let mut command = self.step(Script::Point);
        command.arg(definition.as_str()).arg(self.generation).arg(self.keys).arg(note);
        command.arg(match place {
            Place::Over => "over",
            Place::Instead => "instead",
        });
        self.call(&command).map(drop)
    }

    /// Copies the definition's overlay, if it has one, into its base.
    pub fn merge(&mut self, definition: &Digest) -> Result<(), OnlineError> {
        let mut cursor = b"0".to_vec();
        loop {
            let mut command = self.step(Script::Merge);
            command.arg(definition.as_str()).arg(&cursor).arg(MERGE_KEYS);
            match self.link.call(&command).map_err(|error| self.server.error(error))? {
                Value::BulkString(next) if next == b"0" => return Ok(()),
                Value::BulkString(next) => cursor = next,
                answer => return allowed(&self.server, &answer).map(drop),
            }
        }
    }

    fn step(&self, script: Script) -> Cmd {
        let mut command = self.server.writing(script);
        command.arg(&self.token).arg(milliseconds(&self.server));
        command
    }

    fn call(&mut self, command: &Cmd) -> Result<i64, OnlineError> {
        let answer = self.link.call(command);
        self.counted(answer)
    }

    fn receive_one(&mut self) -> Result<(), OnlineError> {
        self.under_way -= 1;
        let answer = self.link.receive();
        self.keys += self.counted(answer)?.unsigned_abs();
        Ok(())
    }

    fn counted(&self, answer: RedisResult<Value>) -> Result<i64, OnlineError> {
        let answer = answer.map_err(|error| self.server.error(error))?;
        allowed(&self.server, &answer)?.ok_or_else(|| errors::not_its_turn(&self.server.place))
    }

    fn give_back(&mut self) -> RedisResult<()> {
        for _ in 0..self.under_way {
            // That one failed is why the others were not waited for.
            if let Err(error) = self.link.receive()
                && error.is_io_error()
            {
                return Err(error);
            }
        }
        let mut command = self.server.writing(Script::Give);
        command.arg(&self.token).arg(self.generation);
        self.link.call(&command).map(drop)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.heart.take() {
            drop(stop);
            thread.join().ok();
        }
        if let Err(error) = self.give_back() {
            let seconds = self.server.options.turn.as_secs_f64();
            tracing::warn!(store = self.server.place, %error, "the turn to write online state was not given back; it ends by itself in {seconds} s");
        }
    }
}

/// What a script that writes answered: a number, or `None` while it is another's turn.
pub(super) fn allowed(server: &Server, answer: &Value) -> Result<Option<i64>, OnlineError> {
    match number(answer) {
        Some(NEWER) => Err(errors::newer(&server.place, "of a newer Karat", FORMAT_VERSION)),
        Some(NOT_ITS_TURN) => Err(errors::not_its_turn(&server.place)),
        Some(OTHERS_TURN) => Ok(None),
        Some(GONE) => Err(errors::lost(&server.place)),
        Some(number) => Ok(Some(number)),
        None => Err(server.unexpected("a write was answered by no number")),
    }
}

/// Until another's turn is over.
#[derive(Default)]
pub(super) struct Waiting {
    said: bool,
}

impl Waiting {
    pub fn wait(&mut self, server: &Server) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::info!(store = server.place, "waiting for another writer to finish writing online state");
        }
        std::thread::sleep(Duration::from_millis(fastrand::u64(10..40)));
    }
}

fn milliseconds(server: &Server) -> u64 {
    server.options.turn.as_millis().max(1) as u64
}

/// Renews the turn while its writer is busy with what to write next.
fn start_heart(server: &Arc<Server>, token: &str) -> Result<(Sender<()>, JoinHandle<()>), OnlineError> {
    let (stop, stopped) = channel();
    let (beating, token) = (server.clone(), token.to_owned());
    let thread = std::thread::Builder::new().name("karat-online-turn".to_owned());
    let thread = thread.spawn(move || beat(&beating, &token, &stopped));
    Ok((stop, thread.map_err(|error| server.error(error.into()))?))
}

fn beat(server: &Server, token: &str, stopped: &Receiver<()>) {
    let mut link = None;
    while stopped.recv_timeout(server.options.turn / 3) == Err(RecvTimeoutError::Timeout) {
        match renew(server, token, &mut link) {
            Ok(true) => {}
            // The writer finds out at its next step.
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(%error, "the turn to write online state was not renewed");
                link = None;
            }
        }
    }
}

fn renew(server: &Server, token: &str, link: &mut Option<Link>) -> Result<bool, OnlineError> {
    let link = match link {
        Some(link) => link,
        None => link.insert(server.connect()?),
    };
    let mut command = server.writing(Script::Renew);
    command.arg(token).arg(milliseconds(server));
    let answer = link.call(&command).map_err(|error| server.error(error))?;
    Ok(number(&answer).is_some_and(|number| number > 0))
}
