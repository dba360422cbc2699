//! A CSV or JSON file of a stranger's, through the reader and a contract: every row is accepted or quarantined with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use karat_core::{Digest, ErrorKind, Instant};
use karat_project::spec::Source;
use karat_query::{Engine, EngineOptions, NoProgress, Occasion, SourcePlan, Staged, Tables, stage};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::choice;
use crate::temp_dir;

pub(super) const WORDS: &[&str] = &[
    ",",
    ";",
    "\t",
    "|",
    "\"",
    "\"\"",
    "'",
    "\n",
    "\r\n",
    "\r",
    "id",
    "name",
    "born",
    "score",
    "seen",
    "vip",
    "-",
    "NA",
    "2021-10-01",
    "3021-09-18",
    "1.5e300",
    "1.234,56",
    "9223372036854775808",
    "2021-10-01T00:00:00Z",
    "Y",
    "\u{feff}",
];

/// The first byte chooses the dialect; the rest is the file.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let plain =
        "id,name,born,score,seen,vip\n1,\"Ann \"\"A\"\"\nSmith\",1980-02-29,1.5,2021-10-01T02:00:00+02:00,Y\n2,,,,,\n";
    let other = plain.replace(',', ";").replace('"', "'").replace('\n', "\r\n");
    let bare = "1|a|2021-10-01|7|2021-10-01 00:00:00|no\n\n2|b\nNA|NA|NA|NA|NA|NA\n";
    let mut gzip = flate2::write::GzEncoder::new(vec![2 << 5], flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, plain.as_bytes()).expect("memory takes all");
    vec![
        [&[0], plain.as_bytes()].concat(),
        [&[1 | 1 << 2], other.as_bytes()].concat(),
        [&[3 | 1 << 4], bare.as_bytes()].concat(),
        gzip.finish().expect("memory takes all"),
        [&[1 | 128], "id;name;born;score;seen;vip\r1;Jo\u{e3}o;31/12/2021;1.234,56;-;n\r".as_bytes()].concat(),
        [
            &[1 << 5],
            "{\"id\": 1, \"name\": \"Ann\", \"born\": \"1980-02-29\", \"score\": 1.5, \"vip\": true}\n{\"id\": \"x\"}\n".as_bytes(),
        ]
        .concat(),
    ]
}

struct World {
    folder: TempDir,
    engine: Engine,
    runtime: Runtime,
}

thread_local! {
    static WORLD: World = {
        let folder = temp_dir();
        let options = EngineOptions { memory_bytes: 256 << 20, temp_dir: folder.path().join("tmp") };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        World { engine: Engine::new(options).expect("an engine starts"), folder, runtime }
    };
}

/// Two bits of separator, two of quote, one for no header, two of the kind of file, one for the ways of other countries.
fn source(choice: u8) -> (Source, &'static str) {
    let separator = [",", ";", "\t", "|"][usize::from(choice & 3)];
    let quote = ["\"", "'", "\"", "`"][usize::from(choice >> 2 & 3)];
    let file = ["file.csv", "file.jsonl", "file.csv.gz", "file.csv.zst"][usize::from(choice >> 5 & 3)];
    let mut csv =
        json!({"delimiter": separator, "quote": quote, "header": choice & 16 == 0, "null_values": ["", "NA"]});
    if choice & 128 != 0 && separator != "," {
        csv["encoding"] = "macintosh".into();
        csv["decimal"] = ",".into();
        csv["thousands"] = ".".into();
        csv["date_format"] = "%d/%m/%Y".into();
    }
    let mut source = json!({
        "name": "stranger", "path": file, "delivery": "append",
        "csv": csv,
        "columns": [["id", "int"], ["name", "text"], ["born", "date"], ["score", "float"], ["seen", "timestamp"],
            ["vip", "bool"]],
        "prepare": [["born_again", "add_months(born, 1)"], ["ratio", "score / nullif(id, 0)"]],
        "contract": [
            {"check": "range", "column": "score", "min": 0, "action": "set_null"},
            {"check": "unique", "columns": ["id"]},
            {"check": "pattern", "column": "name", "pattern": "^[^<]*$"},
        ],
    });
    if file == "file.jsonl" {
        source.as_object_mut().expect("an object").remove("csv");
    }
    (serde_json::from_value(source).expect("a source as its schema has it"), file)
}

pub(super) fn dialect(data: &[u8]) {
    let (choice, bytes) = choice(data);
    let (source, file) = source(choice);
    WORLD.with(|world| {
        std::fs::write(world.folder.path().join(file), bytes).expect("a temporary file is writable");
        let plan = SourcePlan::new(&source, world.folder.path(), &BTreeMap::new()).expect("the source is sound");
        let staged = world.runtime.block_on(stage(
            &world.engine,
            &plan,
            &Tables::new(),
            Occasion::first(Instant::from_micros(1_633_046_400_000_000)),
            Arc::new(NoProgress),
        ));
        std::fs::remove_file(world.folder.path().join(file)).expect("nobody else removes it");
        match staged {
            Ok(staged) => every_row_is_accounted_for(&staged, bytes),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains(file), "an error names the file: {said}");
                assert_ne!(error.kind(), ErrorKind::Internal, "{said}");
            }
        }
    });
}

fn every_row_is_accounted_for(staged: &Staged, bytes: &[u8]) {
    let report = &staged.report;
    assert_eq!(report.read, report.accepted + report.quarantined, "rows reconcile");
    let note = report.files.first().expect("one file was read");
    assert_eq!((note.bytes, &note.digest), (bytes.len() as u64, &Digest::of(bytes)), "the whole file was looked at");
    let accepted = staged.accepted_batches().expect("what was accepted reads back");
    let rows: usize = accepted.map(|batch| batch.expect("a batch reads back").num_rows()).sum();
    assert_eq!(rows as u64, report.accepted);
    let mut quarantined = 0;
    for batch in staged.quarantine.batches().expect("quarantine reads back") {
        let batch = batch.expect("a batch reads back");
        quarantined += batch.num_rows() as u64;
        let lines = batch.column_by_name("line").expect("a place").as_primitive::<Int64Type>();
        let raw = batch.column_by_name("row").expect("the row").as_string::<i32>();
        for (line, row) in lines.iter().zip(raw) {
            assert!(line.is_some_and(|line| line >= 1), "{line:?}");
            let row: Result<serde_json::Value, _> = serde_json::from_str(row.unwrap_or_default());
            assert!(row.is_ok(), "what stood there is kept as JSON");
        }
    }
    assert_eq!(quarantined, report.quarantined);
}
