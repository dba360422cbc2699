//! A prediction log whose tail a killed writer or a power cut left torn is mended with a warning; one that is damaged is
//! refused with its place, and left as it is. Nothing acknowledged is lost either way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::clients::{Clients, PREDICT, ids};
use super::server::Server;
use super::{decided, rng, rounds};
use crate::support::{json, karat};

const TORN: &str = "cut off what was being appended when the writer stopped; it was never acknowledged";
const HEADER: usize = 16;
/// Of a group of records: what is written at once, and torn at once.
const GROUP_HEAD: usize = 8;

#[test]
fn a_torn_tail_is_mended_and_damage_is_told() {
    let project = decided();
    let folder = project.path();
    let mut rng = rng("torn_log");
    let server = Server::start(folder);
    let clients = Clients::start(&server.address, &mut rng);
    clients.wait_for(60);
    server.kill();
    let acknowledged: BTreeSet<String> = clients.acknowledged().into_iter().collect();
    let log = Segment::of(folder);
    for tail in torn_tails(&log, &mut rng) {
        mended(folder, &log, &tail, &acknowledged);
    }
    for (place, damaged) in damages(&log, &mut rng) {
        refused(folder, &log, place, &damaged);
    }
    log.put(&log.bytes);
    let server = Server::start(folder);
    assert_eq!(logged(folder), log.logged(folder, &acknowledged));
    server.terminate();
}

/// The newest segment, whole groups only.
struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where each group begins, and where the last ends.
    starts: Vec<usize>,
}

impl Segment {
    fn of(folder: &Path) -> Segment {
        let dir = std::fs::read_dir(folder.join(".karat/predictions")).unwrap();
        let mut paths: Vec<PathBuf> = dir.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        assert_eq!(paths.len(), 1, "{paths:?}");
        let path = paths.pop().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let mut starts = vec![HEADER];
        while let Some(length) = bytes[*starts.last().unwrap()..].first_chunk::<4>() {
            let end = starts.last().unwrap() + GROUP_HEAD + u32::from_le_bytes(*length) as usize;
            if end > bytes.len() {
                break;
            }
            starts.push(end);
        }
        bytes.truncate(*starts.last().unwrap());
        Segment { path, bytes, starts }
    }

    fn put(&self, bytes: &[u8]) {
        std::fs::write(&self.path, bytes).unwrap();
    }

    fn group(&self, rng: &mut Rng) -> &[u8] {
        let place = rng.usize(..self.starts.len() - 1);
        &self.bytes[self.starts[place]..self.starts[place + 1]]
    }

    /// What the log holds besides: logged, and killed before it was acknowledged.
    fn logged(&self, folder: &Path, acknowledged: &BTreeSet<String>) -> BTreeSet<String> {
        let all = logged(folder);
        assert!(all.is_superset(acknowledged) && all.len() >= self.starts.len() - 1);
        all
    }
}

fn logged(folder: &Path) -> BTreeSet<String> {
    let logged = json(folder, &["query", "--limit", "0", "SELECT prediction_id FROM predictions"]);
    let rows = logged["rows"].as_array().unwrap();
    let ids: BTreeSet<String> = rows.iter().map(|row| row["prediction_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), rows.len(), "each once");
    ids
}

/// Every kind of beginning of a group, and the zeros that a power cut leaves in its place.
fn torn_tails(log: &Segment, rng: &mut Rng) -> Vec<Vec<u8>> {
    let group = log.group(rng).to_vec();
    let mut cuts = vec![1, GROUP_HEAD - 1, GROUP_HEAD, GROUP_HEAD + 1, group.len() - 1];
    cuts.extend((3..rounds()).map(|_| rng.usize(1..group.len())));
    let mut tails: Vec<Vec<u8>> = cuts.into_iter().map(|cut| group[..cut].to_vec()).collect();
    // Up to the end of a sector, and two sectors more.
    let end = (log.bytes.len() + 300).next_multiple_of(512) + 1024;
    let mut zeros = group[..20].to_vec();
    zeros.resize(end - log.bytes.len(), 0);
    tails.extend([zeros, vec![0; end - log.bytes.len()]]);
    tails
}

fn mended(folder: &Path, log: &Segment, tail: &[u8], acknowledged: &BTreeSet<String>) {
    let shown = &tail[..tail.len().min(24)];
    log.put(&[&log.bytes, tail].concat());
    let before = log.logged(folder, acknowledged);
    let server = Server::start(folder);
    assert!(server.stderr().contains(TORN), "{} bytes {shown:02x?}: {}", tail.len(), server.stderr());
    let (status, answer) = server.request("POST", PREDICT, r#"{"key": 5, "as_of": "2021-06-01T00:00:00Z"}"#);
    assert_eq!(status, 200, "{answer}");
    server.kill();
    let mut wanted = before;
    wanted.extend(ids(&answer.to_string()));
    assert_eq!(logged(folder), wanted, "{} bytes {shown:02x?}", tail.len());
}

/// Changed bytes at every kind of place among what was acknowledged, each with the group it is in.
fn damages(log: &Segment, rng: &mut Rng) -> Vec<(usize, Vec<u8>)> {
    let changed = |record: usize, at: usize| {
        let mut bytes = log.bytes.clone();
        bytes[log.starts[record] + at] ^= 1 << 4;
        (log.starts[record], bytes)
    };
    let last = log.starts.len() - 2;
    let mut all = vec![changed(0, 0), changed(0, 5), changed(last / 2, GROUP_HEAD + 3), changed(last, GROUP_HEAD + 40)];
    all.extend((3..rounds()).map(|_| changed(rng.usize(..last), rng.usize(..200))));
    all
}

fn refused(folder: &Path, log: &Segment, place: usize, damaged: &[u8]) {
    log.put(damaged);
    let server = Server::try_start(folder).map(|server| server.stderr()).expect_err("damage is not served over");
    let name = log.path.file_name().unwrap().to_str().unwrap();
    let query = karat(folder, &["query", "SELECT count(*) FROM predictions"]).ends_with(1);
    for said in [&server.stderr, &query.stderr] {
        let told = said.contains(name)
            && said.contains(&format!("what was appended at byte {place} "))
            && said.contains("damaged");
        assert!(told, "byte {place} of {name}: {said}");
        assert!(said.contains("restore it from a backup") && !said.contains("panicked"), "{said}");
    }
    assert_eq!(server.code, Some(1), "{server:?}");
    assert_eq!(std::fs::read(&log.path).unwrap(), damaged, "what is damaged is left as it is");
}
