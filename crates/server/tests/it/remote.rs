//! An online store on the other side of a network: whoever waits for it leaves the thread to others.

use std::sync::Arc;
use std::time::Duration;

use karat_test_support::serving_app::NOW;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::app::App;
use crate::gated::{Gated, Place};
use crate::running::{answer, impatient, one, request, start};

const SOON: Duration = Duration::from_secs(5);

/// A server with one thread, which is asked this and something else meanwhile.
async fn asked(waiting_request: &str) -> (App, String) {
    let app = App::new();
    let online = Arc::new(Gated::new(app.inner.online.clone(), Place::Elsewhere));
    let app = app.over(online.clone());
    let running = start(&app, impatient()).await;
    let mut waiting = running.connect().await;
    waiting.write_all(waiting_request.as_bytes()).await.unwrap();
    online.wait_for_a_read().await;
    let refused = timeout(SOON, running.post("{}")).await.expect("the only thread is not the one that waits");
    assert_eq!(refused.status, 422, "{}", refused.body);
    online.open();
    let answered = timeout(SOON, answer(&mut waiting)).await.unwrap().unwrap();
    assert_eq!(answered.status, 200, "{}", answered.body);
    (app, answered.body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_whose_decision_waits_for_the_network_answers_others() {
    let (app, _) = asked(&request(&one())).await;
    assert_eq!(app.inner.logged().len(), 1);
}

/// 256 at a time, whether they are fetched or, of a request that takes its time, read on a thread of its own.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_request_are_read_together() {
    let app = App::new();
    let online = Arc::new(Gated::new(app.inner.online.clone(), Place::Elsewhere));
    online.open();
    let running = start(&app.over(online.clone()), impatient()).await;
    for (keys, reads) in [(1, 1), (3, 1), (300, 2)] {
        let before = online.reads();
        let body = json!({"keys": vec![1; keys], "fields": {"income": 1200.5, "age": 40}});
        let answered = running.post(&body.to_string()).await;
        assert_eq!(answered.status, 200, "{}", answered.body);
        assert_eq!(answered.body["predictions"].as_array().unwrap().len(), keys);
        assert_eq!(online.reads() - before, reads, "{keys} keys");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_whose_features_wait_for_the_network_answers_others() {
    let path = format!("/v1/features/payment_history/1?as_of={NOW}");
    let (_, features) = asked(&format!("GET {path} HTTP/1.1\r\nhost: karat\r\n\r\n")).await;
    assert!(features.contains("payment_history"), "{features}");
}
