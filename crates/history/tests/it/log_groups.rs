//! Tasks that append together.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use karat_core::ErrorKind;
use karat_history::HistoryError;
use karat_history::log::{Durability, Log, LogOptions, MAX_PAYLOAD_BYTES, PayloadOnly, Records};

use crate::log::all;

fn open(dir: &std::path::Path) -> Log {
    let options = LogOptions { segment_bytes: 4000 };
    Log::open(dir, options, Arc::new(PayloadOnly)).unwrap()
}

fn records<'p>(payloads: impl IntoIterator<Item = &'p [u8]>) -> Records {
    Records::of(payloads).unwrap()
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_comes_while_the_first_gets_ready_is_written_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let woken: [Arc<Woken>; 3] = std::array::from_fn(|_| Arc::default());
    let wakers: Vec<Waker> = woken.iter().map(|woken| Waker::from(woken.clone())).collect();
    let mut appends: Vec<_> =
        [b"one", b"two", b"six"].map(|p| log.append_all(&records([p.as_slice()]), Durability::Crash)).into();
    let mut polled =
        |place: usize| pin!(&mut appends[place]).poll(&mut Context::from_waker(&wakers[place])).map(Result::unwrap);
    for place in [0, 1, 2, 1] {
        assert_eq!(polled(place), Poll::Pending);
    }
    assert!(all(dir.path()).is_empty(), "nothing is written before the first writes for all");
    let count = |place: usize| woken[place].0.load(Ordering::Relaxed);
    assert_eq!((count(0), count(1), count(2)), (1, 0, 0));
    assert_eq!(polled(0), Poll::Ready(()));
    assert_eq!((count(0), count(1), count(2)), (1, 1, 1));
    assert_eq!((polled(1), polled(2)), (Poll::Ready(()), Poll::Ready(())));
    assert_eq!(all(dir.path()), [b"one", b"two", b"six"]);
}

#[tokio::test]
async fn tasks_by_the_hundred_lose_nothing() {
    for durability in [Durability::Crash, Durability::PowerLoss] {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(open(dir.path()));
        let tasks = (0..100_u8).map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                for n in 0..20_u8 {
                    let payloads = [[task, n, 0], [task, n, 1]];
                    // Half of the tasks of each round ask for the other's durability.
                    let asked = if task % 2 == 0 { durability } else { Durability::Crash };
                    log.append_all(&records(payloads.iter().map(<[u8; 3]>::as_slice)), asked).await.unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let mut found = all(dir.path());
        assert!(found.chunks(2).all(|pair| pair[0][..2] == pair[1][..2]), "payloads of one call follow each other");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 4000);
        drop(Arc::into_inner(log).unwrap());
        assert_eq!(all(dir.path()).len(), 4000);
    }
}

#[tokio::test]
async fn a_first_that_gives_up_writes_for_the_others() {
    for durability in [Durability::Crash, Durability::PowerLoss] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let first = log.append_all(&records([b"one".as_slice()]), durability);
        let second = log.append_all(&records([b"two".as_slice()]), durability);
        drop(first);
        second.await.unwrap();
        assert_eq!(all(dir.path()), [b"one", b"two"]);
        // A blocking append takes along what has gathered.
        let third = log.append_all(&records([b"three".as_slice()]), durability);
        log.append(b"four", Durability::Crash).unwrap();
        assert_eq!(all(dir.path()).len(), 4);
        third.await.unwrap();
    }
}

#[tokio::test]
async fn too_long_a_payload_is_refused_alone_and_nothing_is_no_wait() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = log.append_all(&records([b"one".as_slice()]), Durability::Crash);
    let long = vec![0; MAX_PAYLOAD_BYTES + 1];
    let error = Records::of([b"two".as_slice(), &long]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let mut some = Records::default();
    assert!(matches!(some.push(|bytes| bytes.extend(&long)), Err(HistoryError::RecordTooLong { .. })));
    log.append_all(&some, Durability::PowerLoss).await.unwrap();
    first.await.unwrap();
    assert_eq!(all(dir.path()), [b"one"]);
}
