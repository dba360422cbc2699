//! Clients that go away while their request is worked on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use karat_project::spec::{self, Limits};
use karat_serving::EndpointParts;
use karat_test_support::serving_app::{self, name};
use tokio::io::AsyncWriteExt;

use crate::app::App;
use crate::gated::{Gated, Place};
use crate::running::{impatient, many, one, request, start};

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_keeps_its_turn_until_its_work_ends_and_that_is_soon() {
    let app = App::limited(Limits { concurrency: 1, queue: 0, ..Limits::default() });
    let online = Arc::new(Gated::new(app.inner.online.clone(), Place::Here));
    app.deploy(app.endpoint_after(EndpointParts { online: online.clone(), ..app.inner.parts() }));
    let running = start(&app, impatient()).await;
    let mut gone = running.connect().await;
    gone.write_all(request(&many(100)).as_bytes()).await.unwrap();
    online.wait_for_a_read().await;
    drop(gone);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = running.post(&one()).await;
    assert_eq!(refused.status, 429, "the work goes on, and has the only turn: {}", refused.body);
    online.open();
    let begun = Instant::now();
    while running.post(&one()).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the turn does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(online.reads(), 2, "of a hundred that nobody waits for one was decided");
    assert_eq!(app.inner.logged().len(), 1, "what nobody waits for is no prediction");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_is_counted_whether_or_not_the_client_waits_for_it() {
    let limits = Limits::default();
    let log = spec::Log { survives: spec::Survives::PowerLoss };
    let spec = spec::Endpoint { limits, log, name: name("counted"), ..serving_app::endpoint() };
    let app = App::limited(limits);
    app.deploy(app.endpoint_after(EndpointParts { spec, ..app.inner.parts() }));
    let running = start(&app, impatient()).await;
    let counted = async || -> u64 {
        let (_, _, page) = app.ask("GET", "/metrics", axum::body::Body::empty()).await;
        let page = String::from_utf8(page).unwrap();
        let lines = page.lines().filter(|line| line.starts_with("karat_predictions_total{endpoint=\"counted\""));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    for _ in 0..50 {
        let mut stream = running.connect().await;
        stream.write_all(request(&one()).as_bytes()).await.unwrap();
        // Some are gone before, some amid, and some after their record is written.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..2000))).await;
        drop(stream);
    }
    let begun = Instant::now();
    while counted().await != app.inner.logged().len() as u64 {
        assert!(begun.elapsed() < Duration::from_secs(5), "{} of {}", counted().await, app.inner.logged().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!app.inner.logged().is_empty());
}
