//! Over a network: more requests than fit, clients that dawdle, an end while requests are under way.

use std::time::{Duration, Instant};

use karat_project::spec::{Limits, Server};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::app::App;
use crate::running::{PREDICT, Running, answer, impatient, many, milliseconds, one, request, start};

#[tokio::test(flavor = "multi_thread")]
async fn beyond_capacity_the_answer_is_429_with_a_time_to_try_again() {
    let limits = Limits { concurrency: 1, queue: 1, deadline: milliseconds(1_500), ..Limits::default() };
    let app = App::limited(limits);
    let running = start(&app, impatient()).await;
    assert_eq!(running.post(&one()).await.status, 200);
    let turn = app.inner.endpoint.enter().await.unwrap();
    // One waits until its deadline, one more than fit is refused at once.
    let (begun, body) = (Instant::now(), one());
    let (waiting, refused) = tokio::join!(running.post(&body), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let refused = running.post(&one()).await;
        assert!(begun.elapsed() < Duration::from_millis(1_450), "{:?}", begun.elapsed());
        refused
    });
    for (answer, words) in [(&waiting, "no turn came within 1500 milliseconds"), (&refused, "2 requests are before")] {
        assert_eq!((answer.status, &answer.body["code"]), (429, &json!("busy")), "{}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().starts_with(words), "{}", answer.body);
        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    }
    drop(turn);
    assert_eq!(running.post(&one()).await.status, 200);
    assert_eq!(app.inner.logged().len(), 2, "what is refused is no prediction");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_dawdle_are_cut_off() {
    let app = App::new();
    let running = start(&app, impatient()).await;
    let begun = Instant::now();
    // A head that never ends; a connection on which nothing comes; a body that stops.
    let mut head = running.connect().await;
    head.write_all(b"POST /v1 HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut nothing = running.connect().await;
    let mut body = running.connect().await;
    let whole = request(&one());
    body.write_all(&whole.as_bytes()[..whole.len() - 5]).await.unwrap();
    assert!(answer(&mut head).await.is_none_or(|answer| answer.status == 408));
    assert!(answer(&mut nothing).await.is_none_or(|answer| answer.status == 408));
    let late = answer(&mut body).await.unwrap();
    assert_eq!((late.status, &late.body["code"]), (408, &json!("too_slow")), "{}", late.body);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(running.post(&one()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_whether_or_not_their_length_is_told() {
    let app = App::new();
    let running = start(&app, Server { body: "1 KiB".parse().unwrap(), ..impatient() }).await;
    let told = running.post(&"x".repeat(2000)).await;
    let mut stream = running.connect().await;
    let head = format!("POST {PREDICT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(format!("7d0\r\n{}\r\n", "x".repeat(2000)).as_bytes()).await.unwrap();
    let untold = answer(&mut stream).await.unwrap();
    for answer in [told, untold] {
        assert_eq!(answer.status, 413);
        assert_eq!(answer.body["detail"], "the body is over 1 KiB (`server.body`): send fewer at once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_are_open_than_may_be() {
    let app = App::new();
    let server = Server { connections: 2, header_timeout: milliseconds(10_000), ..impatient() };
    let running = start(&app, server).await;
    let (mut first, mut second) = (running.connect().await, running.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(request(&one()).as_bytes()).await.unwrap();
        assert_eq!(answer(stream).await.unwrap().status, 200);
    }
    let mut third = running.connect().await;
    third.write_all(request(&one()).as_bytes()).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(200), answer(&mut third)).await;
    assert!(waiting.is_err(), "it waits for a place");
    drop(first);
    assert_eq!(answer(&mut third).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_says_so_finishes_what_runs_and_ends() {
    let app = App::new();
    let server = Server {
        drain_after: milliseconds(300),
        body_timeout: milliseconds(5_000),
        header_timeout: milliseconds(5_000),
        ..impatient()
    };
    let running = start(&app, server).await;
    let mut half = running.connect().await;
    let whole = request(&one());
    half.write_all(&whole.as_bytes()[..whole.len() - 5]).await.unwrap();
    let mut idle = running.connect().await;
    idle.write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut idle).await.unwrap().status, 200);

    let Running { address, stop, served } = running;
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Balancers are told first, and whoever still comes is answered.
    idle.write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let told = answer(&mut idle).await.unwrap();
    assert_eq!(told.status, 503);
    assert!(told.head.contains("connection: close"), "{}", told.head);
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(whole.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut late).await.unwrap().status, 200);

    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(TcpStream::connect(address).await.is_err(), "no connection is taken any more");
    half.write_all(&whole.as_bytes()[whole.len() - 5..]).await.unwrap();
    assert_eq!(answer(&mut half).await.unwrap().status, 200, "what runs is finished");
    served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_takes_a_bounded_time() {
    let app = App::new();
    let server = Server { body_timeout: milliseconds(60_000), drain_within: milliseconds(300), ..impatient() };
    let Running { address, stop, served } = start(&app, server).await;
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(&request(&one()).as_bytes()[..100]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_change_under_clients_without_a_failed_request() {
    let app = App::new();
    let running = start(&app, impatient()).await;
    let until = Instant::now() + Duration::from_millis(500);
    let clients = (0..4).map(|_| async {
        let (mut stream, mut answers) = (running.connect().await, 0);
        // A busy machine may take longer for a few.
        while Instant::now() < until || answers < 10 {
            stream.write_all(request(&one()).as_bytes()).await.unwrap();
            assert_eq!(answer(&mut stream).await.unwrap().status, 200);
            answers += 1;
        }
        answers
    });
    let changes = async {
        loop {
            app.deploy(app.endpoint_after(app.inner.parts()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answers: usize = tokio::select! {
        answers = futures::future::join_all(clients) => answers.iter().sum(),
        () = changes => unreachable!("they go on"),
    };
    assert_eq!(app.inner.logged().len(), answers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_cut_at_the_deadline() {
    let app = App::limited(Limits { deadline: milliseconds(2), ..Limits::default() });
    let running = start(&app, impatient()).await;
    running.post(&one()).await;
    let answer = running.post(&many(10_000)).await;
    assert_eq!((answer.status, &answer.body["code"]), (413, &json!("too_large")), "{}", answer.body);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("of 10000 were decided in the 2 milliseconds"), "{detail}");
    assert_eq!(app.inner.logged().len(), 1, "all or none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_leaves_its_thread_to_others() {
    let app = App::limited(Limits { deadline: milliseconds(60_000), ..Limits::default() });
    // One thread: a large request that is read, decided, logged or written on it keeps the small ones waiting.
    let running = start(&app, Server { body_timeout: milliseconds(60_000), ..impatient() }).await;
    let large = async {
        let begun = Instant::now();
        assert_eq!(running.post(&many(10_000)).await.status, 200);
        begun.elapsed()
    };
    let mut large = std::pin::pin!(large);
    let (mut stream, mut slowest, mut answers) = (running.connect().await, Duration::ZERO, 0);
    let taken = loop {
        let begun = Instant::now();
        let small = async {
            stream.write_all(request(&one()).as_bytes()).await.unwrap();
            assert_eq!(answer(&mut stream).await.unwrap().status, 200);
        };
        tokio::select! {
            taken = &mut large => break taken,
            () = small => {}
        }
        slowest = slowest.max(begun.elapsed());
        answers += 1;
    };
    assert!(answers > 20, "{answers} beside one of {taken:?}");
    assert!(slowest < taken / 5, "the slowest took {slowest:?} beside one of {taken:?}");
}
