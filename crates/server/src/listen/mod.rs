//! Connections: taken by one acceptor, answered by threads with a runtime each, so that a decision stays on the thread
//! its connection lives on.

mod connection;
mod patience;
mod worker;

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use karat_project::spec::Server;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{AppState, observe, router};
use worker::Workers;

/// What is taken from clients, and how long they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// Threads that answer.
    pub threads: usize,
    /// Connections open at once; more wait until one ends.
    pub connections: usize,
    /// For a request's head, counted from the answer before.
    pub header_timeout: Duration,
    /// For an answer to be taken in.
    pub write_timeout: Duration,
    /// After the signal to stop, until no more connections are taken.
    pub drain_after: Duration,
    /// After that, until requests under way are cut off.
    pub drain_within: Duration,
}

impl From<&Server> for ListenOptions {
    fn from(server: &Server) -> ListenOptions {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        ListenOptions {
            threads: server.threads.map_or(cores, usize::from),
            connections: server.connections as usize,
            header_timeout: server.header_timeout.duration(),
            write_timeout: server.body_timeout.duration(),
            drain_after: server.drain_after.duration(),
            drain_within: server.drain_within.duration(),
        }
    }
}

/// A connection, and its place among those that may be open.
struct Taken {
    stream: TcpStream,
    place: OwnedSemaphorePermit,
}

/// Serves until `shutdown` resolves, then drains: `/health/ready` says no, and after a while no connection is taken any
/// more and requests under way are finished, within their time.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    options: ListenOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(options.connections.min(Semaphore::MAX_PERMITS)));
    let workers = Workers::start(&router(state.clone()), options)?;
    let upkeep = tokio::spawn(observe::upkeep(state.metrics.clone()));
    tokio::select! {
        () = accept(&listener, &places, &workers) => unreachable!("connections are accepted until told to stop"),
        () = async {
            shutdown.await;
            state.drain();
            tokio::time::sleep(options.drain_after).await;
        } => {}
    }
    drop(listener);
    upkeep.abort();
    workers.drain(options.drain_within).await;
    Ok(())
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>, workers: &Workers) {
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => workers.give(Taken { stream, place }),
            // Of one connection that ended before it began, or of a process out of files: those waiting stay waiting.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
