//! `karat sources compact` killed at any moment: at every moment each commit of the history reads as it did, and what was
//! left half done is gone after the next one.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use karat_test_support::{copy_folder, temp_dir};

use super::dump::{every_commit, same};
use super::killed_work::nothing_half_done;
use super::{rng, rounds, sound};
use crate::small;
use crate::support::{command, json, karat};

/// Nothing that was replaced is kept, so that removing is cut short as well.
const COMPACT: &[&str] = &["sources", "compact", "--retain", "0 seconds"];
const DELIVERIES: usize = 12;

#[test]
fn a_killed_compaction_changes_no_answer() {
    let mut rng = rng("killed_compaction");
    let project = small::project();
    deliver(project.path(), DELIVERIES);
    karat(project.path(), &["features", "materialize"]).ok();
    let wanted = every_commit(project.path());
    let begun = Instant::now();
    {
        let copy = temp_dir();
        copy_whole(project.path(), copy.path());
        karat(copy.path(), COMPACT).ok();
    }
    let usual = begun.elapsed();
    for round in 0..rounds() {
        let copy = temp_dir();
        let folder = copy.path();
        copy_whole(project.path(), folder);
        for kill in 0..1 + rng.u8(..3) {
            let mut child = command(folder, COMPACT).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(usual.mul_f64(rng.f64()));
            child.kill().unwrap();
            child.wait().unwrap();
            same(&format!("round {round}, kill {kill}"), &every_commit(folder), &wanted);
        }
        karat(folder, COMPACT).ok();
        same(&format!("round {round}, compacted"), &every_commit(folder), &wanted);
        let listed = std::fs::read_dir(folder.join(".karat/history/payments")).unwrap();
        let mut names: Vec<String> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["compacted-000001-000012", "compacting", "lock"], "round {round}");
        nothing_half_done(folder);
        sound(folder);
        // Life goes on.
        deliver(folder, 1);
        let listed = json(folder, &["sources", "list"]);
        let payments = listed.as_array().unwrap().iter().find(|source| source["name"] == "payments").unwrap();
        assert_eq!(payments["commit"], DELIVERIES as u64 + 1);
    }
}

/// A project with what it keeps.
fn copy_whole(from: &Path, to: &Path) {
    copy_folder(from, to).unwrap();
    copy_folder(&from.join(".karat"), &to.join(".karat")).unwrap();
}

/// So many deliveries of payments: in each a client pays something else, and there is a row more.
fn deliver(folder: &Path, count: usize) {
    for _ in 0..count {
        let text = std::fs::read_to_string(folder.join("data/payments.csv")).unwrap();
        let rows = text.lines().count();
        let grown = text.replacen("\n1,2021-11-01,", "\n1,2021-11-01,1", 1);
        small::put(folder, "data/payments.csv", &format!("{grown}{},2022-02-01,17.5,1\n", rows % 70 + 1));
        karat(folder, &["sources", "ingest"]).ok();
    }
}
