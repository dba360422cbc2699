//! A small project with every joint of a large one: files with traps, a join, features over time, a model with a gate,
//! an endpoint. Everything is computed, so every run sees the same data.

use std::fmt::Write;
use std::path::Path;

use tempfile::TempDir;

pub const CLIENTS: u64 = 80;
pub const MONTHS: u64 = 24;

const KARAT: &str = "name: small\nserver: {port: 8000}\n";

const PEOPLE: &str = "kind: Source
name: people
path: data/people.csv
columns: {client_id: int, region: text, joined: date}
keys: [client_id]
contract:
  - {check: unique, columns: [client_id]}
  - {check: range, column: joined, max: \"2024-12-31\", action: set_null}
";

const PAYMENTS: &str = "kind: Source
name: payments
path: data/payments.csv
columns: {client_id: int, month: date, amount: float, late: int}
prepare:
  month_end: add_months(month, 1)
  late: late = 1
keys: [client_id, month]
event_time: month
known_time: month_end
contract:
  - {check: unique, columns: [client_id, month]}
  - {check: range, column: amount, min: 0, action: quarantine}
  - {check: row_count, min: 100, action: fail}
";

const LOANS: &str = "kind: Source
name: loans
sql: |
  SELECT p.client_id, p.month, p.month_end, p.amount, p.late, c.region
  FROM payments p JOIN people c ON p.client_id = c.client_id
keys: [client_id, month]
event_time: month
known_time: month_end
";

const CLIENT: &str = "kind: Entity\nname: client\nkey: client_id\ntype: int\n";

const HISTORY: &str = "kind: FeatureView
name: history
entity: client
source: loans
features:
  nb: {count: rows, words: number of earlier months}
  share_late: {share: late, words: share of earlier months paid late}
  late_last_3: {count: rows, where: late, window: 3 months}
  mean_amount: {mean: amount}
";

const PERSON: &str = "kind: FeatureView
name: person
entity: client
source: people
features:
  region: {last: region}
  years: {expression: \"years_between(joined, as_of)\", words: years as a client}
";

const MODEL: &str = "kind: Model
name: default_risk
task: binary
spine: {source: loans, entity: client, as_of: month, label: late, label_time: month_end}
features: [history, person]
split: {by: time, validation: 5 months, test: 5 months}
estimator: {lightgbm: {learning_rate: 0.1, num_leaves: 7, rounds: 60, early_stopping: 15, min_data_in_leaf: 10}}
labels: [paid, late]
gates: [auc >= 0.55, auc >= champion.auc]
approval: required
";

const ENDPOINT: &str = "kind: Endpoint\nname: decide\nmodel: default_risk\nunknown_key: reject\n";

/// The project in a folder of its own.
pub fn project() -> TempDir {
    let folder = karat_test_support::temp_dir();
    let files = [
        ("karat.yaml", KARAT),
        ("sources/people.yaml", PEOPLE),
        ("sources/payments.yaml", PAYMENTS),
        ("sources/loans.yaml", LOANS),
        ("entities/client.yaml", CLIENT),
        ("features/history.yaml", HISTORY),
        ("features/person.yaml", PERSON),
        ("models/default_risk.yaml", MODEL),
        ("endpoints/decide.yaml", ENDPOINT),
        ("data/people.csv", &people()),
        ("data/payments.csv", &payments()),
    ];
    for (path, text) in files {
        put(folder.path(), path, text);
    }
    folder
}

pub fn put(folder: &Path, path: &str, text: &str) {
    let file = folder.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// Replaces what stands once in a file.
pub fn edit(folder: &Path, file: &str, old: &str, new: &str) {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    assert_eq!(text.matches(old).count(), 1, "`{old}` should stand once in {file}");
    put(folder, file, &text.replace(old, new));
}

/// Client 1's date lies in the year 3021.
fn people() -> String {
    let mut text = "client_id,region,joined\n".to_owned();
    for client in 1..=CLIENTS {
        let year = if client == 1 { 3021 } else { 2010 + client % 10 };
        writeln!(text, "{client},{},{year}-0{}-15", ["north", "south", "east"][client as usize % 3], 1 + client % 9)
            .unwrap();
    }
    text
}

/// `CLIENTS * MONTHS` rows that join, then one row each of: the same key again, an amount below 0, an amount that is no
/// number, a client nobody knows.
fn payments() -> String {
    let mut text = "client_id,month,amount,late\n".to_owned();
    let mut state = 12_345u64;
    for client in 1..=CLIENTS {
        let mut late = false;
        for month in 0..MONTHS {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chance = if late {
                65
            } else if client % 4 == 0 {
                25
            } else {
                6
            };
            late = (state >> 33) % 100 < chance;
            let amount = 100 + (state >> 40) % 900;
            writeln!(text, "{client},{}-{:02}-01,{amount}.5,{}", 2020 + month / 12, 1 + month % 12, u8::from(late))
                .unwrap();
        }
    }
    text.push_str("1,2020-01-01,7.0,0\n2,2022-01-01,-1.0,0\n3,2022-01-01,much,0\n999,2021-01-01,5.0,1\n");
    text
}
