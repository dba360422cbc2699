//! What a compaction consists of, as kept in its metadata row. A newer format is refused.

use karat_core::{Digest, Instant, Name, Schema};
use karat_metadata::compactions::HistoryCompaction;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::HistoryError;
use crate::kept::part::{Part, Run};

const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Merged {
    pub format_version: u32,
    /// The declared columns of all commits; the hidden ones follow them in every part.
    pub columns: Schema,
    /// Ascending; none between them is left out.
    pub commits: Vec<MergedCommit>,
    /// By partition.
    pub parts: Vec<MergedPart>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MergedCommit {
    pub number: u64,
    /// The first of the numbers that it holds, where it holds what was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MergedPart {
    /// Under the history's root.
    pub path: String,
    pub partition: u32,
    /// Of each commit, in the order of the rows.
    pub rows: Vec<u64>,
    pub bytes: u64,
    pub sha256: Digest,
}

/// Commits that readers find in fewer parts.
#[derive(Debug, Clone)]
pub(in crate::kept) struct Compacted {
    pub first: u64,
    pub last: u64,
    pub at: Instant,
    pub(super) merged: Merged,
}

impl Merged {
    pub fn new(columns: Schema, commits: Vec<MergedCommit>, parts: Vec<MergedPart>) -> Merged {
        Merged { format_version: FORMAT_VERSION, columns, commits, parts }
    }

    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).expect("a manifest is plain data")
    }

    fn from_json(place: &str, json: &Json) -> Result<Merged, HistoryError> {
        let unreadable =
            |problem: String| HistoryError::corrupt(place, format!("its manifest is unreadable: {problem}"));
        match json.get("format_version").and_then(Json::as_u64).and_then(|found| u32::try_from(found).ok()) {
            Some(found) if found > FORMAT_VERSION => {
                Err(HistoryError::Newer { path: place.to_owned(), found, known: FORMAT_VERSION })
            }
            Some(_) => Merged::deserialize(json).map_err(|error| unreadable(error.to_string())),
            None => Err(HistoryError::corrupt(place, "its manifest has no format version")),
        }
    }
}

impl Compacted {
    pub fn of(source: &Name, row: &HistoryCompaction) -> Result<Compacted, HistoryError> {
        let place = format!("the compaction of commits {} to {} of `{source}`", row.first, row.last);
        let merged = Merged::from_json(&place, &row.manifest)?;
        if merged.parts.iter().any(|part| part.rows.len() != merged.commits.len()) {
            return Err(HistoryError::corrupt(place, "its parts do not say how many rows each commit has"));
        }
        Ok(Compacted { first: row.first, last: row.last, at: row.at, merged })
    }

    pub fn into_parts(self) -> impl Iterator<Item = Part> {
        let Compacted { first, last, merged: Merged { commits, parts, .. }, .. } = self;
        parts.into_iter().map(move |part| {
            let runs = commits.iter().zip(&part.rows).filter(|(_, rows)| **rows > 0).map(|(commit, rows)| Run {
                first: commit.first.unwrap_or(commit.number),
                commit: commit.number,
                pushed: commit.first.is_some(),
                rows: *rows,
            });
            Part {
                partition: part.partition,
                bytes: part.bytes,
                sha256: part.sha256,
                runs: runs.collect(),
                of: (first, last),
                whole: part.rows.iter().sum(),
                skipped: 0,
                path: part.path,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use karat_core::ErrorKind;
    use serde_json::json;

    use super::*;

    /// As written by format version 1. It must load for ever.
    fn first_version() -> Json {
        json!({
            "format_version": 1,
            "columns": [{"name": "client_id", "type": "int"}],
            "commits": [{"number": 3}, {"number": 9, "first": 4}, {"number": 10}],
            "parts": [{
                "path": "loans/compacted-000003-000010/part-001.parquet",
                "partition": 1,
                "rows": [5, 2, 0],
                "bytes": 1234,
                "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            }],
        })
    }

    fn compacted(manifest: Json) -> Result<Compacted, HistoryError> {
        let source = Name::new("loans").unwrap();
        let row =
            HistoryCompaction { source: source.clone(), first: 3, last: 10, at: Instant::from_micros(7), manifest };
        Compacted::of(&source, &row)
    }

    #[test]
    fn the_first_version_still_loads_and_is_still_written() {
        let compacted = compacted(first_version()).unwrap();
        assert_eq!(compacted.merged.to_json(), first_version());
        let parts: Vec<Part> = compacted.into_parts().collect();
        let runs =
            [Run { first: 3, commit: 3, pushed: false, rows: 5 }, Run { first: 4, commit: 9, pushed: true, rows: 2 }];
        assert_eq!((parts[0].runs.as_ref(), parts[0].whole, parts[0].of), (runs.as_slice(), 7, (3, 10)));
    }

    #[test]
    fn newer_and_broken_manifests_are_told_apart() {
        let mut newer = first_version();
        newer["format_version"] = json!(FORMAT_VERSION + 1);
        assert_eq!(compacted(newer).unwrap_err().kind(), ErrorKind::Refused);
        let mut short = first_version();
        short["parts"][0]["rows"] = json!([7]);
        for broken in [json!(null), json!({}), json!({"format_version": 1}), short] {
            assert_eq!(compacted(broken).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
