//! The whole router over one endpoint, asked without a network.

use std::sync::{Arc, OnceLock};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use karat_core::{Column, DataType, FixedClock, OnlineStore};
use karat_features::CompiledView;
use karat_project::spec::{self, Server};
use karat_server::{AppState, install_metrics, router};
use karat_serving::{Deployment, Endpoint, EndpointParts, FeatureRef, ReadView, Served, ServedView};
use karat_test_support::serving_app::{self, NOW, at, name};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value as Json;
use tower::ServiceExt;

pub struct App {
    pub inner: serving_app::App,
    deployment: Arc<Deployment>,
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
            key: Column::new("client_id", DataType::Int),
            read: ReadView::new(CompiledView::compile(definition).unwrap(), digest),
        };
        let app = App { inner, deployment: Arc::new(deployment), view: Arc::new(view) };
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
        AppState::new(self.deployment.clone(), metrics(), &server)
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

/// One recorder a process.
fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| install_metrics().unwrap()).clone()
}
