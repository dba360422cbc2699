//! Failures on purpose, on the real binary: a process killed at any moment, a disk that is full, a log that is torn, a
//! client that sends anything its schema allows and much that it does not.
//!
//! A usual test run does three rounds of each; `KARAT_SOAK_ROUNDS` asks for more (`make soak`). Moments are random: the
//! seed is printed, and `KARAT_SOAK_SEED` repeats it, as far as a clock lets it.

mod clients;
mod disk;
mod dump;
mod full_disk;
mod killed_compaction;
mod killed_filling;
mod killed_server;
mod killed_tracking;
mod killed_work;
mod large_artifact;
mod moving_in;
mod schemathesis;
mod server;
mod torn_log;

use std::path::Path;

use fastrand::Rng;
use tempfile::TempDir;

use crate::small;
use crate::support::{json, karat};

/// How many rounds of kills.
fn rounds() -> u32 {
    number("KARAT_SOAK_ROUNDS").map_or(3, |rounds| rounds.try_into().expect("fewer rounds than that"))
}

/// Whether more was asked for than a usual run does.
fn is_long() -> bool {
    number("KARAT_SOAK_ROUNDS").is_some()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}: no number: {text}")))
}

#[expect(clippy::print_stdout, reason = "how a failure may be repeated")]
fn rng(test: &str) -> Rng {
    let seed = number("KARAT_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: KARAT_SOAK_SEED={seed}");
    Rng::with_seed(seed)
}

/// The small project with a champion that can answer.
fn decided() -> TempDir {
    let project = small::project();
    json(project.path(), &["train", "default_risk"]);
    let approval = ["models", "approve", "default_risk", "--as", "champion", "--why", "reviewed"];
    karat(project.path(), &approval).ok();
    project
}

/// The audit chain holds, and every online value is what history says.
fn sound(folder: &Path) {
    assert_eq!(json(folder, &["audit", "verify"])["intact"], true);
    let verified = json(folder, &["features", "verify", "--pairs", "300"]);
    assert!(verified.as_array().unwrap().iter().all(|view| view["different"] == 0), "{verified}");
}
