//! Sources as lenders have them, from their files to what a feature sees: every kind of delivery, zones and delays,
//! variables and environments.

use std::path::Path;

use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::small::put;
use crate::support::{command, json, karat, run_command};

const VISITS: &str = "kind: Source
name: visits
path: \"${VISITS:-in}/*.jsonl\"
columns:
  event: text
  client_id: {type: int, from: client.id}
  at: timestamp
  amount: {type: float, from: basket.amount}
event_time: at
available_after: 6 hours
time_zone: Europe/Prague
delivery: append
event_id: event
";

const BALANCES: &str = "kind: Source
name: balances
path: balances.csv
csv: {encoding: latin-1, delimiter: \";\", decimal: \",\", thousands: \".\", date_format: \"%d.%m.%Y\"}
columns: {client_id: int, day: date, balance: float, city: text}
keys: [client_id]
event_time: day
contract:
  - {check: length, column: city, min: 2}
  - {check: volume, tolerance: 0.5, action: fail}
";

const ORDERS: &str = "kind: Source
name: orders
path: orders.csv
columns: {id: int, client_id: int, at: timestamp, known: timestamp, op: text}
drop: [op]
keys: [id]
event_time: at
known_time: known
delivery: changes
deleted: op = 'D'
";

const VIEW: &str = "kind: FeatureView
name: NAME
entity: client
source: SOURCE
features:
  nb: {count: rows}
";

fn project() -> TempDir {
    let folder = karat_test_support::temp_dir();
    let view = |name: &str, source: &str| VIEW.replace("NAME", name).replace("SOURCE", source);
    let files = [
        ("karat.yaml", "name: deliveries\nserver: {port: \"${KARAT_TEST_PORT:-8000}\"}\n".to_owned()),
        ("environments/night.yaml", "stores: {data: \"file://${STATE}\"}\n".to_owned()),
        ("sources/visits.yaml", VISITS.to_owned()),
        ("sources/balances.yaml", BALANCES.to_owned()),
        ("sources/orders.yaml", ORDERS.to_owned()),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n".to_owned()),
        ("features/visited.yaml", view("visited", "visits")),
        ("features/ordered.yaml", view("ordered", "orders")),
        ("in/1.jsonl", visit("a", 1, "2021-10-01 00:30:00") + &visit("b", 1, "2021-10-02 00:30:00")),
        ("orders.csv", ORDER_LINES.to_owned()),
    ];
    for (path, text) in files {
        put(folder.path(), path, &text);
    }
    std::fs::write(
        folder.path().join("balances.csv"),
        b"client_id;day;balance;city\n1;1.10.2021;1.234,50;Brn\xe9\n2;1.10.2021;-0,5;Ostrava\n",
    )
    .unwrap();
    folder
}

const ORDER_LINES: &str = "id,client_id,at,known,op
1,1,2021-10-01T00:00:00Z,2021-10-02T00:00:00Z,
2,1,2021-10-01T00:00:00Z,2021-10-02T00:00:00Z,
";

fn visit(event: &str, client: u64, at: &str) -> String {
    let visit = value!({"event": event, "client": {"id": client}, "at": at, "basket": {"amount": 1.5}});
    format!("{visit}\n")
}

fn counts(folder: &Path, source: &str) -> [u64; 5] {
    let ingested = json(folder, &["sources", "ingest", source]);
    ["new", "revised", "removed", "unchanged", "quarantined"]
        .map(|count| ingested[0]["counts"][count].as_u64().unwrap())
}

fn feature(folder: &Path, view: &str, as_of: &str) -> Json {
    json(folder, &["features", "get", view, "1", "--as-of", as_of])["features"]["nb"].clone()
}

fn rows(folder: &Path, sql: &str) -> Json {
    json(folder, &["query", sql])["rows"].clone()
}

#[test]
fn deliveries_are_told_apart_and_known_when_they_say() {
    let project = project();
    let folder = project.path();

    for source in ["visits", "balances", "orders"] {
        assert_eq!(counts(folder, source), [2, 0, 0, 0, 0], "{source}");
    }

    // Appended: a night's file that is known six hours after midnight in Prague.
    assert_eq!(feature(folder, "visited", "2021-10-01T04:29:59Z"), 0);
    assert_eq!(feature(folder, "visited", "2021-10-01T04:30:00Z"), 1);
    put(folder, "in/2.jsonl", &(visit("b", 1, "2021-10-02 00:30:00") + &visit("c", 1, "2021-10-03 00:30:00") + "{\n"));
    // The event that comes twice counts once as superseded, which is neither.
    assert_eq!(counts(folder, "visits"), [1, 0, 0, 2, 1]);
    assert_eq!(feature(folder, "visited", "2021-10-03T04:30:00Z"), 3);

    // Full: another dialect; a missing key is a removal, and half the volume is too little.
    let sql = "SELECT client_id, balance, city FROM balances ORDER BY client_id";
    assert_eq!(rows(folder, sql)[0], value!({"client_id": 1, "balance": 1234.5, "city": "Brné"}));
    let second = "client_id;day;balance;city\n1;2.10.2021;7;Brno\n3;2.10.2021;1;P\n";
    put(folder, "balances.csv", second);
    assert_eq!(counts(folder, "balances"), [0, 1, 1, 0, 1]);
    put(folder, "balances.csv", "client_id;day;balance;city\n");
    let refused = karat(folder, &["sources", "ingest", "balances"]).ends_with(1).stderr;
    put(folder, "balances.csv", second);
    assert!(refused.contains("volume (rule 2): 0 rows, where the 2 deliveries before had 2 on average"), "{refused}");

    // Changes: a removal, and a row known before what is there.
    put(
        folder,
        "orders.csv",
        "id,client_id,at,known,op\n2,1,2021-10-01T00:00:00Z,2021-10-05T00:00:00Z,D\n3,1,2021-10-01T00:00:00Z,2021-10-01T12:00:00Z,\n",
    );
    assert_eq!(counts(folder, "orders"), [1, 0, 1, 0, 0]);
    assert_eq!(feature(folder, "ordered", "2021-10-01T12:00:00Z"), 1);
    assert_eq!(feature(folder, "ordered", "2021-10-04T00:00:00Z"), 3);
    assert_eq!(feature(folder, "ordered", "2021-10-06T00:00:00Z"), 2);
}

#[test]
fn a_check_refuses_what_ingesting_would() {
    let project = project();
    let folder = project.path();
    put(
        folder,
        "balances.csv",
        "client_id;day;balance;city\n1;1.10.2021;7;Brno\n2;1.10.2021;7;Brno\n1;1.10.2021;7;Brno\n",
    );
    let said = |arguments: &[&str]| {
        let ran = karat(folder, arguments).ends_with(1);
        ran.stdout + &ran.stderr
    };
    let found = "client_id=1 comes twice in this full delivery (balances.csv:2 and balances.csv:4)";
    for command in ["check", "ingest"] {
        let said = said(&["sources", command, "balances"]);
        assert!(said.contains(found), "{command}: {said}");
    }
    let lines = std::fs::read_to_string(folder.join("balances.csv")).unwrap();
    put(folder, "balances.csv", &lines.replace("\n1;1.10.2021;7;Brno\n2", "\n2"));
    karat(folder, &["sources", "check", "balances"]).ok();
}

/// A folder that only grows is read whole every day: what is new in it is the day's volume.
#[test]
fn volume_is_of_new_rows_where_earlier_ones_come_again() {
    let project = project();
    let folder = project.path();
    put(
        folder,
        "sources/steps.yaml",
        "kind: Source
name: steps
path: steps/*.csv
columns: {id: int, at: timestamp}
event_time: at
delivery: append
event_id: id
contract:
  - {check: volume, tolerance: 0.5, action: fail}
",
    );
    let mut id = 0;
    let mut day = |number: u32, rows: u32| {
        let lines: String = (0..rows)
            .map(|_| {
                id += 1;
                format!("{id},2021-10-01T00:00:00Z\n")
            })
            .collect();
        put(folder, &format!("steps/{number}.csv"), &format!("id,at\n{lines}"));
    };
    let ingest = || karat(folder, &["sources", "ingest", "steps", "--format", "json"]);
    day(1, 40);
    assert_eq!(counts(folder, "steps"), [40, 0, 0, 0, 0]);
    day(2, 4);
    assert_eq!(counts(folder, "steps"), [4, 0, 0, 40, 0]);
    day(3, 6);
    let third = ingest().ok().json();
    let found = &third[0]["report"]["rules"][0];
    assert_eq!(found["reason"], "6 new rows, where the delivery before had 4 on average");
    assert_eq!(counts(folder, "steps"), [0, 0, 0, 50, 0], "nothing new is no delivery of nothing");
    day(4, 20);
    let refused = ingest().ends_with(1).stderr;
    let found = "volume (rule 1): 20 new rows, where the 2 deliveries before had 5 on average: off by more than 50 %";
    assert!(refused.contains(found), "{refused}");
    assert!(refused.contains("`karat sources ingest steps --any-volume` takes them"), "{refused}");
    assert_eq!(rows(folder, "SELECT count(*) AS n FROM steps")[0], value!({"n": 50}));
    assert!(std::fs::read_dir(folder.join(".karat/history/steps/commit-000004")).is_err(), "nothing of it is left");
    karat(folder, &["sources", "ingest", "steps", "--any-volume"]).ok();
    assert_eq!(rows(folder, "SELECT count(*) AS n FROM steps")[0], value!({"n": 70}));
    day(5, 9);
    assert_eq!(counts(folder, "steps"), [9, 0, 0, 70, 0], "it is as usual as the others by now");
}

/// What a source reads is there before it is read, whoever asks for what, and has rows or none.
#[test]
fn what_a_source_reads_is_ingested_first() {
    let project = project();
    let folder = project.path();
    put(
        folder,
        "sources/joined.yaml",
        "kind: Source\nname: joined\nsql: SELECT o.id, b.city FROM orders o LEFT JOIN balances b ON b.client_id = \
         o.client_id\nkeys: [id]\ncontract:\n  - {check: relation, column: city, source: balances, references: city}\n",
    );
    let ingested = karat(folder, &["sources", "ingest", "joined"]).ok();
    assert!(ingested.stderr.contains("ingested balances:"), "{}", ingested.stderr);
    assert_eq!(rows(folder, "SELECT count(*) AS n FROM joined WHERE city IS NOT NULL")[0], value!({"n": 2}));
}

/// A first delivery without rows is a delivery: who reads the source has no rows, and later ones bring them.
#[test]
fn a_source_may_begin_without_rows() {
    let project = project();
    let folder = project.path();
    put(folder, "orders.csv", "id,client_id,at,known,op\n");
    assert_eq!(counts(folder, "orders"), [0; 5]);
    assert_eq!(json(folder, &["sources", "ingest", "orders"])[0]["new_commit"], false);
    assert_eq!(feature(folder, "ordered", "2021-10-02T00:00:00Z"), 0);
    let built = json(folder, &["features", "materialize"]);
    assert_eq!(built.as_array().unwrap().iter().map(|view| view["keys"].as_u64().unwrap()).min(), Some(0), "{built}");
    put(folder, "orders.csv", ORDER_LINES);
    let brought = json(folder, &["sources", "ingest", "orders"]);
    assert_eq!((&brought[0]["anew"], &brought[0]["commit"]), (&value!("it had no rows"), &value!(2)), "{brought}");
    assert!(feature(folder, "ordered", "2021-10-06T00:00:00Z").as_u64() > Some(0));
}

/// To a metadata database that knows no commit, those of another are leftovers.
#[test]
fn an_environment_does_not_share_data_without_its_metadata() {
    let project = project();
    let folder = project.path();
    put(folder, "environments/other.yaml", "stores: {metadata: \"sqlite://.other/metadata.db\"}\n");
    karat(folder, &["sources", "ingest", "orders"]).ok();
    let before = rows(folder, "SELECT count(*) AS n FROM orders");
    for arguments in [["features", "materialize"], ["sources", "ingest"], ["sources", "list"]] {
        let refused = karat(folder, &[&["--env", "other"][..], &arguments[..]].concat()).ends_with(1).stderr;
        assert!(refused.contains("belong to another metadata database"), "{arguments:?}: {refused}");
    }
    assert_eq!(rows(folder, "SELECT count(*) AS n FROM orders"), before);
}

#[test]
fn what_cannot_be_printed_is_told_by_the_exit_code() {
    let project = project();
    let folder = project.path();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = command(folder, &["sources", "list"]).stdout(full()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(1) && said.contains("cannot be printed: No space left"), "{said}");
    // Nobody reads any more: a check that fails has failed all the same.
    put(folder, "balances.csv", "client_id;day;balance;city\n1;1.10.2021;7;Brno\n1;1.10.2021;7;Brno\n");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = command(folder, &["sources", "check", "balances"]).stdout(writer).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn variables_and_environments_say_where_a_project_runs() {
    let project = project();
    let folder = project.path();
    let state = folder.join("elsewhere");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        run_command(command(folder, arguments).envs(variables.iter().copied()))
    };
    let unset = run(&["--env", "night", "check"], &[]).ends_with(2);
    assert!(
        unset.stderr.contains("`STATE` is not set") && unset.stderr.contains("environments/night.yaml"),
        "{unset:?}"
    );
    put(folder, "private/9.jsonl", &visit("z", 1, "2021-10-01 00:30:00"));
    let state_text = state.display().to_string();
    let variables = [("STATE", state_text.as_str()), ("VISITS", "private")];
    run(&["--env", "night", "sources", "ingest", "visits"], &variables).ok();
    assert!(state.join("history/visits").is_dir(), "the environment's store is used");
    // The old name of the flag goes on working, and the file's own name is as it was.
    let listed = run(&["--environment", "night", "sources", "list", "--format", "json"], &variables).ok().json();
    let visits = listed.as_array().unwrap().iter().find(|source| source["name"] == "visits").unwrap();
    assert_eq!((&visits["from"], &visits["records"]), (&value!("${VISITS:-in}/*.jsonl"), &value!(1)));
    let missing = run(&["--env", "nigth", "check"], &variables).ends_with(2).stderr;
    assert!(
        missing.contains("no environment is called `nigth`") && missing.contains("did you mean `night`?"),
        "{missing}"
    );
}

const CODES: &str = "kind: Source
name: codes
path: \"in/*.csv\"
columns: {code: text, amount: int}
contract:
  - {check: allowed, column: code, values: [A, B]}
";

const RAW: &str = "kind: Source
name: raw
path: raw.csv
columns: {id: int, amount: int}
keep: false
";

const SUMS: &str = "kind: Source
name: sums
sql: SELECT id, amount FROM raw
keys: [id]
";

fn ingest_project() -> TempDir {
    let folder = karat_test_support::temp_dir();
    let files = [
        ("karat.yaml", "name: ingested\n"),
        ("sources/codes.yaml", CODES),
        ("sources/raw.yaml", RAW),
        ("sources/sums.yaml", SUMS),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: id\ntype: int\n"),
        (
            "features/summed.yaml",
            "kind: FeatureView\nname: summed\nentity: client\nsource: sums\nfeatures:\n  amount: {last: amount}\n",
        ),
        ("in/1.csv", "code,amount\nA,1\nC,2\n"),
        ("raw.csv", "id,amount\n1,5\n"),
    ];
    for (path, text) in files {
        put(folder.path(), path, text);
    }
    folder
}

fn quarantined(folder: &Path, source: &str) -> Vec<String> {
    let found = std::fs::read_dir(folder.join(".karat/quarantine").join(source)).into_iter().flatten();
    let mut found: Vec<String> = found.map(|file| file.unwrap().path().display().to_string()).collect();
    found.sort();
    found
}

#[test]
fn rows_that_were_quarantined_come_in_once_the_contract_lets_them_and_are_kept_until_then() {
    let project = ingest_project();
    let folder = project.path();
    assert_eq!(counts(folder, "codes"), [1, 0, 0, 0, 1]);
    let first = quarantined(folder, "codes");
    assert_eq!(first.len(), 1);
    // A file of nothing but bad rows makes no commit; its rows are kept apart for all that.
    put(folder, "in/2.csv", "code,amount\nD,3\n");
    let ran = json(folder, &["sources", "ingest", "codes"]);
    assert_eq!((&ran[0]["new_commit"], &ran[0]["counts"]["quarantined"]), (&value!(false), &value!(2)));
    let both = quarantined(folder, "codes");
    assert_eq!(both.len(), 2);
    assert!(both.contains(&first[0]) && both.contains(&ran[0]["quarantine"].as_str().unwrap().to_owned()), "{ran}");
    // The same again is the same file.
    json(folder, &["sources", "ingest", "codes"]);
    assert_eq!(quarantined(folder, "codes"), both);

    put(folder, "sources/codes.yaml", &CODES.replace("[A, B]", "[A, B, C, D]"));
    assert_eq!(counts(folder, "codes"), [2, 0, 0, 1, 0]);
    let sql = "SELECT code, amount FROM codes ORDER BY code";
    assert_eq!(
        rows(folder, sql),
        value!([{"code": "A", "amount": 1}, {"code": "C", "amount": 2}, {"code": "D", "amount": 3}])
    );
    assert_eq!(counts(folder, "codes"), [0, 0, 0, 3, 0]);
    // A file that grows is another file: that is said once.
    put(folder, "in/1.csv", "code,amount\nA,1\nC,2\nA,4\n");
    let ran = karat(folder, &["sources", "ingest", "codes"]).ok();
    assert!(
        ran.stdout.contains("in/1.csv changed since it was ingested") && ran.stdout.contains("event_id"),
        "{ran:?}"
    );
    assert!(!karat(folder, &["sources", "ingest", "codes"]).ok().stdout.contains("changed since"));
}

#[test]
fn what_is_read_through_a_source_that_keeps_nothing_is_seen_to_change() {
    let project = ingest_project();
    let folder = project.path();
    let amount = || json(folder, &["features", "get", "summed", "1"])["features"]["amount"].clone();
    assert_eq!(amount(), 5);
    put(folder, "raw.csv", "id,amount\n1,6\n2,7\n");
    assert_eq!(amount(), 6);
    let commit = || json(folder, &["sources", "list"])[2]["commit"].clone();
    assert_eq!(commit(), 2);
    assert_eq!(amount(), 6);
    assert_eq!(commit(), 2);

    let ran = karat(folder, &["query", "SELECT * FROM raw"]).ends_with(2);
    assert!(ran.stderr.contains("source raw keeps no history (`keep: false`)"), "{}", ran.stderr);
    let ran = karat(folder, &["sources", "ingest", "raw"]).ends_with(2);
    assert!(ran.stderr.contains("source raw keeps no history (`keep: false`)"), "{}", ran.stderr);
    let ran = karat(folder, &["query", "SELECT * FROM smus"]).ends_with(2);
    assert!(ran.stderr.contains("there is no table `smus`; did you mean `sums`?"), "{}", ran.stderr);
}

#[test]
fn sources_that_were_never_ingested_are_told_from_those_that_do_not_exist() {
    let project = project();
    let ran = karat(project.path(), &["query", "SELECT * FROM orders"]).ends_with(2);
    assert!(
        ran.stderr.contains("source orders was never ingested: run `karat sources ingest orders`"),
        "{}",
        ran.stderr
    );
}

/// What says which rows remove their keys is part of what a source looks like.
#[test]
fn a_changed_condition_of_removal_is_not_passed_over() {
    let project = project();
    let folder = project.path();
    put(folder, "orders.csv", "id,client_id,at,known,op\n1,1,2021-10-01T00:00:00Z,2021-10-02T00:00:00Z,X\n");
    let orders = || feature(folder, "ordered", "2021-10-04T00:00:00Z");
    assert_eq!(orders(), 1);
    put(folder, "sources/orders.yaml", &ORDERS.replace("op = 'D'", "op IN ('D', 'X')"));
    assert_eq!(orders(), 0);
}

#[test]
fn two_ingests_at_once_leave_each_others_rows_alone() {
    let project = ingest_project();
    let folder = project.path();
    for round in 0..4 {
        put(folder, "in/1.csv", &format!("code,amount\nA,{round}\nC,{round}\n"));
        let at_once: Vec<_> = (0..3)
            .map(|_| {
                command(folder, &["sources", "ingest", "codes"]).stdout(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        let ended: Vec<bool> = at_once.into_iter().map(|mut child| child.wait().unwrap().success()).collect();
        assert!(ended.contains(&true), "one of them takes the delivery");
        assert_eq!(quarantined(folder, "codes").len(), round + 1);
    }
}
