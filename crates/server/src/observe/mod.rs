//! Around every request: its id, its time in OpenTelemetry's names, and a net under panics.

mod durations;
mod request_id;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::AppState;
use crate::error::Problem;
use durations::Route;
pub(crate) use request_id::RequestId;

/// OpenTelemetry's advice for `http.server.request.duration`, and finer below it, where decisions are.
const SECONDS: [f64; 18] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
    10.0,
];

/// How often what was recorded is folded into histograms, whether or not anyone asks for them.
const UPKEEP: Duration = Duration::from_secs(5);

/// Makes the process's metrics readable; call it once, before the first metric.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
}

/// Without this, what is recorded between two looks at `/metrics` would be kept one by one.
pub(crate) async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

pub async fn request(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::of(request.headers());
    let route = Route::new(request.method(), request.extensions().get::<MatchedPath>());
    request.extensions_mut().insert(id.clone());
    let active = durations::Active::begin();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    drop(active);
    let mut response = answered.unwrap_or_else(|panic| panicked(&id, panic.as_ref()));
    if let Some(failed) = response.extensions_mut().remove::<Failed>() {
        tracing::error!(request_id = id.as_str(), error = failed.0, "a request failed");
    }
    response.headers_mut().insert(request_id::HEADER, id.header());
    if state.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    route.record(response.status(), begun.elapsed());
    tracing::debug!(
        request_id = id.as_str(),
        method = route.method(),
        route = route.path(),
        status = response.status().as_u16(),
        micros = begun.elapsed().as_micros() as u64,
        "answered"
    );
    response
}

/// What went wrong inside, for the log: the answer hides it.
#[derive(Debug, Clone)]
pub(crate) struct Failed(pub String);

fn panicked(id: &RequestId, panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(request_id = id.as_str(), panic = text, "a defect of Karat's: please report it");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong here; the server's log says what")
        .into_response()
}

/// Counters and histograms in Prometheus' text form.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = OK, body = String, content_type = "text/plain")))]
pub async fn metrics_page(State(state): State<AppState>) -> Response {
    // Milliseconds of work, where decisions take microseconds.
    let page = tokio::task::spawn_blocking(move || state.metrics.render()).await.unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}
