//! What an endpoint does beside deciding: how durable its records are, work that nobody waits for, one endpoint after
//! another, views of one moment.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use karat_project::spec::{self, Limits, Survives};
use karat_serving::{Endpoint, EndpointParts, ServingError};
use serde_json::json;

use karat_test_support::serving_app::{App, endpoint, serving_model};

fn body() -> Vec<u8> {
    json!({"key": 1, "fields": {"income": 1200.5, "age": 40}}).to_string().into_bytes()
}

fn surviving(survives: Survives) -> App {
    App::serving(spec::Endpoint { log: spec::Log { survives }, ..endpoint() }, serving_model(Vec::new()))
}

/// Polls an answer's way into the log once. Who waits for a disk has the log's own thread do it; else the task writes
/// itself, once those that are ready had their turn.
fn is_written_by_another_thread(app: &App) -> bool {
    let turn = futures::executor::block_on(app.endpoint.enter()).unwrap();
    let decided = app.endpoint.decide(app.endpoint.read(&body()).unwrap(), turn.until()).unwrap();
    let records = app.endpoint.records(&decided).unwrap();
    let mut logging = pin!(app.endpoint.log(&records));
    assert!(matches!(logging.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    let begun = Instant::now();
    let limit = Duration::from_millis(if app.endpoint.spec().log.survives == Survives::Crash { 200 } else { 10_000 });
    while app.logged().is_empty() && begun.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(5));
    }
    let written = !app.logged().is_empty();
    futures::executor::block_on(logging).unwrap();
    assert_eq!(app.logged().len(), 1);
    written
}

#[test]
fn records_are_as_durable_as_their_endpoint_says() {
    assert!(is_written_by_another_thread(&surviving(Survives::PowerLoss)));
    assert!(!is_written_by_another_thread(&surviving(Survives::Crash)));
}

#[test]
fn what_a_release_says_of_an_endpoint_holds_from_then_on() {
    let mut app = surviving(Survives::Crash);
    let spec = spec::Endpoint { log: spec::Log { survives: Survives::PowerLoss }, ..endpoint() };
    let after = Endpoint::after(&app.endpoint, EndpointParts { spec, ..app.parts() });
    after.serve(app.model.clone()).unwrap();
    app.endpoint = Arc::new(after);
    assert!(is_written_by_another_thread(&app));
}

#[test]
fn work_that_nobody_waits_for_ends_and_is_not_logged() {
    let app = App::new();
    let turn = futures::executor::block_on(app.endpoint.enter()).unwrap();
    let waiting = turn.until().waiting();
    app.endpoint.settle(app.endpoint.read(&body()).unwrap(), turn.until(), "").unwrap();
    drop(waiting);
    let error = app.endpoint.settle(app.endpoint.read(&body()).unwrap(), turn.until(), "").unwrap_err();
    assert!(matches!(error, ServingError::Abandoned { decided: 0, asked: 1 }), "{error}");
    assert_eq!(app.logged().len(), 1);
}

#[test]
fn requests_under_way_count_where_a_deployment_changes_nothing_about_them() {
    let limits = Limits { concurrency: 1, queue: 0, ..Limits::default() };
    let app = App::serving(spec::Endpoint { limits, ..endpoint() }, serving_model(Vec::new()));
    let busy = |endpoint: &Endpoint| futures::executor::block_on(endpoint.enter()).is_err();
    let turn = futures::executor::block_on(app.endpoint.enter()).unwrap();
    let after = Endpoint::after(&app.endpoint, app.parts());
    assert!(busy(&after), "the turn is taken");
    let other = spec::Endpoint { limits: Limits { queue: 1, ..limits }, ..endpoint() };
    assert!(!busy(&Endpoint::after(&app.endpoint, EndpointParts { spec: other, ..app.parts() })));
    drop(turn);
    assert!(!busy(&after));
}

#[test]
fn before_the_first_decision_one_is_thought_to_be_quick_and_many_are_not() {
    let app = App::new();
    let asked = |keys: usize| {
        let body = json!({"keys": vec![1; keys], "fields": {"income": 1200.5, "age": 40}}).to_string();
        app.endpoint.usual_time(&app.endpoint.read(body.as_bytes()).unwrap())
    };
    assert!(asked(1) > Duration::ZERO && asked(1) < Duration::from_micros(100), "{:?}", asked(1));
    assert!(asked(100) > Duration::from_millis(1), "{:?}", asked(100));
    app.endpoint.predict(&body()).unwrap();
    let learned = app.endpoint.usual_time(&app.endpoint.read(&body()).unwrap());
    assert_eq!(Endpoint::after(&app.endpoint, app.parts()).spec(), app.endpoint.spec());
    let after = Endpoint::after(&app.endpoint, app.parts());
    after.serve(app.model.clone()).unwrap();
    assert_eq!(after.usual_time(&after.read(&body()).unwrap()), learned);
}

#[test]
fn an_endpoint_without_its_version_says_why() {
    let app = App::new();
    app.endpoint.check().unwrap();
    app.endpoint.set_failure("trees.txt is damaged".to_owned());
    let error = app.endpoint.predict(&body()).unwrap_err();
    assert!(matches!(error, ServingError::NotLoaded { .. }), "{error}");
    assert!(app.endpoint.check().unwrap_err().to_string().contains("trees.txt is damaged"));
    app.endpoint.serve(app.model.clone()).unwrap();
    app.endpoint.check().unwrap();
}
