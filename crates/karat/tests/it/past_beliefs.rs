//! Late rows and corrections over several deliveries: whatever was believed at any time, `features get` says it as brute force
//! over the rows delivered does, and `features why` names the rows that add up to it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value as Json, json as value};
use tempfile::TempDir;

use crate::small::put;
use crate::support::{json, karat};

const SOURCE: &str = "kind: Source
name: payments
path: payments.csv
columns: {id: int, client: int, day: date, booked: date, amount: int}
keys: [id]
delivery: changes
event_time: day
known_time: booked
";

const VIEW: &str = "kind: FeatureView
name: paid
entity: client
source: payments
features:
  nb: {count: rows}
  total: {sum: amount}
  large: {sum: amount, where: amount > 50}
  recent: {sum: amount, window: 20 days}
  latest: {last: amount, words: the newest payment}
  average: {expression: total / nb}
";

/// Days are counted from 2021-01-01.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: i64,
    client: i64,
    day: i64,
    booked: i64,
    commit: i64,
    amount: i64,
}

fn date(day: i64) -> String {
    let months = [31, 28, 31, 30, 31, 30];
    let (mut month, mut rest) = (0, day);
    while rest >= months[month] {
        rest -= months[month];
        month += 1;
    }
    format!("2021-{:02}-{:02}", month + 1, rest + 1)
}

fn project() -> TempDir {
    let folder = karat_test_support::temp_dir();
    for (path, text) in [
        ("karat.yaml", "name: beliefs\n"),
        ("sources/payments.yaml", SOURCE),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client\ntype: int\n"),
        ("features/paid.yaml", VIEW),
    ] {
        put(folder.path(), path, text);
    }
    folder
}

/// Five deliveries: new rows, rows that come late, corrections of earlier ones.
fn delivered(folder: &Path, random: &mut fastrand::Rng) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for commit in 1..=5 {
        let mut delivery: BTreeMap<i64, Row> = BTreeMap::new();
        for _ in 0..12 {
            let id = rows.iter().map(|row| row.id).chain(delivery.keys().copied()).max().unwrap_or(0) + 1;
            let day = random.i64(0..90);
            let row = Row {
                id,
                client: random.i64(1..4),
                day,
                booked: day + random.i64(0..40),
                commit,
                amount: random.i64(1..100),
            };
            delivery.insert(id, row);
        }
        for _ in 0..if commit == 1 { 0 } else { 6 } {
            let of = rows[random.usize(..rows.len())];
            // Never the same once more: a row that says nothing new is none.
            let amount = 100 * commit + random.i64(1..100);
            delivery.insert(of.id, Row { booked: of.booked + random.i64(0..20), commit, amount, ..of });
        }
        let mut text = "id,client,day,booked,amount\n".to_owned();
        for row in delivery.values() {
            writeln!(text, "{},{},{},{},{}", row.id, row.client, date(row.day), date(row.booked), row.amount).unwrap();
        }
        put(folder, "payments.csv", &text);
        karat(folder, &["sources", "ingest"]).ok();
        rows.extend(delivery.into_values());
    }
    rows
}

/// Of each id the row known last, among those of the client that had happened and were known; in the order of time.
fn visible(rows: &[Row], client: i64, as_of: i64, known_at: i64) -> Vec<Row> {
    let mut best: BTreeMap<i64, Row> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.client == client && row.day < as_of && row.booked <= known_at) {
        let held = best.entry(row.id).or_insert(*row);
        if (row.booked, row.commit) >= (held.booked, held.commit) {
            *held = *row;
        }
    }
    let mut visible: Vec<Row> = best.into_values().collect();
    visible.sort_by_key(|row| (row.day, row.id));
    visible
}

fn sum(rows: impl Iterator<Item = Row>) -> Json {
    let amounts: Vec<i64> = rows.map(|row| row.amount).collect();
    if amounts.is_empty() { Json::Null } else { value!(amounts.iter().sum::<i64>()) }
}

#[test]
fn any_past_belief_is_what_brute_force_says_and_its_events_add_up() {
    let project = project();
    let folder = project.path();
    let mut random = fastrand::Rng::with_seed(7);
    let rows = delivered(folder, &mut random);
    let (mut differing, mut revised) = (0, 0);
    for _ in 0..16 {
        let (client, as_of) = (random.i64(1..4), random.i64(20..100));
        let mut answers = Vec::new();
        for known_at in [as_of, as_of + random.i64(0..60), as_of - random.i64(0..20)] {
            let at = [date(as_of), date(known_at)].map(|day| format!("{day}T00:00:00Z"));
            let times = ["--as-of", &at[0], "--known-at", &at[1]];
            let key = client.to_string();
            let found = json(folder, &[&["features", "get", "paid", &key], &times[..]].concat());
            let seen = visible(&rows, client, as_of, known_at);
            let wanted = value!({
                "nb": seen.len(),
                "total": sum(seen.iter().copied()),
                "large": sum(seen.iter().copied().filter(|row| row.amount > 50)),
                "recent": sum(seen.iter().copied().filter(|row| row.day >= as_of - 20)),
                "latest": seen.last().map(|row| row.amount),
                "average": if seen.is_empty() { Json::Null } else { value!(sum(seen.iter().copied()).as_i64().unwrap() / seen.len() as i64) },
            });
            assert_eq!(found["features"], wanted, "client {client} as of {as_of} known at {known_at}");
            answers.push(found["features"]["total"].clone());

            let why = json(folder, &[&["features", "why", "paid", &key, "large", "--limit", "0"], &times[..]].concat());
            let events = why["events"].as_array().unwrap();
            let counted = events.iter().filter(|event| event["counts"] == true);
            let amounts: Vec<i64> = counted.map(|event| event["columns"]["amount"].as_i64().unwrap()).collect();
            let total = if amounts.is_empty() { Json::Null } else { value!(amounts.iter().sum::<i64>()) };
            assert_eq!((&why["value"], &total), (&wanted["large"], &wanted["large"]), "{why}");
            assert_eq!(why["counted"], amounts.len());
            let of_client = rows.iter().filter(|row| row.client == client).count() as u64;
            let left_out: u64 =
                why["left_out"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
            assert_eq!(left_out + amounts.len() as u64, of_client, "every row is accounted for: {why}");
            revised += why["left_out"]["revised"].as_u64().unwrap_or_default();
        }
        differing += usize::from(answers[0] != answers[1] || answers[0] != answers[2]);
    }
    assert!(differing > 4 && revised > 20, "late rows and corrections were met: {differing} {revised}");
}

#[test]
fn why_names_each_row_and_what_keeps_it_out() {
    let project = project();
    let folder = project.path();
    put(
        folder,
        "payments.csv",
        "id,client,day,booked,amount\n1,1,2021-01-01,2021-01-01,10\n2,1,2021-01-20,2021-01-20,60\n\
         3,1,2021-02-01,2021-03-01,70\n4,1,2021-04-01,2021-04-01,80\n9,2,2021-01-01,2021-01-01,1\n",
    );
    karat(folder, &["sources", "ingest"]).ok();
    put(folder, "payments.csv", "id,client,day,booked,amount\n1,1,2021-01-01,2021-01-05,55\n");
    let why = json(folder, &["features", "why", "paid", "1", "large", "--as-of", "2021-02-10T00:00:00Z"]);
    let told: Vec<Json> = why["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            value!([event["columns"]["id"], event["columns"]["amount"], event["reason"], event["commit"], event["row"]])
        })
        .collect();
    assert_eq!(
        value!(told),
        value!([
            [2, 60, null, 1, 2],
            [1, 55, null, 2, 1],
            [4, 80, "not_happened", 1, 4],
            [3, 70, "not_known", 1, 3],
            [1, 10, "revised", 1, 1],
        ])
    );
    assert_eq!((&why["value"], &why["counted"]), (&value!(115), &value!(2)));
    let human =
        karat(folder, &["features", "why", "paid", "1", "large", "--as-of", "2021-02-10T00:00:00Z"]).ok().stdout;
    for part in [
        "large of paid 1 is 115, as of 2021-02-10T00:00:00Z",
        "sum: amount, where: amount > 50",
        "2 events behind it",
        "3 left out",
        "it was not known before 2021-03-01T00:00:00Z",
        "it was revised, as known since 2021-01-05T00:00:00Z (commit 2)",
    ] {
        assert!(human.contains(part), "no `{part}` in\n{human}");
    }

    let average = json(folder, &["features", "why", "paid", "1", "average", "--as-of", "2021-02-10T00:00:00Z"]);
    assert_eq!(
        average["parts"],
        value!([
            {"name": "total", "is_column": false, "value": 115},
            {"name": "nb", "is_column": false, "value": 2},
        ])
    );
    assert_eq!(average["events"][0]["parts"], value!(["total", "nb"]));
    let recent = json(folder, &["features", "why", "paid", "1", "recent", "--as-of", "2021-02-10T00:00:00Z"]);
    assert_eq!((&recent["value"], &recent["left_out"]["window"]), (&Json::Null, &value!(2)));

    let nobody = json(folder, &["features", "why", "paid", "77", "nb", "--as-of", "2021-02-10T00:00:00Z"]);
    assert_eq!((&nobody["value"], &nobody["no_history"], &nobody["events"]), (&value!(0), &value!(true), &value!([])));
    let missing = karat(folder, &["features", "why", "paid", "1", "larg"]).ends_with(1);
    assert!(missing.stderr.contains("did you mean `large`?"), "{}", missing.stderr);
}
