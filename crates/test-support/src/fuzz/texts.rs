//! Small languages: gates, the tables of a query, lengths of time, instants, values, names of versions, keys.

use karat_core::{DataType, Instant, Name, Value, Window, Zone};
use karat_project::sql_tables;
use karat_registry::search::{EXPERIMENTS, RUNS, Value as Searched, parse_filter, parse_order};
use karat_registry::{Reference, gates::Gate};

use super::choice;

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) const GATE_WORDS: &[&str] =
    &["auc", "champion.", "champion", ">=", "<=", ">", "<", "==", "-", "+", ".", "0.9", "1e-3", "test.auc", "@10", "é"];

pub(super) fn gate_seeds() -> Vec<Vec<u8>> {
    seeds(&["auc >= 0.9", "test.auc >= champion.test.auc", "ks > champion.ks - 0.01", "log_loss < 1.5e-1"])
}

pub(super) fn gate(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Gate>() {
        Ok(gate) => assert_eq!(gate.to_string().parse(), Ok(gate), "a gate prints back to itself"),
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}"),
    }
}

pub(super) const FILTER_WORDS: &[&str] = &[
    "metrics.",
    "params.",
    "tags.",
    "attributes.",
    "dataset.",
    "`",
    "\"",
    "'",
    "''",
    "\\'",
    " AND ",
    " IN ",
    "NOT ",
    " IS NULL",
    "LIKE",
    "ILIKE",
    ">=",
    "!=",
    "<>",
    "(",
    ")",
    ",",
    "-1.5e-3",
    ".5",
    "name",
    "run_id",
    "é",
    " DESC",
];

pub(super) fn filter_seeds() -> Vec<Vec<u8>> {
    seeds(&[
        "metrics.`a b` >= -1.5e-3 AND params.\"x.y\" LIKE 'a%' AND tag.mlflow.user != \"it's\"",
        "run_id IN ('a', 'b') AND datasets.context NOT IN (\"a\") AND created < 5 AND tags.t IS NOT NULL",
        "name ILIKE 'x%' AND experiment_id = '1' AND creation_time > 5",
        "metrics.a DESC",
    ])
}

/// Filters and orders of MLflow's clients.
pub(super) fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for subject in [&RUNS, &EXPERIMENTS] {
        match parse_filter(text, subject) {
            Ok(comparisons) => {
                for comparison in comparisons {
                    if let Searched::Text(value) = &comparison.value {
                        assert!(text.contains(value.as_str()), "{value} stands in {text}");
                    }
                }
            }
            Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}"),
        }
        if let Err(error) = parse_order(&[text], subject) {
            assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}");
        }
    }
}

pub(super) const TABLE_WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "JOIN",
    "WITH",
    "AS",
    "LATERAL",
    "extract(",
    "trim(",
    "IS DISTINCT FROM",
    "(",
    ")",
    ",",
    ".",
    "\"",
    "'",
    "--",
    "/*",
    "*/",
    "$$",
    "é",
    "unnest(",
    "RECURSIVE",
];

pub(super) fn table_seeds() -> Vec<Vec<u8>> {
    seeds(&[
        "SELECT p.a, c.b FROM payments p JOIN \"People\" c ON p.id = c.id WHERE extract(year FROM p.day) > 2020",
        "WITH late AS (SELECT * FROM loans WHERE late), x AS (SELECT 1) SELECT * FROM late, x, (a JOIN b ON 1 = 1)",
        "SELECT 'FROM nowhere' /* FROM */ -- FROM x\nFROM main.t CROSS JOIN unnest(l) WHERE a IS DISTINCT FROM b",
    ])
}

pub(super) fn tables(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for table in sql_tables(text) {
        let written = text.get(table.span.clone()).unwrap_or_else(|| panic!("no such place: {:?}", table.span));
        assert!(!written.is_empty(), "{table:?}");
        assert!(table.quoted || written.contains(&table.name), "{table:?} is written {written}");
    }
}

pub(super) const TIME_WORDS: &[&str] = &[
    "microseconds",
    "second",
    "minutes",
    "hour",
    "days",
    "weeks",
    "months",
    "years",
    "year",
    "4294967295",
    "4294967296",
    "9999",
    "-9999-01-01",
    "9999-12-31",
    "T24:00:00",
    "Z",
    "+02:00",
    "-23:59",
    "[Europe/Prague]",
    "always",
    "never",
    "é",
];

pub(super) fn window_seeds() -> Vec<Vec<u8>> {
    seeds(&["30 days", "6 months", "1 year", "2021-10-01T00:00:00Z", "2021-10-01T02:00:00.123456+02:00", "2021-10-01"])
}

pub(super) fn window(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let prague = Zone::named("Europe/Prague").expect("a known zone");
    if let Ok(window) = text.parse::<Window>() {
        assert_eq!(window.to_string().parse(), Ok(window), "a length of time prints back to itself");
        let now = Instant::from_micros(1_633_046_400_000_000);
        for zone in [&Zone::utc(), &prague] {
            assert!(window.start(now, zone) <= now, "{window} leads back");
            assert!(window.end(now, zone) >= now, "{window} leads on");
        }
    }
    if let Ok(instant) = Instant::parse(text) {
        assert_eq!(instant.to_string().parse(), Ok(instant), "an instant prints back to itself");
        assert_eq!(prague.month_start(instant).min(instant), prague.month_start(instant), "{instant}");
    }
    for wanted in TYPES {
        let Ok(value) = Value::parse(text, wanted, &prague) else { continue };
        assert_eq!(value.data_type(), Some(wanted));
        let again = Value::from_json(&value.to_json(), wanted);
        assert!(again.as_ref() == Ok(&value), "{value:?} comes back from JSON as {again:?}");
    }
}

const TYPES: [DataType; 6] =
    [DataType::Bool, DataType::Int, DataType::Float, DataType::Text, DataType::Date, DataType::Timestamp];

pub(super) const NAME_WORDS: &[&str] =
    &["@champion", "/1", "/0", "/18446744073709551616", "@", "/", " ", "_", "-", "é"];

pub(super) fn name_seeds() -> Vec<Vec<u8>> {
    let mut all = seeds(&["credit_default", "credit_default@champion", "credit_default/12"]);
    let key = [Value::Int(-5), Value::text("a\0b"), Value::Null, Value::Float(-0.0), Value::Date(7), Value::Bool(true)];
    all.push(karat_features::encode_key(&key));
    all
}

/// Names, references to versions, and the bytes of keys.
pub(super) fn name(data: &[u8]) {
    if let Ok(values) = karat_features::decode_key(data) {
        assert_eq!(karat_features::encode_key(&values), data, "a key's bytes come back");
    }
    let (_, rest) = choice(data);
    for bytes in [data, rest] {
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        if let Ok(name) = Name::new(text) {
            assert_eq!(name.as_str(), text);
            assert!(!text.contains(['/', '\\', '.', '@', ' ']) && text.len() <= 63, "{text} is safe in a path");
        }
        if let Ok(reference) = text.parse::<Reference>() {
            assert_eq!(reference.to_string().parse::<Reference>().ok(), Some(reference), "{text}");
        }
    }
}
