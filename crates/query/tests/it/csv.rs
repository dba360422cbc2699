use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use karat_core::ErrorKind;
use karat_query::{Occasion, Progress, stage};
use serde_json::json;

use crate::world::{World, accepted, day, quarantined, raw_rows, source};

fn people(path: &str) -> karat_project::spec::Source {
    source(json!({
        "name": "people", "path": path, "delivery": "append",
        "columns": [["id", "int"], ["name", "text"], ["born", "date"], ["score", "float"], ["seen", "timestamp"], ["vip", "bool"]],
    }))
}

const HEADER: &str = "id,name,born,score,seen,vip\n";

#[tokio::test]
async fn every_type_is_read_and_what_is_not_of_its_type_keeps_its_place() {
    let world = World::new().await;
    world.write(
        "data/people.csv",
        format!(
            "\u{feff}{HEADER}\
             1,\"Ann \"\"A\"\"\nSmith\",1980-02-29,1.5,2021-10-01T02:00:00+02:00,Y\n\
             2,Bob,1980-02-30,2,,no\n\
             x3,Cy,,,,\n\
             4,Di\n\
             \n\
             5,Ed,3021-09-18, 7 ,2021-10-01T00:00:00Z,maybe,extra\n\
             6,,0001-01-01,-1e300,2021-10-01 00:00:00,true\n"
        ),
    );
    let staged = world.stage(&people("data/people.csv")).await;
    assert_eq!(
        accepted(&staged),
        [
            "1|Ann \"A\"\nSmith|1980-02-29|1.5|2021-10-01T00:00:00Z|true|1",
            "6|null|0001-01-01|-1e300|2021-10-01T00:00:00Z|true|6",
        ]
    );
    assert_eq!(
        quarantined(&staged),
        [
            "data/people.csv:4 born=1980-02-30 read: not a date (YYYY-MM-DD)",
            "data/people.csv:5 id=x3 read: not an int",
            "data/people.csv:6 -=- read: has 2 cells where the file has 6 columns",
            "data/people.csv:8 -=- read: has 7 cells where the file has 6 columns",
        ]
    );
    assert_eq!(raw_rows(&staged)[1], json!({"id": "x3", "name": "Cy", "born": "", "score": "", "seen": "", "vip": ""}));
    assert_eq!(raw_rows(&staged)[2], json!(["4", "Di"]));
    assert_eq!(staged.report.unreadable, 4);
    assert_eq!(staged.report.examples[1].reason.as_deref(), Some("id: not an int"));
}

#[tokio::test]
async fn line_ends_of_windows_change_nothing() {
    let world = World::new().await;
    let text = format!("{HEADER}1,\"a\",,,,\nx,b,,,,\n3,c,,,,\n");
    world.write("unix.csv", &text);
    world.write("windows.csv", text.replace('\n', "\r\n"));
    let unix = world.stage(&people("unix.csv")).await;
    let windows = world.stage(&people("windows.csv")).await;
    assert_eq!(accepted(&unix), accepted(&windows));
    assert_eq!(quarantined(&unix), ["unix.csv:3 id=x read: not an int"]);
    assert_eq!(quarantined(&windows), ["windows.csv:3 id=x read: not an int"]);
}

#[tokio::test]
async fn compressed_files_of_a_glob_are_read_in_the_order_of_their_paths() {
    let world = World::new().await;
    world.write("in/c.csv", format!("{HEADER}5,e,,,,\n"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(format!("{HEADER}3,c,,,,\nbad,d,,,,\n").as_bytes()).unwrap();
    world.write("in/b.csv.gz", gzip.finish().unwrap());
    let zstd = zstd::encode_all(format!("{HEADER}1,a,,,,\n2,b,,,,\n").as_bytes(), 3).unwrap();
    world.write("in/a.csv.zst", &zstd);
    world.write("in/readme.md", "no data");
    let staged = world.stage(&people("in/*.csv*")).await;
    // Under `append` a row's number is the one in its file.
    let rows = [
        "1|a|null|null|null|null|1",
        "2|b|null|null|null|null|2",
        "3|c|null|null|null|null|1",
        "5|e|null|null|null|null|1",
    ];
    assert_eq!(accepted(&staged), rows);
    assert_eq!(quarantined(&staged), ["in/b.csv.gz:3 id=bad read: not an int"]);
    let files = &staged.report.files;
    assert_eq!(
        files.iter().map(|file| (file.path.as_str(), file.rows)).collect::<Vec<_>>(),
        [("in/a.csv.zst", 2), ("in/b.csv.gz", 2), ("in/c.csv", 1)]
    );
    assert_eq!(files[0].digest, karat_core::Digest::of(&zstd));
    assert_eq!(files[0].bytes, zstd.len() as u64);
    let mut keyed = people("in/*.csv*");
    (keyed.delivery, keyed.keys) = (None, vec!["id".to_owned()]);
    let numbers: Vec<String> =
        accepted(&world.stage(&keyed).await).iter().map(|row| row.rsplit('|').next().unwrap().to_owned()).collect();
    assert_eq!(numbers, ["1", "2", "3", "5"], "the number in the delivery counts quarantined rows too");
}

#[tokio::test]
async fn errors_name_the_file_the_line_and_the_nearest_name() {
    let world = World::new().await;
    world.write("people.csv", "ID,nmae,born,score,seen,vip\n");
    world.write("twice.csv", "id,id,name,born,score,seen,vip\n");
    world.write("empty.csv", "");
    world.write("only_header.csv", HEADER);
    let cut = zstd::encode_all(format!("{HEADER}{}", "1,a,,,,\n".repeat(1000)).as_bytes(), 3).unwrap();
    world.write("cut.csv.zst", &cut[..cut.len() / 2]);
    let error = |path: &'static str| {
        let world = &world;
        async move { world.try_stage(&people(path)).await.err().unwrap() }
    };
    assert_eq!(error("people.csv").await.to_string(), "people.csv:1: the file has no column `id`; did you mean `ID`?");
    assert_eq!(error("twice.csv").await.to_string(), "twice.csv:1: the file has two columns `id`");
    assert_eq!(error("empty.csv").await.to_string(), "empty.csv: the file is empty: expected a line of column names");
    assert_eq!(error("poeple.csv").await.to_string(), "poeple.csv: there is no such file; did you mean `people.csv`?");
    assert!(error("nowhere/*.csv").await.to_string().starts_with("nowhere/*.csv: no file in "));
    assert!(error("cut.csv.zst").await.to_string().starts_with("cut.csv.zst: "));
    assert_eq!(error("people.csv").await.kind(), ErrorKind::Invalid);
    assert_eq!(world.stage(&people("only_header.csv")).await.report.read, 0);
}

/// Does something to the file the first time it hears of it.
struct Meddler {
    opened: bool,
    done: AtomicBool,
    meddle: Box<dyn Fn() + Send + Sync>,
}

impl Meddler {
    fn once(&self) {
        if !self.done.swap(true, Ordering::SeqCst) {
            (self.meddle)();
        }
    }
}

impl Progress for Meddler {
    fn expect_bytes(&self, _: u64) {
        if !self.opened {
            self.once();
        }
    }

    fn bytes(&self, _: u64) {
        self.once();
    }

    fn rows(&self, _: u64) {}
}

#[tokio::test]
async fn a_file_that_vanishes_or_changes_while_it_is_read_is_refused() {
    let world = World::new().await;
    let path = world.write("people.csv", format!("{HEADER}{}", "1,a,,,,\n".repeat(200_000)));
    let plan = world.plan(&people("people.csv")).unwrap();
    let read = |opened: bool, meddle: Box<dyn Fn() + Send + Sync>| {
        let (world, plan) = (&world, &plan);
        async move {
            let meddler = Arc::new(Meddler { opened, done: AtomicBool::new(false), meddle });
            stage(&world.engine, plan, &world.tables, Occasion::first(day(0)), meddler).await
        }
    };
    let file = path.clone();
    let grown = move || {
        let mut file = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
        file.write_all(b"2,b,,,,\n").unwrap();
    };
    let error = read(true, Box::new(grown)).await.err().unwrap();
    assert_eq!(error.to_string(), "people.csv: changed while it was read; run it again once it is written");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // One put in its place leaves the one being read as it was.
    let file = path.clone();
    let replaced = move || {
        let new = file.with_extension("new");
        std::fs::write(&new, HEADER).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    assert_eq!(read(true, Box::new(replaced)).await.unwrap().report.read, 200_001);
    let file = path.clone();
    let error = read(false, Box::new(move || std::fs::remove_file(&file).unwrap())).await.err().unwrap();
    assert_eq!(error.to_string(), "people.csv: was there when reading began, and is gone; run it again");
}

/// A bank's export with semicolons, MacRoman, decimal commas and amounts of ` -   `.
#[tokio::test]
async fn the_brazilian_sample_loads() {
    let Some(path) = karat_test_support::shared_data("brazil/mibolsillo.csv") else {
        eprintln!(
            "SKIPPED the_brazilian_sample_loads: no brazil/mibolsillo.csv (set KARAT_DATA to the folder with it)"
        );
        return;
    };
    let mut world = World::new().await;
    let sample = source(json!({
        "name": "cards", "path": path, "delivery": "append",
        "csv": {
            "encoding": "macroman", "delimiter": ";", "decimal": ",", "thousands": ".",
            "null_values": ["", "-"], "date_format": "%d.%m.%Y",
        },
        "columns": [
            ["account", {"type": "float", "from": "id"}], ["opened", {"type": "int", "from": "safra_abertura"}],
            ["city", {"type": "text", "from": "cidade"}], ["age", {"type": "int", "from": "idade"}],
            ["limit", {"type": "float", "from": "limite_total"}], ["left", {"type": "float", "from": "limite_disp"}],
            ["day", {"type": "date", "from": "data"}], ["amount", {"type": "float", "from": "valor"}],
            ["category", {"type": "text", "from": "grupo_estabelecimento"}],
        ],
    }));
    let delivered = world.ingest(&sample, day(20_000)).await;
    assert_eq!((delivered.counts.read, delivered.counts.accepted), (4_955, 4_955));
    world.publish(&sample).await;
    let all = "SELECT count(*), count(*) - count(amount), count(DISTINCT category), min(day), max(day), \
               round(sum(amount), 2) FROM cards";
    assert_eq!(world.query(all, &world.tables).await, ["4955|13|22|2019-04-01|2020-05-07|581974.13"]);
    let services = "SELECT count(*) FROM cards WHERE category = 'SERVIÇO'";
    assert_eq!(world.query(services, &world.tables).await, ["1782"]);
}

#[tokio::test]
async fn dialects_are_as_declared() {
    let world = World::new().await;
    world.write("d.txt", "1;'a;b';NA\n2;'';-\n");
    let dialect = source(json!({
        "name": "d", "path": "d.txt", "delivery": "append",
        "csv": {"delimiter": ";", "quote": "'", "header": false, "null_values": ["NA", "-"]},
        "columns": [["id", "int"], ["name", "text"], ["n", "int"]],
    }));
    assert_eq!(accepted(&world.stage(&dialect).await), ["1|a;b|null|1", "2||null|2"]);
    world.write("padded.csv", "id, name, n\n1, late , 5\n2, ?, 6\n3,\u{a0}paid,  \n");
    let padded = |trim: bool| {
        source(json!({
            "name": "padded", "path": "padded.csv", "delivery": "append",
            "csv": {"trim": trim, "null_values": ["", "?"]},
            "columns": [["id", "int"], ["name", "text"], ["n", "int"]],
        }))
    };
    assert_eq!(accepted(&world.stage(&padded(true)).await), ["1|late|5|1", "2|null|6|2", "3|paid|null|3"]);
    assert_eq!(accepted(&world.stage(&padded(false)).await), ["1| late |5|1", "2| ?|6|2", "3|\u{a0}paid|null|3"]);
    let zoned = source(json!({
        "name": "z", "path": "z.csv", "delivery": "append", "time_zone": "Europe/Prague",
        "columns": [["at", {"type": "timestamp", "from": "When it was"}]],
    }));
    world.write("z.csv", "When it was\n2021-10-01 00:00:00\n2021-10-01T00:00:00Z\n");
    assert_eq!(accepted(&world.stage(&zoned).await), ["2021-09-30T22:00:00Z|1", "2021-10-01T00:00:00Z|2"]);
}
