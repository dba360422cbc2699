//! Answers HTTP: the native API under `/v1`, health, metrics, the OpenAPI document and its pages.
//!
//! Invariant: no business rules; a handler extracts, calls and converts.

mod error;
mod health;
mod native;
mod observe;
mod router;

use std::future::Future;
use std::sync::Arc;

use karat_serving::Deployment;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

pub use observe::install_metrics;
pub use router::{openapi, router};

/// What handlers see.
#[derive(Debug, Clone)]
pub struct AppState {
    pub deployment: Arc<Deployment>,
    pub metrics: PrometheusHandle,
}

/// Serves until `shutdown` resolves; requests under way are finished first.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(state)).with_graceful_shutdown(shutdown).await
}
