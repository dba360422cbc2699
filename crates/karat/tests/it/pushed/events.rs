//! Random payments with everything that makes it hard, and their features by brute force.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use karat_core::time::MICROS_PER_DAY;
use karat_core::{Instant, Value};
use serde_json::{Value as Json, json};

pub const CLIENTS: i64 = 4;
pub const FEATURES: [&str; 7] = ["n", "total", "halves", "mean", "share", "newest", "recent"];

/// One row as it was pushed. Of one id no two rows are known at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: i64,
    pub client: i64,
    /// Its town and its name; without a name there is no employer.
    pub employer: (&'static str, Option<&'static str>),
    pub at: i64,
    pub known: i64,
    /// A multiple of a quarter, so that plain sums are exact.
    pub amount: Option<f64>,
    pub late: Option<bool>,
    pub removed: bool,
}

/// Whose features are asked for: a client's, or those of a client with an employer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Whose {
    pub client: i64,
    pub employer: Option<(&'static str, &'static str)>,
}

const EMPLOYERS: [(&str, &str); 3] = [("Brno", "a, \"b\""), ("Brno", "c"), ("Praha", "c")];

impl Whose {
    pub fn all() -> impl Iterator<Item = Whose> + Clone {
        let employers = std::iter::once(None).chain(EMPLOYERS.into_iter().map(Some));
        employers.flat_map(|employer| (1..=CLIENTS).map(move |client| Whose { client, employer }))
    }

    /// The view that has the features, and the key as people write it.
    pub fn view_and_key(self) -> (&'static str, String) {
        match self.employer {
            None => ("history", self.client.to_string()),
            Some((town, firm)) => ("jointly", format!("firm={},client={},town={town}", Json::from(firm), self.client)),
        }
    }

    fn is_of(self, event: &Event) -> bool {
        let employer = event.employer.1.map(|firm| (event.employer.0, firm));
        event.client == self.client && self.employer.is_none_or(|wanted| employer == Some(wanted))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Events, some of them told otherwise later.
    Append,
    /// Rows that are revised, moved from client to client, and removed.
    Changes,
}

/// Few clients and few days, so that times tie and rows come late.
pub fn events(rng: &mut Rng, kind: Kind, ids: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for id in 1..=ids {
        let mut known = BTreeSet::new();
        for version in 0..rng.i64(1..=3) {
            let at = day(rng.i64(0..40));
            // Known the same day, later, or even before.
            known.insert((at + rng.i64(-2..20) * MICROS_PER_DAY, version));
            if rng.bool() {
                break;
            }
        }
        let mut last = i64::MIN;
        for (known, _) in known {
            if std::mem::replace(&mut last, known) == known {
                continue;
            }
            events.push(Event {
                id,
                client: rng.i64(1..=CLIENTS),
                employer: {
                    let (town, firm) = EMPLOYERS[rng.usize(..EMPLOYERS.len())];
                    (town, (rng.u8(..) > 40).then_some(firm))
                },
                at: day(rng.i64(0..40)),
                known,
                amount: (rng.u8(..) > 30).then(|| rng.i64(-400..400) as f64 / 4.0),
                late: (rng.u8(..) > 30).then(|| rng.bool()),
                removed: kind == Kind::Changes && rng.u8(..) < 60,
            });
        }
    }
    events
}

fn day(number: i64) -> i64 {
    Instant::from_micros(0).micros() + (19_000 + number) * MICROS_PER_DAY
}

/// Midnights, where ties are, and instants between.
pub fn instants(rng: &mut Rng) -> Vec<Instant> {
    let mut instants: Vec<i64> = (0..12).map(|_| day(rng.i64(-1..65))).collect();
    instants.extend((0..4).map(|_| day(0) + rng.i64(0..60 * MICROS_PER_DAY)));
    instants.push(day(400));
    instants.into_iter().map(Instant::from_micros).collect()
}

impl Event {
    pub fn to_json(&self) -> Json {
        let time = |micros| Instant::from_micros(micros).to_string();
        let (town, firm) = self.employer;
        json!({"id": self.id, "client": self.client, "town": town, "firm": firm, "at": time(self.at), "known": time(self.known),
            "amount": self.amount, "late": self.late, "removed": self.removed})
    }
}

/// Somebody's features as of an instant, in the order of [`FEATURES`]: the design's words, written down plainly.
pub fn features(events: &[Event], whose: Whose, as_of: Instant) -> Vec<Value> {
    let as_of = as_of.micros();
    let mut winners: BTreeMap<i64, &Event> = BTreeMap::new();
    for event in events {
        // A removal holds wherever what it removes does.
        let visible = event.known <= as_of && (event.removed || event.at < as_of);
        if visible && winners.get(&event.id).is_none_or(|winner| winner.known < event.known) {
            winners.insert(event.id, event);
        }
    }
    let mut rows: Vec<&Event> = winners.into_values().filter(|event| !event.removed && whose.is_of(event)).collect();
    rows.sort_by_key(|event| (event.at, event.id));
    let amounts: Vec<f64> = rows.iter().filter_map(|event| event.amount).collect();
    let lates: Vec<bool> = rows.iter().filter_map(|event| event.late).collect();
    let sum = |values: &[f64]| if values.is_empty() { Value::Null } else { Value::Float(values.iter().sum()) };
    let ratio = |part: f64, of: usize| if of == 0 { Value::Null } else { Value::Float(part / of as f64) };
    let halves: Vec<f64> = amounts.iter().map(|amount| amount / 2.0).collect();
    let recent = rows.iter().filter(|event| event.at >= as_of - 10 * MICROS_PER_DAY).count();
    vec![
        Value::Int(rows.len() as i64),
        sum(&amounts),
        sum(&halves),
        ratio(amounts.iter().sum(), amounts.len()),
        ratio(lates.iter().filter(|late| **late).count() as f64, lates.len()),
        rows.last().and_then(|event| event.amount).map_or(Value::Null, Value::Float),
        Value::Int(recent as i64),
    ]
}
