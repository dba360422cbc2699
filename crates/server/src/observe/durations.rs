//! `http.server.request.duration` and `http.server.active_requests`, as OpenTelemetry names them and Prometheus writes
//! them. Handles are kept by thread: looking one up by its labels costs more than recording.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::MatchedPath;
use axum::http::{Method, StatusCode};
use metrics::{Gauge, Histogram};

const DURATION: &str = "http_server_request_duration_seconds";
const ACTIVE: &str = "http_server_active_requests";

/// A method and the route it matched.
#[derive(Debug, Clone)]
pub struct Route {
    method: &'static str,
    path: Option<MatchedPath>,
}

impl Route {
    /// Methods nobody knows are one: clients make them up.
    pub fn new(method: &Method, path: Option<&MatchedPath>) -> Route {
        let known = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
        let method = known.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER");
        Route { method, path: path.cloned() }
    }

    pub fn method(&self) -> &'static str {
        self.method
    }

    pub fn path(&self) -> &str {
        self.path.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    pub fn record(&self, status: StatusCode, taken: Duration) {
        let (method, path) = (self.method, self.path());
        HISTOGRAMS.with_borrow_mut(|known| {
            let matches = |one: &&Known| one.status == status && one.method == method && one.path == path;
            if let Some(one) = known.iter().find(matches) {
                return one.histogram.record(taken.as_secs_f64());
            }
            let histogram = metrics::histogram!(
                DURATION,
                "http_request_method" => method,
                "http_route" => path.to_owned(),
                "http_response_status_code" => status.as_u16().to_string()
            );
            histogram.record(taken.as_secs_f64());
            known.push(Known { method, path: path.to_owned(), status, histogram });
        });
    }
}

/// As many as there are routes, methods and statuses, all ours.
struct Known {
    method: &'static str,
    path: String,
    status: StatusCode,
    histogram: Histogram,
}

thread_local! {
    static HISTOGRAMS: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// A request that is being answered, counted until dropped.
pub struct Active(&'static Gauge);

impl Active {
    pub fn begin() -> Active {
        static GAUGE: OnceLock<Gauge> = OnceLock::new();
        let gauge = GAUGE.get_or_init(|| metrics::gauge!(ACTIVE));
        gauge.increment(1.0);
        Active(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
