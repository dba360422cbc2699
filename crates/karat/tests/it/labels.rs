//! Labels that later events define: against brute force over the raw rows, revisions and late rows included; which cases are
//! open; and that nothing trains on a label that was not known.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::small::{edit, put};
use crate::support::{json, karat};

/// Days since 1970 of a date's text.
fn day(text: &str) -> i64 {
    i64::from(karat_core::time::civil_date(text).unwrap())
}

fn date(days: i64) -> String {
    karat_core::time::format_date(days as i32)
}

#[derive(Debug, Clone)]
struct Payment {
    id: i64,
    client: i64,
    paid: i64,
    booked: i64,
    days_late: i64,
    amount: Option<i64>,
    gone: bool,
}

/// A small generator of numbers: every run sees the same data.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end as u64) as i64
    }
}

const CLIENTS: i64 = 120;

/// Payments of a year and a half, some booked late, some booked again otherwise, some taken back; the second delivery brings
/// what was booked from October on.
fn payments(seed: u64) -> Vec<Payment> {
    let mut numbers = Numbers(seed);
    let first = day("2022-01-01");
    let mut all: Vec<Payment> = Vec::new();
    for id in 0..2400 {
        let paid = first + numbers.below(540);
        let lag = [0, 0, 0, 1, 5, 20, 45, 120][numbers.below(8) as usize];
        let amount = (numbers.below(9) > 0).then(|| numbers.below(500));
        let late = [0, 0, 0, 0, 3, 31, 95][numbers.below(7) as usize];
        let one = Payment { id, client: id % CLIENTS, paid, booked: paid + lag, days_late: late, amount, gone: false };
        if numbers.below(5) == 0 {
            let moved = paid + [0, 0, 10, -10][numbers.below(4) as usize];
            let revised = Payment {
                paid: moved,
                booked: one.booked + 1 + numbers.below(80),
                days_late: [0, 31, 120][numbers.below(3) as usize],
                gone: numbers.below(4) == 0,
                ..one.clone()
            };
            all.push(revised);
        }
        all.push(one);
    }
    all
}

fn csv(payments: &[Payment]) -> String {
    let mut text = "payment_id,client_id,paid,booked,days_late,amount,gone\n".to_owned();
    for p in payments {
        let amount = p.amount.map(|amount| amount.to_string()).unwrap_or_default();
        writeln!(
            text,
            "{},{},{},{},{},{amount},{}",
            p.id,
            p.client,
            date(p.paid),
            date(p.booked),
            p.days_late,
            i32::from(p.gone)
        )
        .unwrap();
    }
    text
}

fn applications() -> Vec<(i64, i64, i64)> {
    let mut numbers = Numbers(7);
    let first = day("2022-01-10");
    (0..900).map(|id| (id, numbers.below(CLIENTS + 3), first + numbers.below(520))).collect()
}

const PAYMENTS: &str = "kind: Source
name: payments
path: data/payments-*.csv
columns: {payment_id: int, client_id: int, paid: date, booked: date, days_late: int, amount: int, gone: int}
prepare: {gone: gone = 1}
keys: [payment_id]
delivery: changes
deleted: gone
event_time: paid
known_time: booked
";

const APPLICATIONS: &str = "kind: Source
name: applications
path: data/applications.csv
columns: {application_id: int, client_id: int, day: date, income: int}
keys: [application_id]
event_time: day
";

const VIEW: &str = "kind: FeatureView
name: history
entity: client
source: payments
features:
  nb: {count: rows}
  worst: {max: days_late}
";

const MODEL: &str = "kind: Model
name: risk
task: binary
spine:
  source: applications
  entity: client
  as_of: day
  label: {source: payments, where: days_late >= 30, observe: 90 days, collect: 30 days}
request: {income: int}
features: [history]
split: {by: time, validation: 6 months, test: 2 months}
estimator: {lightgbm: {num_leaves: 5, rounds: 20, min_data_in_leaf: 10}}
";

fn project(payments: &[Payment]) -> TempDir {
    let folder = karat_test_support::temp_dir();
    let mut applications_csv = "application_id,client_id,day,income\n".to_owned();
    for (id, client, day) in applications() {
        writeln!(applications_csv, "{id},{client},{},{}", date(day), id % 50).unwrap();
    }
    for (path, text) in [
        ("karat.yaml", "name: labels\n"),
        ("sources/payments.yaml", PAYMENTS),
        ("sources/applications.yaml", APPLICATIONS),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client_id\ntype: int\n"),
        ("features/history.yaml", VIEW),
        ("models/risk.yaml", MODEL),
        ("data/applications.csv", &applications_csv),
        ("data/payments-1.csv", &csv(payments)),
    ] {
        put(folder.path(), path, text);
    }
    folder
}

/// How a label is said, and what it means, written down once more.
struct Rule {
    file: &'static str,
    end: fn(i64) -> i64,
    collect: i64,
    include_as_of: bool,
    holds: fn(&[&Payment]) -> bool,
}

fn after_days<const N: i64>(day: i64) -> i64 {
    day + N
}

/// Three calendar months, the day clamped.
fn after_three_months(days: i64) -> i64 {
    let text = date(days);
    let (year, month): (i64, i64) = (text[..4].parse().unwrap(), text[5..7].parse().unwrap());
    let day_of_month: i64 = text[8..].parse().unwrap();
    let (year, month) = (year + (month + 2) / 12, (month + 2) % 12 + 1);
    (0..4)
        .find_map(|back| karat_core::time::civil_date(&format!("{year:04}-{month:02}-{:02}", day_of_month - back)))
        .unwrap()
        .into()
}

const RULES: [Rule; 4] = [
    Rule {
        file: "{source: payments, where: days_late >= 30, observe: 90 days, collect: 30 days}",
        end: after_days::<90>,
        collect: 30,
        include_as_of: false,
        holds: |events| events.iter().any(|p| p.days_late >= 30),
    },
    Rule {
        file: "{source: payments, max: days_late, at_least: 90, observe: 3 months, collect: 0 days}",
        end: after_three_months,
        collect: 0,
        include_as_of: false,
        holds: |events| events.iter().any(|p| p.days_late >= 90),
    },
    Rule {
        file: "{source: payments, sum: amount, where: days_late > 0, at_least: 300, observe: 60 days, collect: 45 days}",
        end: after_days::<60>,
        collect: 45,
        include_as_of: true,
        holds: |events| events.iter().filter(|p| p.days_late > 0).filter_map(|p| p.amount).sum::<i64>() >= 300,
    },
    Rule {
        file: "{source: payments, count: amount, at_least: 3, observe: 40 days, collect: 10 days}",
        end: after_days::<40>,
        collect: 10,
        include_as_of: false,
        holds: |events| events.iter().filter(|p| p.amount.is_some()).count() >= 3,
    },
];

/// The label of a client as of a day, `None` while its case is open.
fn brute_force(rule: &Rule, payments: &[Payment], client: i64, as_of: i64) -> Option<bool> {
    let end = (rule.end)(as_of);
    let known_at = end + rule.collect;
    let newest = payments.iter().filter(|p| !p.gone).map(|p| p.paid).max().unwrap();
    let newest_known = payments.iter().map(|p| p.booked).max().unwrap();
    if end > newest || known_at > newest_known {
        return None;
    }
    let mut current: HashMap<i64, &Payment> = HashMap::new();
    for p in payments {
        if p.booked <= known_at {
            let held = current.entry(p.id).or_insert(p);
            if (p.booked, p.paid) > (held.booked, held.paid) {
                *held = p;
            }
        }
    }
    let within = |p: &&&Payment| match rule.include_as_of {
        true => p.paid > as_of && p.paid <= end,
        false => p.paid >= as_of && p.paid < end,
    };
    let events: Vec<&Payment> =
        current.values().filter(|p| !p.gone && p.client == client).filter(within).copied().collect();
    Some((rule.holds)(&events))
}

/// The set as a list of `client day label`, sorted.
fn written(folder: &Path) -> (Vec<String>, Json) {
    let said = json(folder, &["features", "training-set", "risk", "--output", "set.csv"]);
    let text = std::fs::read_to_string(folder.join("set.csv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!((header[0], header[1], *header.last().unwrap()), ("client_id", "as_of", "label"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{} {} {}", cells[0], &cells[1][..10], cells.last().unwrap())
    };
    let mut rows: Vec<String> = lines.map(row).collect();
    rows.sort();
    (rows, said)
}

#[test]
fn labels_are_what_the_events_of_their_window_say() {
    for (seed, rule) in RULES.iter().enumerate() {
        let all = payments(seed as u64 + 1);
        let project = project(&all);
        let folder = project.path();
        edit(
            folder,
            "models/risk.yaml",
            "{source: payments, where: days_late >= 30, observe: 90 days, collect: 30 days}",
            rule.file,
        );
        if rule.include_as_of {
            edit(folder, "sources/payments.yaml", "known_time: booked\n", "known_time: booked\ninclude_as_of: true\n");
        }
        let mut expected = Vec::new();
        let mut open = 0;
        for (_, client, as_of) in applications() {
            match brute_force(rule, &all, client, as_of) {
                Some(label) => expected.push(format!("{client} {} {label}", date(as_of))),
                None => open += 1,
            }
        }
        expected.sort();
        let (rows, said) = written(folder);
        assert_eq!(rows, expected, "{}", rule.file);
        assert_eq!(said["open"], open, "{}", rule.file);
        let positives = expected.iter().filter(|row| row.ends_with("true")).count();
        assert!(open > 20 && positives > 30 && positives + 30 < expected.len(), "{open} {positives}");
    }
}

/// A second delivery brings what was booked later: cases close, and no label that stood changes.
#[test]
fn what_is_delivered_later_closes_cases_and_changes_no_label() {
    let all = payments(3);
    let until = day("2022-10-01");
    let (early, late): (Vec<Payment>, Vec<Payment>) = all.iter().cloned().partition(|p| p.booked < until);
    let project = project(&early);
    let folder = project.path();
    let (before, said) = written(folder);
    karat(folder, &["sources", "snapshot", "--tag", "october"]).ok();
    put(folder, "data/payments-2.csv", &csv(&late));
    let (after, later) = written(folder);
    assert!(after.len() > before.len() + 100, "{} {}", before.len(), after.len());
    assert_eq!(
        later["open"].as_u64().unwrap() + after.len() as u64,
        said["open"].as_u64().unwrap() + before.len() as u64
    );
    let missing: Vec<&String> = before.iter().filter(|row| !after.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    // As of then again, by the tag: the same set.
    let again = json(folder, &["features", "training-set", "risk", "--output", "then.csv", "--at", "october"]);
    assert_eq!(again["digest"], said["digest"]);
    assert_ne!(later["digest"], said["digest"]);
}

#[test]
fn what_trains_was_known_before_the_next_part_began() {
    let project = project(&payments(1));
    let folder = project.path();
    let trial = json(folder, &["train", "risk"]);
    let split = &trial["data"]["split"];
    let at = |part: &str, what: &str| split[part][what].as_str().unwrap().to_owned();
    assert!(at("train", "last_label_time") <= at("validation", "first_as_of"));
    assert!(at("validation", "last_label_time") <= at("test", "first_as_of"));
    // A label takes 120 days: what lies nearer before a part is not known when it begins.
    assert!(split["train"]["purged"].as_u64().unwrap() > 50, "{split}");
    let count = |value: &Json| value.as_u64().unwrap_or(0);
    let parts: u64 = ["train", "validation", "test"]
        .iter()
        .map(|part| count(&split[part]["rows"]) + count(&split[part]["purged"]))
        .sum();
    assert!(count(&split["open"]) > 0);
    assert_eq!(count(&split["rows"]), parts + count(&split["open"]) + count(&split["unlabelled"]));
    assert_eq!(count(&split["rows"]), 900);
    let human = karat(folder, &["train", "risk"]).ok().stdout;
    assert!(human.contains("rows are open: what defines their label may still come"), "{human}");

    // The run keeps the label's definition: it trains again whatever the file says by then.
    let run = trial["run_id"].as_str().unwrap();
    edit(folder, "models/risk.yaml", "days_late >= 30", "days_late >= 90");
    let again = json(folder, &["runs", "reproduce", run]);
    assert_eq!((&again["training_set"]["same"], &again["model"]["same"]), (&Json::Bool(true), &Json::Bool(true)));
    let other = json(folder, &["train", "risk"]);
    assert_ne!(other["data"]["digest"], trial["data"]["digest"]);
}

/// A payment that came a month late.
fn late(id: i64, client: i64, paid: i64, booked: i64) -> Payment {
    Payment { id, client, paid, booked, days_late: 31, amount: None, gone: false }
}

/// An event of the very first instant of a window counts, one of its end does not; what becomes known when collecting ends
/// still counts.
#[test]
fn windows_are_exact_at_their_edges() {
    let as_of = day("2022-03-01");
    let all = vec![
        late(1, 1, as_of, as_of),
        late(2, 2, as_of - 1, as_of),
        late(3, 3, as_of + 89, as_of + 120),
        late(4, 4, as_of + 89, as_of + 121),
        late(5, 5, as_of + 90, as_of + 90),
        late(6, 99, as_of + 90, as_of + 121),
    ];
    let project = project(&all);
    let folder = project.path();
    let mut applications = "application_id,client_id,day,income\n".to_owned();
    for client in 1..=5 {
        writeln!(applications, "{client},{client},2022-03-01,1").unwrap();
    }
    // One day later its window is not over.
    applications.push_str("6,1,2022-03-02,1\n");
    put(folder, "data/applications.csv", &applications);
    let (rows, said) = written(folder);
    let labels: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(
        labels,
        ["1 2022-03-01 true", "2 2022-03-01 false", "3 2022-03-01 true", "4 2022-03-01 false", "5 2022-03-01 false"]
    );
    assert_eq!(said["open"], 1);

    put(folder, "data/applications.csv", "application_id,client_id,day,income\n1,1,2022-06-01,1\n");
    let refused = karat(folder, &["features", "training-set", "risk", "--output", "none.csv"]).ends_with(1);
    assert!(refused.stderr.contains("every one of the 1 rows of applications is open"), "{}", refused.stderr);
    assert!(!folder.join("none.csv").exists());
}

/// An event of the window that is booked again at another day, out of the window: known while collecting, it counts no more,
/// whether it moved before the window, after it, or after the end of collecting.
#[test]
fn an_event_that_is_known_to_lie_elsewhere_counts_no_more() {
    let as_of = day("2022-03-01");
    let one = |client: i64, paid: i64, booked: i64| late(client, client, paid, booked);
    let mut all: Vec<Payment> = (1..=6).map(|client| one(client, as_of + 20, as_of + 20)).collect();
    all.extend([
        one(1, as_of - 20, as_of + 119),
        one(2, as_of + 100, as_of + 119),
        one(3, as_of + 200, as_of + 119),
        one(4, as_of + 100, as_of + 121),
        one(5, as_of + 30, as_of + 119),
        one(99, as_of + 300, as_of + 300),
    ]);
    let project = project(&all);
    let folder = project.path();
    let mut applications = "application_id,client_id,day,income\n".to_owned();
    for client in 1..=6 {
        writeln!(applications, "{client},{client},2022-03-01,1").unwrap();
    }
    put(folder, "data/applications.csv", &applications);
    let (rows, _) = written(folder);
    let labels: Vec<&str> = rows.iter().map(|row| row.rsplit(' ').next().unwrap()).collect();
    assert_eq!(labels, ["false", "false", "false", "true", "true", "true"]);
}
