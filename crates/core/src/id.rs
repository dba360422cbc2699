use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names one prediction. A UUID version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PredictionId(Uuid);

impl PredictionId {
    /// Greater than every id this process made before. Milliseconds, a counter (RFC 9562, method 1 of section 6.2),
    /// and 54 random bits that need not be secret: no call to the operating system.
    #[expect(clippy::new_without_default, reason = "every call gives another id")]
    pub fn new() -> PredictionId {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let tick = (millis << COUNTER_BITS) & (u64::MAX >> 1);
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(tick.max(last + 1)));
        let now = tick.max(last.expect("the closure always gives a value") + 1);
        let (millis, counter) = (now >> COUNTER_BITS, now & ((1 << COUNTER_BITS) - 1));
        // The version takes four bits before the random ones of the first half, the variant two before the second's.
        let high = millis << 16 | 0x7 << 12 | counter >> 8;
        let low = 0b10 << 62 | (counter & 0xff) << 54 | fastrand::u64(..1 << 54);
        PredictionId(Uuid::from_u64_pair(high, low))
    }
}

/// Of the 20 bits 12 stand in the id's first half, 8 in its second: a million ids a millisecond.
const COUNTER_BITS: u32 = 20;
static LAST: AtomicU64 = AtomicU64::new(0);

impl fmt::Display for PredictionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for PredictionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<PredictionId, uuid::Error> {
        Uuid::parse_str(text).map(PredictionId)
    }
}

/// A new UUID (version 7, so that they sort by time) as text, for what has no type of its own.
pub fn fresh_id() -> String {
    Uuid::now_v7().hyphenated().to_string()
}

/// Names one run: 32 hexadecimal digits, as MLflow's clients expect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    #[expect(clippy::new_without_default, reason = "every call gives another id")]
    pub fn new() -> RunId {
        RunId(Uuid::now_v7().simple().to_string())
    }

    pub fn parse(text: &str) -> Option<RunId> {
        let valid = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        valid.then(|| RunId(text.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_predictions_rise_on_every_thread_and_are_uuids_of_version_7() {
        let made = || (0..5_000).map(|_| PredictionId::new()).collect::<Vec<_>>();
        let threads: Vec<Vec<PredictionId>> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..4).map(|_| scope.spawn(made)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(threads.iter().all(|ids| ids.is_sorted_by(|a, b| a < b)));
        let mut all: Vec<PredictionId> = threads.concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20_000);
        for id in &all[..10] {
            assert_eq!((id.0.get_version_num(), id.0.get_variant()), (7, uuid::Variant::RFC4122));
            let (seconds, _) = id.0.get_timestamp().unwrap().to_unix();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            assert!(now.abs_diff(seconds) < 60, "{seconds}");
            assert_eq!(id.to_string().parse::<PredictionId>().unwrap(), *id);
        }
    }
}
