use std::fmt;
use std::future::Future;
use std::sync::Arc;

use karat_core::{Clock, Instant};
use karat_history::files::FileStore;
use karat_jobs::webhooks::Webhooks;
use karat_registry::Registry;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::messages::Messages;

/// What MLflow's clients read and write.
#[derive(Clone)]
pub struct Tracking {
    shared: Arc<Shared>,
    /// Who calls, as far as known.
    caller: Arc<str>,
}

struct Shared {
    registry: Registry,
    /// What `mlflow-artifacts:/` stands for.
    artifacts: Arc<dyn FileStore>,
    /// What [`karat_registry::OWN_FILES`] stands for.
    own: Arc<dyn FileStore>,
    messages: Messages,
    webhooks: Webhooks,
    clock: Arc<dyn Clock>,
    /// The process's own: threads that answer have others waiting.
    threads: Handle,
}

impl Tracking {
    /// Works on the threads of the runtime it is made in.
    /// `artifacts`: what clients upload; `own`: what Karat's runs and models left, which clients read.
    pub fn new(
        registry: Registry,
        artifacts: Arc<dyn FileStore>,
        own: Arc<dyn FileStore>,
        webhooks: Webhooks,
        clock: Arc<dyn Clock>,
    ) -> Tracking {
        let shared =
            Shared { registry, artifacts, own, messages: Messages::new(), webhooks, clock, threads: Handle::current() };
        Tracking { shared: Arc::new(shared), caller: "mlflow".into() }
    }

    pub(super) fn called_by(&self, caller: String) -> Tracking {
        Tracking { shared: self.shared.clone(), caller: caller.into() }
    }

    /// Whom the audit log names.
    pub(super) fn caller(&self) -> &str {
        &self.caller
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(super) fn messages(&self) -> &Messages {
        &self.shared.messages
    }

    pub(super) fn artifacts(&self) -> &Arc<dyn FileStore> {
        &self.shared.artifacts
    }

    pub(super) fn own(&self) -> &Arc<dyn FileStore> {
        &self.shared.own
    }

    pub(super) fn webhooks(&self) -> &Webhooks {
        &self.shared.webhooks
    }

    pub(crate) fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    /// On a thread that may wait for the disk: there a statement costs no handing over of what else the thread has to do.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let threads = self.shared.threads.clone();
        self.shared.threads.spawn_blocking(move || threads.block_on(work))
    }
}

impl fmt::Debug for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracking").field("artifacts", &self.shared.artifacts).finish_non_exhaustive()
    }
}
