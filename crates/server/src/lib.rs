//! Answers HTTP: the native API under `/v1`, health, metrics, the OpenAPI document and its pages.
//!
//! Invariant: no business rules; a handler extracts, calls and converts.

mod body;
mod error;
mod health;
mod listen;
mod native;
mod observe;
mod router;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use karat_project::spec::Server;
use karat_serving::Deployment;
use metrics_exporter_prometheus::PrometheusHandle;

pub use body::BodyLimits;
pub use listen::{ListenOptions, serve};
pub use observe::install_metrics;
pub use router::{openapi, router};

/// What handlers see.
#[derive(Debug, Clone)]
pub struct AppState {
    pub deployment: Arc<Deployment>,
    pub metrics: PrometheusHandle,
    pub body: BodyLimits,
    draining: Arc<AtomicBool>,
}

impl AppState {
    pub fn new(deployment: Arc<Deployment>, metrics: PrometheusHandle, server: &Server) -> AppState {
        AppState { deployment, metrics, body: BodyLimits::from(server), draining: Arc::default() }
    }

    /// From now on no answer promises another on its connection, and `/health/ready` says no.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
