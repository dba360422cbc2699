//! Connections that reads and small writes share: each is used by one call at a time, and kept for the next.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use ::redis::{Cmd, RedisResult, Value};
use karat_core::{ErrorKind, OnlineError};

use super::link::{Link, Server, is_answer};

pub(super) struct Pool {
    server: Arc<Server>,
    places: Mutex<Places>,
    freed: Condvar,
}

#[derive(Default)]
struct Places {
    idle: Vec<Link>,
    /// Those in use.
    busy: usize,
}

/// The right to one connection; given back when dropped.
struct Place<'p>(&'p Pool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.places().busy -= 1;
        self.0.freed.notify_one();
    }
}

impl Pool {
    pub fn new(server: Arc<Server>) -> Pool {
        Pool { server, places: Mutex::default(), freed: Condvar::new() }
    }

    /// Connects, unless there is a connection already: an error says why a store cannot be used.
    pub fn check(&self) -> Result<(), OnlineError> {
        let (_place, link) = self.enter()?;
        let link = link.map_or_else(|| self.server.connect(), Ok)?;
        self.places().idle.push(link);
        Ok(())
    }

    /// One call, which may be made twice: where the connection had idled and the other end had closed it since, as a
    /// server that was restarted has, the second is made on a new one.
    pub fn call(&self, command: &Cmd) -> Result<Value, OnlineError> {
        let (_place, idle) = self.enter()?;
        if let Some(mut link) = idle {
            match link.call(command) {
                Err(error) if error.is_connection_dropped() => self.places().idle.clear(),
                answer => return self.end(link, answer),
            }
        }
        let mut link = self.server.connect()?;
        let answer = link.call(command);
        self.end(link, answer)
    }

    fn end(&self, link: Link, answer: RedisResult<Value>) -> Result<Value, OnlineError> {
        // On a connection that failed, the next answer might be this one's.
        if answer.as_ref().err().is_none_or(is_answer) {
            self.places().idle.push(link);
        }
        answer.map_err(|error| self.server.error(error))
    }

    fn enter(&self) -> Result<(Place<'_>, Option<Link>), OnlineError> {
        let options = &self.server.options;
        let until = Instant::now() + options.answer_timeout;
        let mut places = self.places();
        while places.busy >= options.connections {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!(
                    "{}: all {} connections were in use for {} s",
                    self.server.place,
                    options.connections,
                    options.answer_timeout.as_secs_f64()
                );
                return Err(OnlineError { kind: ErrorKind::Unavailable, message });
            }
            let waited = self.freed.wait_timeout(places, left);
            places = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        places.busy += 1;
        let link = places.idle.pop();
        drop(places);
        Ok((Place(self), link))
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
