//! Answers HTTP: the native API under `/v1`, what Feast's and MLflow's clients ask for, health, metrics, the OpenAPI document and its pages.
//!
//! Invariant: no business rules; a handler extracts, calls and converts.

mod body;
mod catalogue;
mod error;
mod feast;
mod health;
mod listen;
mod mlflow;
mod native;
mod observe;
mod people;
mod refusals;
mod registrar;
mod router;
mod unrepeated;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use karat_jobs::push::Pushes;
use karat_jobs::refresh::Refreshes;
use karat_project::spec::Server;
use karat_serving::Deployment;
use metrics_exporter_prometheus::PrometheusHandle;
use people::People;

pub use body::BodyLimits;
pub use catalogue::{Catalogue, CatalogueError};
pub use listen::{ListenOptions, serve};
pub use mlflow::Tracking;
pub use observe::install_metrics;
pub use registrar::{LoggedRun, RegisteredRun, Registrar, RegistrarError};
pub use router::{openapi, router};

/// What handlers see. Cloned for every request, so it is one reference.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

/// What answers.
#[derive(Debug, Clone)]
pub struct Parts {
    pub deployment: Arc<Deployment>,
    pub catalogue: Arc<dyn Catalogue>,
    pub pushes: Arc<Pushes>,
    pub refreshes: Arc<Refreshes>,
    pub registrar: Arc<dyn Registrar>,
    /// Where experiments and runs are kept; a server without answers MLflow's clients that it has none.
    pub tracking: Option<Tracking>,
}

#[derive(Debug)]
pub struct Shared {
    pub deployment: Arc<Deployment>,
    pub catalogue: Arc<dyn Catalogue>,
    pub pushes: Arc<Pushes>,
    pub refreshes: Arc<Refreshes>,
    pub registrar: Arc<dyn Registrar>,
    pub tracking: Option<Tracking>,
    pub metrics: PrometheusHandle,
    pub body: BodyLimits,
    pub people: People,
    draining: AtomicBool,
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl AppState {
    pub fn new(parts: Parts, metrics: PrometheusHandle, server: &Server) -> AppState {
        let Parts { deployment, catalogue, pushes, refreshes, registrar, tracking } = parts;
        let shared = Shared {
            deployment,
            catalogue,
            pushes,
            refreshes,
            registrar,
            tracking,
            metrics,
            body: BodyLimits::from(server),
            people: People::from(server),
            draining: AtomicBool::new(false),
        };
        AppState(Arc::new(shared))
    }

    /// From now on no answer promises another on its connection, and `/health/ready` says no.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
