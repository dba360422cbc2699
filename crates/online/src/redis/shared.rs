//! Connections for reads that are awaited, one a runtime: each read is sent behind those before it without waiting for their
//! answers, and what is ready together goes out together. A runtime of one thread has no other thread wake it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ErrorKind, RedisError, RedisResult, Value};
use karat_core::OnlineError;
use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;

use super::link::{Server, has_forgotten, is_answer, loading};
use super::scripts::Script;

/// A connection, made by the first who needs it while others wait for him: with him they have it, or the reason why there is none.
type Lane = OnceCell<Result<MultiplexedConnection, OnlineError>>;

pub(super) struct Shared {
    server: Arc<Server>,
    lanes: Mutex<HashMap<Id, Arc<Lane>>>,
}

impl Shared {
    pub fn new(server: Arc<Server>) -> Shared {
        Shared { server, lanes: Mutex::default() }
    }

    /// One read, which may be made twice, as by [`Pool::call`](super::pool::Pool::call).
    pub async fn call(&self, command: &Cmd) -> Result<Value, OnlineError> {
        let answer = match self.try_call(command).await? {
            Err(error) if is_dropped(&error) => self.try_call(command).await?,
            answer => answer,
        };
        answer.map_err(|error| self.server.error(error))
    }

    /// A connection that failed is nobody's any more: what went wrong with it, as an end that fell silent, goes on.
    async fn try_call(&self, command: &Cmd) -> Result<RedisResult<Value>, OnlineError> {
        let lane = self.lane();
        let answer = match self.connection(&lane).await {
            Ok(connection) => call(connection.clone(), command).await,
            Err(error) => {
                self.leave(&lane);
                return Err(error.clone());
            }
        };
        if answer.as_ref().err().is_some_and(|error| !is_answer(error)) {
            self.leave(&lane);
        }
        Ok(answer)
    }

    async fn connection<'l>(&self, lane: &'l Arc<Lane>) -> Result<&'l MultiplexedConnection, &'l OnlineError> {
        let connect = || async {
            let connection = self.server.connect_shared().await?;
            tokio::spawn(keep_a_timer(Arc::downgrade(lane), self.server.options.answer_timeout / 2));
            Ok(connection)
        };
        lane.get_or_init(connect).await.as_ref()
    }

    fn lane(&self) -> Arc<Lane> {
        self.lanes().entry(Handle::current().id()).or_default().clone()
    }

    /// Whoever comes next makes a connection of his own, unless one was made already.
    fn leave(&self, lane: &Arc<Lane>) {
        self.lanes().retain(|_, other| !Arc::ptr_eq(other, lane));
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Id, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether the other end is gone, amid an answer, too.
fn is_dropped(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.kind() == ErrorKind::Parse
}

/// Every call sets a timer, for an answer that does not come. A runtime is woken by a timer that is sooner than all it has, at the
/// cost of a system call or two: with this one there is always a sooner one, as long as the connection lives.
async fn keep_a_timer(lane: Weak<Lane>, sooner: Duration) {
    while lane.strong_count() > 0 {
        tokio::time::sleep(sooner).await;
    }
}

/// One round trip. A script that the server was told to forget is loaded again.
async fn call(mut connection: MultiplexedConnection, command: &Cmd) -> RedisResult<Value> {
    let answer = connection.send_packed_command(command).await.and_then(Value::extract_error);
    if has_forgotten(&answer) {
        connection.send_packed_command(&loading(Script::Read)).await?.extract_error()?;
        return connection.send_packed_command(command).await?.extract_error();
    }
    answer
}
