//! `karat sources ingest` and `karat features materialize` killed at any moment: the next start ends where an undisturbed
//! one does, row for row and byte for byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use karat_test_support::{copy_folder, temp_dir};
use tempfile::TempDir;

use super::dump::{histories, same, states};
use super::{rng, rounds, sound};
use crate::small;
use crate::support::{command, karat};

const INGEST: &[&str] = &["sources", "ingest"];
const MATERIALIZE: &[&str] = &["features", "materialize"];

type Dump = BTreeMap<String, Vec<String>>;

/// What an undisturbed run leaves, and how long its commands take.
struct Undisturbed {
    project: TempDir,
    first: Dump,
    states: Dump,
    second: Dump,
    longest: Duration,
}

#[test]
fn ingest_and_materialize_go_on_where_they_were_killed() {
    let mut rng = rng("killed_work");
    let undisturbed = undisturbed();
    for round in 0..rounds() {
        let copy = temp_dir();
        let folder = copy.path();
        copy_folder(undisturbed.project.path(), folder).unwrap();
        deliver(folder, false);
        let mut killed = |arguments| killed_then_run(folder, arguments, undisturbed.longest, &mut rng);
        killed(INGEST);
        same(&format!("round {round}, first delivery"), &histories(folder), &undisturbed.first);
        killed(MATERIALIZE);
        same(&format!("round {round}, online state"), &states(folder), &undisturbed.states);
        deliver(folder, true);
        killed(INGEST);
        same(&format!("round {round}, second delivery"), &histories(folder), &undisturbed.second);
        killed(MATERIALIZE);
        sound(folder);
        nothing_half_done(folder);
    }
}

fn undisturbed() -> Undisturbed {
    let project = small::project();
    let folder = project.path();
    let begun = Instant::now();
    karat(folder, INGEST).ok();
    let ingest = begun.elapsed();
    let first = histories(folder);
    let begun = Instant::now();
    karat(folder, MATERIALIZE).ok();
    let longest = ingest.max(begun.elapsed());
    let states = states(folder);
    deliver(folder, true);
    karat(folder, INGEST).ok();
    let second = histories(folder);
    assert_ne!(first, second);
    Undisturbed { first, states, second, longest, project }
}

/// The payments as they first came, or with a correction, a row less and a row more.
fn deliver(folder: &Path, corrected: bool) {
    let original = folder.join("payments.first.csv");
    if !original.exists() {
        std::fs::copy(folder.join("data/payments.csv"), &original).unwrap();
    }
    let first = std::fs::read_to_string(&original).unwrap();
    let text = match corrected {
        false => first,
        true => {
            let lines: Vec<&str> = first.lines().filter(|line| !line.starts_with("7,2020-05-01,")).collect();
            format!("{}\n12,2022-02-01,17.5,1\n", lines.join("\n")).replacen("\n1,2021-11-01,", "\n1,2021-11-01,9", 1)
        }
    };
    small::put(folder, "data/payments.csv", &text);
}

/// Kills it one to three times at random moments of the time it usually takes, then lets it end.
fn killed_then_run(folder: &Path, arguments: &[&str], longest: Duration, rng: &mut Rng) {
    for _ in 0..1 + rng.u8(..3) {
        let mut child = command(folder, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(longest.mul_f64(rng.f64()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    karat(folder, arguments).ok();
}

/// Nothing is left of what was begun and not ended.
pub fn nothing_half_done(folder: &Path) {
    let mut folders = vec![folder.join(".karat")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let half =
                name.ends_with(".tmp") || name.ends_with(".part") || name.contains('#') || name.starts_with(".staged");
            assert!(!half, "{} was left behind", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}
