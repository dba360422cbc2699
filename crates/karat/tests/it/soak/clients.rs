//! Eight clients that work until the server is gone, and remember what was answered; among them those that ask for decisions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value as Json, json};

use super::server::Connection;
use crate::small::CLIENTS;

pub const PREDICT: &str = "/v1/endpoints/decide/predict";
pub const CLIENT_THREADS: usize = 8;
/// Keys asked for at once, at most.
pub const MOST_KEYS: usize = 3;

/// What each of them brings back is a `T`.
pub struct Clients<T> {
    threads: Vec<JoinHandle<T>>,
    answered: Arc<AtomicUsize>,
}

/// What one client was told.
#[derive(Default)]
pub struct Remembered {
    ids: Vec<String>,
    refused: Vec<(u16, String)>,
}

impl<T: Send + 'static> Clients<T> {
    /// Each does `work`, given its number and a counter of what was acknowledged.
    pub fn at_work(work: impl Fn(usize, &AtomicUsize, Rng) -> T + Send + Sync + 'static, rng: &mut Rng) -> Clients<T> {
        let (answered, work) = (Arc::new(AtomicUsize::new(0)), Arc::new(work));
        let threads = (0..CLIENT_THREADS).map(|number| {
            let (work, answered, rng) = (work.clone(), answered.clone(), rng.fork());
            std::thread::spawn(move || work(number, &answered, rng))
        });
        Clients { threads: threads.collect(), answered }
    }

    /// Until so much was acknowledged.
    pub fn wait_for(&self, acknowledged: usize) {
        let begun = Instant::now();
        while self.answered.load(Ordering::Relaxed) < acknowledged {
            assert!(begun.elapsed() < Duration::from_secs(60), "not {acknowledged} answers within a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Once the server is gone: what each brings back.
    pub fn back(self) -> Vec<T> {
        self.threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    }
}

impl Clients<Remembered> {
    pub fn start(address: &str, rng: &mut Rng) -> Clients<Remembered> {
        let address = address.to_owned();
        Clients::at_work(move |_, answered, rng| ask(&address, answered, rng), rng)
    }

    /// Once the server is gone: the ids of all decisions that were acknowledged. Nothing else was answered than they.
    pub fn acknowledged(self) -> Vec<String> {
        let mut ids = Vec::new();
        for remembered in self.back() {
            assert!(remembered.refused.is_empty(), "{:?}", remembered.refused);
            ids.extend(remembered.ids);
        }
        ids
    }
}

fn ask(address: &str, answered: &AtomicUsize, mut rng: Rng) -> Remembered {
    let mut remembered = Remembered::default();
    let Ok(mut connection) = Connection::open(address) else { return remembered };
    while let Ok((status, body)) = connection.exchange("POST", PREDICT, &request(&mut rng).to_string()) {
        if status != 200 {
            remembered.refused.push((status, body));
            return remembered;
        }
        let ids = ids(&body);
        answered.fetch_add(ids.len(), Ordering::Relaxed);
        remembered.ids.extend(ids);
    }
    remembered
}

/// Mostly one key as of some instant; sometimes several, sometimes a row that carries its features.
fn request(rng: &mut Rng) -> Json {
    let month = 1 + rng.u64(1..23);
    let as_of = format!("{}-{:02}-{:02}T00:00:00Z", 2020 + month / 12, 1 + month % 12, rng.u8(1..28));
    let key = |rng: &mut Rng| rng.u64(1..=CLIENTS);
    match rng.u8(..16) {
        0 => {
            let keys: Vec<u64> = (0..rng.usize(1..=MOST_KEYS)).map(|_| key(rng)).collect();
            json!({"keys": keys, "as_of": as_of})
        }
        1 => {
            json!({"as_of": as_of, "rows": [{"client_id": key(rng), "nb": 3, "share_late": rng.f64(), "late_last_3": 1,
            "mean_amount": null, "region": "north", "years": 7}]})
        }
        _ => json!({"key": key(rng), "as_of": as_of}),
    }
}

/// Of one decision, or of a list.
pub fn ids(body: &str) -> Vec<String> {
    let answer: Json = serde_json::from_str(body).expect("a whole answer is JSON");
    let id = |answer: &Json| answer["prediction_id"].as_str().expect("a decision has an id").to_owned();
    match answer["predictions"].as_array() {
        Some(several) => several.iter().map(id).collect(),
        None => vec![id(&answer)],
    }
}
