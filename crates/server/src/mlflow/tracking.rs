use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karat_core::{Clock, Instant};
use karat_registry::Registry;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// What MLflow's clients read and write.
#[derive(Clone)]
pub struct Tracking(Arc<Inner>);

struct Inner {
    registry: Registry,
    /// The folder that `mlflow-artifacts:/` stands for.
    artifacts: PathBuf,
    clock: Arc<dyn Clock>,
    /// The process's own: threads that answer have others waiting.
    threads: Handle,
}

impl Tracking {
    /// Works on the threads of the runtime it is made in.
    pub fn new(registry: Registry, artifacts: PathBuf, clock: Arc<dyn Clock>) -> Tracking {
        Tracking(Arc::new(Inner { registry, artifacts, clock, threads: Handle::current() }))
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(super) fn artifacts(&self) -> &Path {
        &self.0.artifacts
    }

    pub(super) fn now(&self) -> Instant {
        self.0.clock.now()
    }

    pub(super) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.threads.spawn(work)
    }
}

impl fmt::Debug for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracking").field("artifacts", &self.0.artifacts).finish_non_exhaustive()
    }
}
