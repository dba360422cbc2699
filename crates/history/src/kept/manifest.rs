//! What a commit consists of, as kept in its metadata row. A newer format is refused, older ones stay readable.

use karat_core::{Digest, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::part::{Part, Run};
use crate::HistoryError;

/// Format 2 begins anew: a Karat that knows only format 1 would read the rows before it too, and refuses. Format 3 holds
/// what was pushed under several numbers. What does neither is written as format 1.
const FORMAT_VERSION: u32 = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format_version: u32,
    /// The declared columns; the hidden ones follow them in every part.
    pub columns: Schema,
    pub parts: Vec<ManifestPart>,
    /// What made the rows what they are; absent in commits of older Karats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Json>,
    /// Whether it holds all rows anew: commits before it are not read with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// The file of the rows that the delivery's contract kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// The first of the numbers that it holds, where it holds what was pushed: each of its rows says its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ManifestPart {
    /// Under the history's root.
    pub path: String,
    pub partition: u32,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: Digest,
}

impl ManifestPart {
    /// As readers see it; `run` is told the number of rows.
    pub fn read(self, run: impl Fn(u64) -> Run) -> Part {
        let run = run(self.rows);
        Part {
            partition: self.partition,
            path: self.path,
            bytes: self.bytes,
            sha256: self.sha256,
            runs: [run].into(),
            of: (run.first, run.commit),
            whole: self.rows,
            skipped: 0,
        }
    }
}

impl Manifest {
    /// The format that holds it.
    pub fn version(anew: bool) -> u32 {
        if anew { 2 } else { 1 }
    }

    /// The format of what was pushed.
    pub const PUSHED: u32 = FORMAT_VERSION;

    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).expect("a manifest is plain data")
    }

    /// `place` names the manifest in errors.
    pub fn from_json(place: &str, json: &Json) -> Result<Manifest, HistoryError> {
        let version = json.get("format_version").and_then(Json::as_u64).map(u32::try_from);
        match version {
            Some(Ok(found)) if found <= FORMAT_VERSION => Manifest::deserialize(json)
                .map_err(|error| HistoryError::corrupt(place, format!("its manifest is unreadable: {error}"))),
            Some(Ok(found)) => Err(HistoryError::Newer { path: place.to_owned(), found, known: FORMAT_VERSION }),
            None | Some(Err(_)) => Err(HistoryError::corrupt(place, "its manifest has no format version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use karat_core::{Column, DataType, ErrorKind};
    use serde_json::json;

    use super::*;

    /// As written by format version 1. It must load for ever.
    fn first_version() -> Json {
        json!({
            "format_version": 1,
            "columns": [{"name": "client_id", "type": "int"}, {"name": "job_start", "type": "date"}],
            "parts": [{
                "path": "loans/commit-000001/part-000.parquet",
                "partition": 0,
                "rows": 3,
                "bytes": 1234,
                "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            }],
        })
    }

    #[test]
    fn the_first_version_still_loads_and_is_still_written() {
        let manifest = Manifest::from_json("loans", &first_version()).unwrap();
        assert_eq!(manifest.columns.column("job_start"), Some(&Column::new("job_start", DataType::Date)));
        assert_eq!(manifest.to_json(), first_version());
        assert_eq!((manifest.definition, manifest.anew, manifest.quarantine), (None, false, None));
        assert_eq!(Manifest::version(false), 1);
    }

    #[test]
    fn what_begins_anew_is_refused_by_readers_of_the_first_version() {
        let mut second = first_version();
        second["format_version"] = json!(Manifest::version(true));
        second["definition"] = json!({"event_time": "month"});
        second["anew"] = json!(true);
        second["quarantine"] = json!("loans/ba7816bf8f01.parquet");
        let manifest = Manifest::from_json("loans", &second).unwrap();
        assert!(manifest.anew && manifest.format_version > 1);
        assert_eq!(manifest.to_json(), second);
    }

    #[test]
    fn what_was_pushed_says_its_first_number() {
        let mut third = first_version();
        third["format_version"] = json!(Manifest::PUSHED);
        third["first"] = json!(7);
        let manifest = Manifest::from_json("loans", &third).unwrap();
        assert_eq!((manifest.first, manifest.to_json()), (Some(7), third));
        assert_eq!(Manifest::from_json("loans", &first_version()).unwrap().first, None);
    }

    #[test]
    fn newer_and_broken_manifests_are_told_apart() {
        let mut newer = first_version();
        newer["format_version"] = json!(FORMAT_VERSION + 1);
        newer["columns"] = json!("something else by then");
        assert_eq!(Manifest::from_json("loans", &newer).unwrap_err().kind(), ErrorKind::Refused);
        for broken in [json!(null), json!({}), json!({"format_version": "1"}), json!({"format_version": 1})] {
            assert_eq!(Manifest::from_json("loans", &broken).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
