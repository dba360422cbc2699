//! The whole router over one endpoint, asked without a network.

use std::sync::{Arc, OnceLock};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use futures::future::BoxFuture;
use karat_core::{Digest, ErrorKind, FixedClock, OnlineStore};
use karat_features::CompiledView;
use karat_jobs::push::Pushes;
use karat_jobs::refresh::Refreshes;
use karat_project::spec::{self, Server};
use karat_report::catalogue::{FeatureEntry, Flag, Freshness, StateEntry, Use, ViewEntry};
use karat_report::lineage::Lineage;
use karat_server::{
    AppState, Catalogue, CatalogueError, LoggedRun, Parts, RegisteredRun, Registrar, RegistrarError, install_metrics,
    router,
};
use karat_serving::{Deployment, Endpoint, EndpointParts, FeatureRef, ReadView, Served, ServedView};
use karat_test_support::serving_app::{self, NOW, at, name};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value as Json;
use tower::ServiceExt;

pub struct App {
    pub inner: serving_app::App,
    deployment: Arc<Deployment>,
    pushes: Arc<Pushes>,
    view: Arc<ServedView>,
}

impl App {
    pub fn new() -> App {
        App::limited(spec::Limits::default())
    }

    pub fn limited(limits: spec::Limits) -> App {
        let spec = spec::Endpoint { limits, ..serving_app::endpoint() };
        App::of(serving_app::App::serving(spec, serving_app::serving_model(Vec::new())))
    }

    pub fn of(inner: serving_app::App) -> App {
        let deployment = Deployment::new(inner.online.clone(), Arc::new(FixedClock(at(NOW))));
        let definition = inner.model.views()[0].view.definition().clone();
        let digest = definition.digest();
        let view = ServedView {
            name: name("payment_history"),
            read: ReadView::new(CompiledView::compile(definition).unwrap(), digest),
        };
        let app = App { inner, deployment: Arc::new(deployment), pushes: Arc::default(), view: Arc::new(view) };
        app.deploy(app.inner.endpoint.clone());
        app
    }

    /// The same over another online store.
    pub fn over(self, online: Arc<dyn OnlineStore>) -> App {
        let deployment = Arc::new(Deployment::new(online.clone(), Arc::new(FixedClock(at(NOW)))));
        let endpoint = self.endpoint_after(EndpointParts { online, ..self.inner.parts() });
        let app = App { deployment, ..self };
        app.deploy(endpoint);
        app
    }

    /// What is served from now on, as after a release or an alias move.
    pub fn deploy(&self, endpoint: Arc<Endpoint>) {
        self.deployment.replace(Served {
            project: "test".to_owned(),
            release: 7,
            endpoints: [(name("risk"), endpoint)].into_iter().collect(),
            services: [(
                name("risk_v1"),
                ["share_late", "late_last_6"]
                    .map(|feature| FeatureRef { view: name("payment_history"), feature: feature.to_owned() })
                    .to_vec(),
            )]
            .into_iter()
            .collect(),
            views: [(name("payment_history"), self.view.clone())].into_iter().collect(),
        });
    }

    /// The endpoint once more, as a deployment makes it of the one that answers.
    pub fn endpoint_after(&self, parts: EndpointParts) -> Arc<Endpoint> {
        let endpoint = Endpoint::after(&self.deployment.endpoint("risk").unwrap(), parts);
        endpoint.serve(self.inner.model.clone()).unwrap();
        Arc::new(endpoint)
    }

    pub fn state(&self, server: Server) -> AppState {
        let parts = Parts {
            deployment: self.deployment.clone(),
            catalogue: Arc::new(Shelf),
            pushes: self.pushes.clone(),
            refreshes: Refreshes::channel().0,
            registrar: Arc::new(Nobody),
            tracking: None,
        };
        AppState::new(parts, metrics(), &server)
    }

    /// Status, content type and body.
    pub async fn ask(&self, method: &str, uri: &str, body: impl Into<Body>) -> (StatusCode, String, Vec<u8>) {
        self.send(method, uri, [], body).await
    }

    pub async fn send<'h>(
        &self,
        method: &str,
        uri: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        body: impl Into<Body>,
    ) -> (StatusCode, String, Vec<u8>) {
        let request = Request::builder().method(method).uri(uri);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(body.into()).unwrap();
        let response = router(self.state(Server::default())).oneshot(request).await.unwrap();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        assert!(response.headers().contains_key("x-request-id"));
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        (status, kind.unwrap_or_default(), body)
    }

    pub async fn get(&self, uri: &str) -> (StatusCode, Json) {
        let (status, _, body) = self.ask("GET", uri, Body::empty()).await;
        (status, serde_json::from_slice(&body).unwrap_or(Json::Null))
    }

    pub async fn post(&self, uri: &str, body: impl Into<Body>) -> (StatusCode, Json) {
        let (status, _, body) = self.ask("POST", uri, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Json::Null))
    }
}

/// Who measures no runs.
#[derive(Debug)]
struct Nobody;

impl Registrar for Nobody {
    fn register(&self, _: LoggedRun) -> BoxFuture<'static, Result<RegisteredRun, RegistrarError>> {
        Box::pin(async { Err(RegistrarError::Busy) })
    }
}

/// A catalogue of one view.
#[derive(Debug)]
pub struct Shelf;

pub fn entry() -> ViewEntry {
    let used = Use {
        model: name("default_risk"),
        version: Some(3),
        aliases: vec!["champion".to_owned()],
        current: true,
        endpoints: vec![name("risk")],
    };
    let feature = FeatureEntry {
        data_type: "float".to_owned(),
        definition: serde_json::json!({"share": "late"}),
        words: None,
        description: None,
        checks: Vec::new(),
        used_by: vec![used.clone()],
        services: vec![name("screening")],
        statistics: None,
        flags: Vec::new(),
    };
    ViewEntry {
        view: name("payment_history"),
        description: None,
        owner: Some("risk".to_owned()),
        tags: [("level".to_owned(), "gold".to_owned())].into_iter().collect(),
        entities: vec![name("client")],
        keys: vec!["client_id".to_owned()],
        source: name("payments"),
        definition: Digest::of("payment_history"),
        ttl: None,
        stale_after: Some("70 days".parse().unwrap()),
        online_horizon: None,
        state: Some(StateEntry { commit: 1, at: at(NOW), keys: 2, records: 5 }),
        newest_commit: Some(2),
        freshness: Freshness::default(),
        used_by: vec![used],
        services: vec![name("screening")],
        flags: vec![Flag { flag: "behind", message: "materialize it".to_owned() }],
        features: [("share_late".to_owned(), feature)].into_iter().collect(),
    }
}

impl Catalogue for Shelf {
    fn views(&self) -> BoxFuture<'_, Result<Vec<ViewEntry>, CatalogueError>> {
        Box::pin(async { Ok(vec![entry()]) })
    }

    fn view<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ViewEntry, CatalogueError>> {
        let message = format!("there is no feature view `{name}` in this project");
        let missing = CatalogueError { kind: ErrorKind::NotFound, message };
        Box::pin(async move { if name == "payment_history" { Ok(entry()) } else { Err(missing) } })
    }

    fn lineage(&self) -> BoxFuture<'_, Result<Lineage, CatalogueError>> {
        let failed = CatalogueError { kind: ErrorKind::Corrupt, message: "/secret/place is damaged".to_owned() };
        Box::pin(async move { Err(failed) })
    }
}

/// One recorder a process.
fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| install_metrics().unwrap()).clone()
}
