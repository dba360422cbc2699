//! A disk that is full at any point: a clear error, nothing lost, and once there is room again all goes on.

use std::path::{Path, PathBuf};

use fastrand::Rng;
use karat_test_support::copy_folder;

use super::clients::{PREDICT, ids};
use super::disk::Disk;
use super::dump::{histories, same, states};
use super::server::Server;
use super::{decided, rng, rounds, sound};
use crate::small;
use crate::support::{Ran, json, karat};

/// Bytes left free: from nothing to nearly enough, then at random.
fn free_space(rng: &mut Rng) -> Vec<u64> {
    let fixed = [0, 24, 28, 32, 36, 100, 160, 220, 300, 400];
    let random = (0..rounds().saturating_sub(3) * 2).map(|_| rng.u64(..600));
    fixed.into_iter().chain(random).map(|kibibytes| kibibytes << 10).collect()
}

fn project_on(disk: &Disk, name: &str, from: &Path) -> PathBuf {
    let folder = disk.path().join(name);
    copy_folder(from, &folder).unwrap();
    folder
}

/// Whether it went through; if not, it said what is wrong.
#[track_caller]
fn room_was_enough(ran: &Ran, free: u64) -> bool {
    if ran.code == 0 {
        return true;
    }
    assert_eq!(ran.code, 1, "{free} bytes free: {ran:?}");
    assert!(says_so(&ran.stderr), "{free} bytes free: {}", ran.stderr);
    false
}

fn says_so(text: &str) -> bool {
    let words = ["No space left on device", "database or disk is full", "is the disk full?"];
    words.iter().any(|words| text.contains(words)) && !text.contains("panicked")
}

#[test]
fn ingest_and_materialize_on_a_full_disk() {
    let Some(disk) = Disk::mount(48) else { return };
    let mut rng = rng("full_disk");
    let undisturbed = small::project();
    karat(undisturbed.path(), &["sources", "ingest"]).ok();
    let wanted = histories(undisturbed.path());
    karat(undisturbed.path(), &["features", "materialize"]).ok();
    let wanted_states = states(undisturbed.path());
    let (mut refused, mut taken) = (0, 0);
    for free in free_space(&mut rng) {
        let folder = project_on(&disk, "project", undisturbed.path());
        for arguments in [["sources", "ingest"], ["features", "materialize"]] {
            disk.fill(free);
            match room_was_enough(&karat(&folder, &arguments), free) {
                true => taken += 1,
                false => refused += 1,
            }
            disk.free();
            karat(&folder, &arguments).ok();
            same(&format!("{free} bytes free"), &histories(&folder), &wanted);
        }
        same(&format!("{free} bytes free"), &states(&folder), &wanted_states);
        sound(&folder);
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert!(refused > 3 && taken > 0, "the space left free hits both: {refused} refused, {taken} taken");
}

#[test]
fn a_server_whose_disk_fills_up() {
    let Some(disk) = Disk::mount(48) else { return };
    let mut rng = rng("full_disk");
    let project = decided();
    let folder = disk.path().join("project");
    // With its state: the champion answers.
    copy_all(project.path(), &folder);
    let server = Server::start(&folder);
    let ask = |server: &Server| {
        let key = fastrand::u64(1..=small::CLIENTS);
        server.request("POST", PREDICT, &format!("{{\"key\": {key}, \"as_of\": \"2021-06-01T00:00:00Z\"}}"))
    };
    let mut acknowledged = Vec::new();
    for _ in 0..rounds() {
        let mut take = |(status, answer): (u16, serde_json::Value)| {
            assert_eq!(status, 200, "{answer}");
            acknowledged.extend(ids(&answer.to_string()));
        };
        take(ask(&server));
        disk.fill(rng.u64(..20_000));
        let mut answer = ask(&server);
        for _ in 0..100 {
            if answer.0 != 200 {
                break;
            }
            take(answer);
            answer = ask(&server);
        }
        let (status, problem) = answer;
        assert_eq!((status, &problem["code"]), (503, &"unavailable".into()), "{problem}");
        let words = "decisions cannot be recorded right now; nothing was decided: try again";
        assert_eq!(problem["detail"], words, "no path, and what to do");
        assert!(server.stderr().contains("No space left on device"), "{}", server.stderr());
        assert_eq!(server.request("GET", "/health/live", "").0, 200);
        let (status, unready) = server.request("GET", "/health/ready", "");
        assert_eq!(status, 503, "{unready}");
        assert_eq!(unready["detail"], "decisions cannot be recorded right now: the server's log says why");
        disk.free();
        assert_eq!(server.request("GET", "/health/ready", "").0, 200);
        take(ask(&server));
    }
    server.kill();

    disk.fill(0);
    match Server::try_start(&folder) {
        // What it needs is there already.
        Ok(server) => server.kill(),
        Err(refused) => assert!(refused.code == Some(1) && says_so(&refused.stderr), "{refused:?}"),
    }
    disk.free();
    let server = Server::start(&folder);
    let (status, answer) = ask(&server);
    assert_eq!(status, 200, "{answer}");
    acknowledged.extend(ids(&answer.to_string()));
    server.terminate();
    let logged =
        json(&folder, &["query", "--limit", "0", "SELECT prediction_id FROM predictions ORDER BY prediction_id"]);
    let logged: Vec<&str> =
        logged["rows"].as_array().unwrap().iter().map(|row| row["prediction_id"].as_str().unwrap()).collect();
    acknowledged.sort();
    assert_eq!(logged, acknowledged, "what was acknowledged, and nothing that was refused");
    sound(&folder);
}

/// With `.karat`.
fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
