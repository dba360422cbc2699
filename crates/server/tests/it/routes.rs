use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use karat_serving::Endpoint;
use serde_json::json;

use crate::app::App;

const PREDICT: &str = "/v1/endpoints/risk/predict";

fn request() -> String {
    json!({"key": 1, "as_of": "2021-10-01T00:00:00Z", "fields": {"income": 1200.5, "age": 40}}).to_string()
}

#[tokio::test]
async fn a_decision_over_http() {
    let app = App::new();
    let (status, answer) = app.post(PREDICT, request()).await;
    assert_eq!(status, StatusCode::OK);
    let record = app.inner.logged().pop().unwrap();
    assert_eq!(answer["prediction_id"], record.prediction_id.to_string());
    assert_eq!(answer["model"]["name"], "default_risk");
    assert_eq!(answer["model"]["version"], "3");
    assert_eq!(answer["as_of"], "2021-10-01T00:00:00Z");
    assert_eq!(answer["features"]["late_last_6"], 2);
    assert_eq!(answer["score"].as_f64().unwrap().to_bits(), record.score.to_bits());
    assert_eq!(answer["reasons"].as_array().unwrap().len(), 4);
    assert_eq!(answer["qa_failures"], json!([]));
}

#[tokio::test]
async fn several_keys_answer_as_a_list() {
    let app = App::new();
    let body = json!({"keys": [1, 2], "fields": {"income": 1, "age": 40}}).to_string();
    let (status, answer) = app.post(PREDICT, body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["predictions"].as_array().unwrap().len(), 2);
    let one = json!({"keys": [1], "fields": {"income": 1, "age": 40}}).to_string();
    assert_eq!(app.post(PREDICT, one).await.1["predictions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn wrong_requests_get_the_status_that_names_their_kind() {
    let app = App::new();
    let cases = [
        (PREDICT, "{".to_owned(), StatusCode::BAD_REQUEST, "malformed"),
        (PREDICT, String::new(), StatusCode::BAD_REQUEST, "malformed"),
        (PREDICT, "\u{0}".to_owned(), StatusCode::BAD_REQUEST, "malformed"),
        (PREDICT, "[".repeat(100_000), StatusCode::BAD_REQUEST, "malformed"),
        (PREDICT, json!({"key": "x"}).to_string(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/v1/endpoints/rsk/predict", request(), StatusCode::NOT_FOUND, "not_found"),
        (PREDICT, " ".repeat(5 << 20), StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        ("/nowhere", request(), StatusCode::NOT_FOUND, "not_found"),
        ("/version", request(), StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
    ];
    for (uri, body, status, code) in cases {
        let shown: String = body.chars().take(20).collect();
        let (found, kind, problem) = app.ask("POST", uri, body).await;
        assert_eq!(found, status, "{uri} {shown}");
        assert_eq!(kind, "application/problem+json", "{uri} {shown}");
        let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status.as_u16());
    }
    let (_, problem) = app.post(PREDICT, json!({"key": "x"}).to_string()).await;
    assert_eq!(problem["field"], "key");
    let (_, problem) = app.post("/v1/endpoints/rsk/predict", request()).await;
    assert_eq!(problem["detail"], "no endpoint is called `rsk`: did you mean `risk`?");
    assert!(app.inner.logged().is_empty());
}

#[tokio::test]
async fn features_of_a_key() {
    let app = App::new();
    let (status, answer) = app.get("/v1/features/payment_history/1?as_of=2021-08-11T00:00:00Z").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["features"], json!({"share_late": 0.5, "late_last_6": 1, "job": "a", "own_car": true}));
    assert_eq!(answer["no_history"], false);
    assert_eq!(answer["newest_event"], "2021-08-10T00:00:00Z");
    assert_eq!(answer["commit"], 1);
    let cases = [
        ("/v1/features/nothing/1", StatusCode::NOT_FOUND),
        ("/v1/features/payment_history/abc", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/features/payment_history/1?as_of=2021-08-11", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/features/payment_history/1?asof=x", StatusCode::BAD_REQUEST),
        ("/v1/features/payment_history/%FF", StatusCode::BAD_REQUEST),
    ];
    for (uri, status) in cases {
        assert_eq!(app.get(uri).await.0, status, "{uri}");
    }
}

#[tokio::test]
async fn health_version_metrics_and_pages() {
    let app = App::new();
    assert_eq!(app.get("/health/live").await, (StatusCode::OK, json!({"status": "ok"})));
    assert_eq!(app.get("/health/ready").await.0, StatusCode::OK);
    let (_, version) = app.get("/version").await;
    assert_eq!((&version["project"], &version["release"]), (&json!("test"), &json!(7)));
    let (_, endpoints) = app.get("/v1/endpoints").await;
    assert_eq!(endpoints["endpoints"][0]["version"], "3");

    app.post(PREDICT, request()).await;
    let (status, kind, metrics) = app.ask("GET", "/metrics", Body::empty()).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("http_server_request_duration_seconds_bucket{http_request_method=\"POST\""), "{metrics}");
    assert!(metrics.contains("karat_predictions_total"), "{metrics}");

    let (status, kind, page) = app.ask("GET", "/docs/", Body::empty()).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/html"));
    assert!(String::from_utf8(page).unwrap().contains("Swagger UI"));

    app.deploy(Arc::new(Endpoint::new(app.inner.parts())));
    assert_eq!(app.get("/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, problem) = app.post(PREDICT, request()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(problem["detail"].as_str().unwrap().contains("karat models approve"));
}
