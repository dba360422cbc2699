//! Threads that answer, each with a runtime of its own: no task moves between cores, and the log's groups form of what
//! is ready on one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::converse;
use super::{ListenOptions, Taken};

pub(super) struct Workers {
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
}

struct Worker {
    /// Bounded by the number of connections that may be open.
    connections: UnboundedSender<Taken>,
    open: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Workers {
    pub(super) fn start(router: &Router, options: ListenOptions) -> std::io::Result<Workers> {
        let (stop, stopped) = watch::channel(false);
        let workers = (0..options.threads).map(|number| {
            let (connections, given) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let (router, stopped, counted) = (router.clone(), stopped.clone(), open.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("karat-http-{number}"));
            let thread = thread.spawn(move || runtime.block_on(work(given, router, options, stopped, counted)))?;
            Ok(Worker { connections, open, thread })
        });
        Ok(Workers { workers: workers.collect::<std::io::Result<_>>()?, stop })
    }

    /// To the worker with the fewest connections.
    pub(super) fn give(&self, taken: Taken) {
        let least = self.workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        let least = least.expect("there is at least one worker");
        least.open.fetch_add(1, Ordering::Relaxed);
        if least.connections.send(taken).is_err() {
            tracing::error!("a thread that answers has ended; a connection was dropped");
        }
    }

    /// Ends each connection after its answer; those that are not done in time are cut off.
    pub(super) async fn drain(self, within: Duration) {
        let Workers { workers, stop } = self;
        stop.send(true).ok();
        let threads: Vec<(Arc<AtomicUsize>, JoinHandle<()>)> =
            workers.into_iter().map(|worker| (worker.open, worker.thread)).collect();
        let begun = tokio::time::Instant::now();
        while threads.iter().any(|(_, thread)| !thread.is_finished()) {
            if begun.elapsed() > within {
                let open: usize = threads.iter().map(|(open, _)| open.load(Ordering::Relaxed)).sum();
                tracing::warn!(connections = open, "requests still under way after {} s are cut off", within.as_secs());
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Until told to stop; then until the last connection ends.
async fn work(
    mut given: UnboundedReceiver<Taken>,
    router: Router,
    options: ListenOptions,
    mut stopped: watch::Receiver<bool>,
    open: Arc<AtomicUsize>,
) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = conversations.join_next() => {}
            taken = given.recv() => {
                let Some(taken) = taken else { break };
                let (router, stopped, open) = (router.clone(), stopped.clone(), open.clone());
                conversations.spawn(async move {
                    converse(taken, router, options, stopped).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
            _ = stopped.changed() => break,
        }
    }
    // What was accepted before the end is answered too.
    while let Ok(taken) = given.try_recv() {
        conversations.spawn(converse(taken, router.clone(), options, stopped.clone()));
    }
    while conversations.join_next().await.is_some() {}
}
