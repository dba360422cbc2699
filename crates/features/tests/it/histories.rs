//! Random histories, views and readers, built so that edges are met often: few times, few keys, many ties.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use indexmap::IndexMap;
use karat_core::{Column, DataType, Digest, Instant, Name, Schema, Value, Zone, hidden};
use karat_features::{CompiledView, Definition, Identity, SourceDefinition, encode_key};
use karat_project::spec::{Entity, Feature, FeatureView};
use proptest::prelude::*;

use crate::oracle::{Aggregate, Reader, Record, Rules, Span_};

pub const DAY: i64 = 86_400_000_000;
const EXPRESSIONS: [(&str, &str); 5] = [
    ("column_city", "city"),
    ("years", "CASE WHEN day <= as_of THEN years_between(day, as_of) END"),
    ("double", "coalesce(nb, 0) * 2 + coalesce(n % 100, 0)"),
    ("again", "double + 1"),
    ("label", "CASE WHEN late THEN upper(city) ELSE city || '!' END"),
];

#[derive(Debug, Clone)]
pub struct Case {
    pub rules: Rules,
    pub aggregates: Vec<Aggregate>,
    pub records: Vec<Record>,
    pub readers: Vec<Reader>,
    pub up_to: Option<i64>,
    /// Whether the view is of a client in a city, not of the client alone.
    pub joint: bool,
    pub horizon: Option<&'static str>,
    /// As a project writes it, and as it is meant.
    pub ttl: Option<(&'static str, Span_)>,
    /// In which order, and in batches of which size, records arrive.
    pub shuffle: u64,
    pub batch: usize,
}

pub fn columns() -> Schema {
    Schema::new(vec![
        Column::new("client", DataType::Int),
        Column::new("id", DataType::Int),
        Column::new("amount", DataType::Float),
        Column::new("n", DataType::Int),
        Column::new("late", DataType::Bool),
        Column::new("city", DataType::Text),
        Column::new("day", DataType::Date),
        Column::new("happened", DataType::Timestamp),
        Column::new("turn", DataType::Int),
        Column::new("unused", DataType::Text),
    ])
}

pub fn source(rules: &Rules) -> SourceDefinition {
    SourceDefinition {
        name: Name::new("events").unwrap(),
        columns: columns(),
        keys: vec!["id".to_owned()],
        event_time: rules.timed.then(|| "happened".to_owned()),
        known_time: None,
        available_after: None,
        include_as_of: rules.include_as_of,
        time_zone: Zone::named(&rules.zone).unwrap(),
        sequence: Some("turn".to_owned()),
        identity: Identity::Keys(vec!["id".to_owned()]),
        upstream: Digest::of("as delivered"),
    }
}

pub fn client() -> Entity {
    Entity { name: Name::new("client").unwrap(), description: None, keys: vec![Column::new("client", DataType::Int)] }
}

pub fn town() -> Entity {
    Entity { name: Name::new("town").unwrap(), description: None, keys: vec![Column::new("city", DataType::Text)] }
}

pub fn view_of(features: impl IntoIterator<Item = (String, serde_json::Value)>) -> FeatureView {
    let features: IndexMap<String, Feature> =
        features.into_iter().map(|(name, feature)| (name, serde_json::from_value(feature).unwrap())).collect();
    FeatureView {
        name: Name::new("view").unwrap(),
        description: None,
        owner: None,
        tags: IndexMap::new(),
        entities: vec![Name::new("client").unwrap()],
        source: Name::new("events").unwrap(),
        ttl: None,
        stale_after: None,
        online_horizon: None,
        features,
    }
}

impl Case {
    pub fn view(&self) -> CompiledView {
        let aggregates = self.aggregates.iter().enumerate().map(|(index, aggregate)| {
            let mut feature = match aggregate.word.split_once(' ') {
                Some((word, q)) => serde_json::json!({ (word): aggregate.of, "q": q.parse::<f64>().unwrap() }),
                None => serde_json::json!({ (aggregate.word): aggregate.of }),
            };
            if let Some(condition) = aggregate.condition {
                feature["where"] = condition.into();
            }
            if let Some(window) = aggregate.window {
                feature["window"] = match window {
                    Span_::Micros(micros) if micros >= DAY => format!("{} days", micros / DAY).into(),
                    Span_::Micros(micros) => format!("{micros} microseconds").into(),
                    Span_::Months(months) => format!("{months} months").into(),
                };
            }
            if let Some(last) = aggregate.last {
                // `{last: column, last: n}` cannot be written: the limit then stands on another aggregate.
                feature["last"] = last.into();
            }
            (format!("f{index}"), feature)
        });
        let expressions =
            EXPRESSIONS.iter().map(|(name, sql)| ((*name).to_owned(), serde_json::json!({"expression": sql})));
        let nb = ("nb".to_owned(), serde_json::json!({"count": "rows"}));
        let ttl = self.ttl.map(|(text, _)| text.parse().unwrap());
        let view = FeatureView { ttl, ..view_of(expressions.chain(aggregates).chain([nb])) };
        let entities = if self.joint { vec![client(), town()] } else { vec![client()] };
        let view = FeatureView { entities: entities.iter().map(|entity| entity.name.clone()).collect(), ..view };
        let definition = Definition::new(&view, &entities, source(&self.rules)).unwrap();
        CompiledView::compile(definition).unwrap()
    }

    /// As the view's `ttl` narrows it.
    pub fn within(&self, one: &Aggregate) -> Aggregate {
        Aggregate { window: one.window.or(self.ttl.map(|(_, span)| span)), ..one.clone() }
    }

    /// The readers' keys, by column.
    pub fn keys(&self) -> Vec<ArrayRef> {
        let mut keys: Vec<ArrayRef> =
            vec![Arc::new(self.readers.iter().map(|reader| reader.client).collect::<Int64Array>())];
        if self.joint {
            keys.push(Arc::new(self.readers.iter().map(|reader| reader.city.flatten()).collect::<StringArray>()));
        }
        keys
    }

    /// What a reader's state lies under; `None` where it names nobody.
    pub fn key(&self, reader: Reader) -> Option<Vec<u8>> {
        let client = Value::Int(reader.client?);
        match reader.city {
            Some(city) => Some(encode_key(&[client, Value::text(city?)])),
            None => Some(encode_key(&[client])),
        }
    }

    /// The features' values in the order of [`Case::view`], and whether there was no history.
    pub fn expected(&self, reader: Reader) -> (Vec<Value>, bool) {
        use crate::oracle::{aggregate, back, column, visible};
        let rows = visible(&self.records, &self.rules, reader);
        // What is too old counts in nothing but that there is a history.
        let start = self.ttl.map(|(_, span)| back(reader.as_of, span, &self.rules.zone));
        let counts = |record: &&&Record| start.is_none_or(|start| record.event_time >= start);
        let young: Vec<&Record> = rows.iter().filter(counts).copied().collect();
        let last = |name: &str| young.last().map_or(Value::Null, |record| column(record, name));
        let nb = young.len() as i64;
        let n = match last("n") {
            Value::Int(n) => n % 100,
            _ => 0,
        };
        let years = match last("day") {
            Value::Date(day) if i64::from(day) * DAY <= reader.as_of => Value::Int(birthdays(day, reader.as_of)),
            _ => Value::Null,
        };
        let label = match (last("late"), last("city")) {
            (Value::Bool(true), Value::Text(city)) => Value::text(city.to_uppercase()),
            (_, Value::Text(city)) => Value::text(format!("{city}!")),
            _ => Value::Null,
        };
        let mut values = vec![last("city"), years, Value::Int(nb * 2 + n), Value::Int(nb * 2 + n + 1), label];
        let aggregates = self.aggregates.iter().map(|one| self.within(one));
        values.extend(aggregates.map(|one| aggregate(&one, &rows, &self.rules, reader.as_of)));
        values.push(Value::Int(nb));
        (values, rows.is_empty())
    }
}

/// Counted one by one.
fn birthdays(day: i32, as_of: i64) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    let born = epoch.checked_add(jiff::Span::new().days(day)).unwrap();
    let today = epoch.checked_add(jiff::Span::new().days(as_of.div_euclid(DAY))).unwrap();
    let passed = (today.month(), today.day()) >= (born.month(), born.day());
    i64::from(today.year()) - i64::from(born.year()) - i64::from(!passed)
}

pub fn batch(records: &[Record], rules: &Rules) -> RecordBatch {
    let cells = |data_type, cell: &dyn Fn(&Record) -> Value| -> ArrayRef {
        Value::to_array(&records.iter().map(cell).collect::<Vec<_>>(), data_type)
    };
    let of = |name: &'static str| move |record: &Record| crate::oracle::column(record, name);
    let mut arrays: Vec<ArrayRef> = vec![
        cells(DataType::Int, &|record| Value::Int(record.client)),
        cells(DataType::Int, &of("id")),
        cells(DataType::Float, &of("amount")),
        cells(DataType::Int, &of("n")),
        cells(DataType::Bool, &of("late")),
        cells(DataType::Text, &of("city")),
        cells(DataType::Date, &of("day")),
        cells(DataType::Timestamp, &of("happened")),
        cells(DataType::Int, &|record| record.sequence.map_or(Value::Null, Value::Int)),
        cells(DataType::Text, &|_| Value::Null),
    ];
    let timed = rules.timed;
    let ints = |cell: &dyn Fn(&Record) -> Option<i64>| Arc::new(records.iter().map(cell).collect::<Int64Array>());
    arrays.push(ints(&|record| timed.then_some(record.event_time)));
    arrays.push(ints(&|record| Some(record.known)));
    arrays.push(ints(&|record| Some(record.commit)));
    arrays.push(Arc::new(records.iter().map(|record| Some(record.removed)).collect::<BooleanArray>()));
    arrays.push(arrow::array::new_null_array(&hidden::file_type(), records.len()));
    arrays.push(ints(&|_| Some(1)));
    arrays.push(Arc::new(records.iter().map(|_| None::<&str>).collect::<StringArray>()));
    let mut fields: Vec<Field> = columns().arrow_fields();
    fields.extend(hidden::fields());
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).unwrap()
}

/// A permutation that depends on nothing but the seed.
pub fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut state = seed | 1;
    let mut keyed: Vec<(u64, T)> = items
        .iter()
        .map(|item| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 20, item.clone())
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}

fn at(text: &str) -> i64 {
    Instant::parse(text).unwrap().micros()
}

/// Times with something awkward about each: month ends, a leap day, both turns of the clocks, and far away.
fn times() -> impl Strategy<Value = i64> {
    let base: Vec<i64> = [
        "2023-01-31T00:00:00Z",
        "2023-02-28T00:00:00Z",
        "2023-03-26T00:30:00Z",
        "2023-03-26T01:00:00Z",
        "2023-03-31T00:00:00Z",
        "2023-04-26T00:30:00Z",
        "2023-10-29T00:30:00Z",
        "2023-10-29T01:30:00Z",
        "2023-11-29T01:30:00Z",
        "2024-02-29T00:00:00Z",
        "2024-03-31T12:00:00Z",
        "3021-09-18T00:00:00Z",
        "1612-01-01T00:00:00Z",
    ]
    .iter()
    .map(|text| at(text))
    .collect();
    let near = prop::sample::select(base[..11].to_vec());
    let any = prop_oneof![12 => near, 1 => prop::sample::select(base)];
    (any, prop::sample::select(vec![0, 0, 0, 1, -1, DAY, -DAY, 31 * DAY])).prop_map(|(base, step)| base + step)
}

fn amounts() -> impl Strategy<Value = Option<f64>> {
    let usual = prop::sample::select(vec![0.1, 0.2, -0.3, 1e9, -1e9, 1e-3, 7.0, 0.0, -0.0, 2.5]);
    let odd = prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    prop_oneof![2 => Just(None), 12 => usual.prop_map(Some), 1 => odd.prop_map(Some), 3 => (-1e6..1e6f64).prop_map(|x| Some((x * 1024.0).round() / 1024.0))]
}

fn records(revised: bool) -> impl Strategy<Value = Vec<Record>> {
    let numbers = prop_oneof![1 => Just(None), 6 => (-3..4i64).prop_map(Some), 1 => prop::sample::select(vec![i64::MAX - 1, i64::MIN]).prop_map(Some)];
    let cities = prop::option::weighted(0.8, prop::sample::select(vec!["Brno", "Praha", "", "Žďár"]));
    let days = prop::option::weighted(0.8, prop::sample::select(vec![0, 11_016, 19_000, 384_000, -130_000]));
    let known_later = prop::sample::select(vec![0, 0, 0, 0, 1, DAY, 40 * DAY]);
    let what = (amounts(), numbers, prop::option::weighted(0.8, any::<bool>()), cities, days);
    let record =
        (0..3i64, 0..12i64, times(), known_later, 1..4i64, prop::option::of(0..2i64), prop::bool::weighted(0.2), what)
            .prop_map(|(client, id, event_time, later, commit, sequence, removed, (amount, n, late, city, day))| {
                Record {
                    client,
                    id,
                    event_time,
                    known: event_time + later,
                    commit,
                    removed,
                    sequence,
                    amount,
                    n,
                    late,
                    city: city.map(str::to_owned),
                    day,
                }
            });
    prop::collection::vec(record, 0..25).prop_map(move |mut records| {
        if !revised {
            for (index, record) in records.iter_mut().enumerate() {
                record.id = 100 - index as i64;
                record.removed = false;
            }
        }
        // The law says which of two records wins unless they agree in all of this; a history has no such two.
        let mut seen = std::collections::HashSet::new();
        records.retain(|record| seen.insert((record.id, record.known, record.commit, record.removed)));
        // Delivered twice: the same record again.
        let again: Vec<Record> = if revised { records.iter().step_by(7).cloned().collect() } else { Vec::new() };
        records.extend(again);
        records
    })
}

fn aggregates(timed: bool) -> impl Strategy<Value = Vec<Aggregate>> {
    let kinds = prop::sample::select(vec![
        ("count", "rows"),
        ("count", "amount"),
        ("sum", "n"),
        ("sum", "n + 1"),
        ("sum", "amount"),
        ("mean", "amount"),
        ("mean", "n"),
        ("variance", "amount"),
        ("variance", "n"),
        ("stddev", "amount"),
        ("stddev", "n"),
        ("median", "amount"),
        ("quantile 0.9", "amount"),
        ("quantile 0.25", "n"),
        ("approx_distinct", "city"),
        ("approx_distinct", "amount"),
        ("approx_distinct", "n"),
        ("min", "amount"),
        ("max", "amount"),
        ("min", "city"),
        ("max", "day"),
        ("max", "late"),
        ("min", "happened"),
        ("first", "city"),
        ("first", "amount"),
        ("last", "n"),
        ("last", "city"),
        ("distinct", "city"),
        ("distinct", "amount"),
        ("share", "late"),
        ("share", "n > 1"),
        ("list", "amount"),
        ("list", "n"),
        ("list", "city"),
        ("list", "late"),
        ("list", "day"),
        ("list", "happened"),
        ("list", "n > 1"),
        ("time_since", "rows"),
        ("time_since", "late"),
    ]);
    let conditions = prop::option::weighted(0.4, prop::sample::select(vec!["late", "NOT late", "n > 1"]));
    let windows = prop::option::weighted(
        0.5,
        prop::sample::select(vec![
            Span_::Micros(0),
            Span_::Micros(1),
            Span_::Micros(DAY),
            Span_::Micros(30 * DAY),
            Span_::Months(1),
            Span_::Months(6),
            Span_::Months(12),
        ]),
    );
    let lasts = prop::option::weighted(0.3, 1..5usize);
    let listed = prop_oneof![4 => 1..5usize, 1 => Just(1_000)];
    let paired = prop::bool::weighted(0.3);
    let some = (kinds, conditions, windows, lasts, listed, paired).prop_map(
        move |((word, of), condition, window, last, listed, paired)| {
            let one = Aggregate {
                word: if !timed && word == "time_since" { "count" } else { word },
                of: if of == "n + 1" { "n" } else { of },
                condition,
                window: window.filter(|_| timed),
                last: if word == "list" { Some(listed) } else { last.filter(|_| word != "last") },
            };
            let partner = partner(word).filter(|_| paired).map(|word| Aggregate { word, ..one.clone() });
            std::iter::once(one).chain(partner).collect::<Vec<_>>()
        },
    );
    prop::collection::vec(some, 1..8).prop_map(|aggregates| aggregates.concat())
}

/// What is told by the same sums of the same cells.
fn partner(word: &str) -> Option<&'static str> {
    match word {
        "sum" => Some("mean"),
        "mean" => Some("sum"),
        "variance" => Some("stddev"),
        "stddev" => Some("variance"),
        "median" | "quantile 0.25" => Some("quantile 0.9"),
        "quantile 0.9" => Some("median"),
        _ => None,
    }
}

fn readers() -> impl Strategy<Value = Vec<Reader>> {
    let clients = prop_oneof![9 => (0..4i64).prop_map(Some), 1 => Just(None)];
    let windows = prop::sample::select(vec![0, 0, DAY, 30 * DAY, 31 * DAY, 28 * DAY]);
    let steps = prop::sample::select(vec![0, 0, 1, -1]);
    let known = prop_oneof![3 => Just(None), 1 => times().prop_map(Some), 1 => Just(Some(i64::MAX))];
    let cities = prop::option::weighted(0.9, prop::sample::select(vec!["Brno", "Praha", "", "Žďár"]));
    let one =
        (clients, cities, times(), windows, steps, known).prop_map(|(client, city, time, window, step, known_at)| {
            let as_of = time + window + step;
            Reader { client, city: Some(city), as_of, known_at: known_at.unwrap_or(as_of), up_to: None }
        });
    prop::collection::vec(one, 1..20)
}

pub fn cases() -> impl Strategy<Value = Case> {
    let zones = prop::sample::select(vec!["UTC", "Europe/Prague", "America/New_York"]);
    let rules = (prop::bool::weighted(0.85), any::<bool>(), zones).prop_map(|(timed, include_as_of, zone)| Rules {
        timed,
        include_as_of,
        zone: zone.to_owned(),
    });
    let ttls = prop::option::weighted(
        0.25,
        prop::sample::select(vec![
            ("1 day", Span_::Micros(DAY)),
            ("30 days", Span_::Micros(30 * DAY)),
            ("1 month", Span_::Months(1)),
            ("6 months", Span_::Months(6)),
        ]),
    );
    let horizons = prop::sample::select(vec!["400 days", "13 months", "370 days"]);
    (rules, prop::bool::weighted(0.6)).prop_flat_map(move |(rules, revised)| {
        let facts = !rules.timed;
        (
            Just(rules.clone()),
            aggregates(rules.timed),
            records(revised),
            readers(),
            prop::option::weighted(0.3, 1..3i64),
            (horizons.clone(), ttls.clone(), prop::bool::weighted(0.3)),
            any::<u64>(),
            1..9usize,
        )
            .prop_map(
                move |(rules, aggregates, mut records, mut readers, up_to, (horizon, ttl, joint), shuffle, batch)| {
                    if facts {
                        for record in records.iter_mut().step_by(2) {
                            record.known = i64::MIN;
                        }
                        let mut seen = std::collections::HashSet::new();
                        records.retain(|record| seen.insert((record.id, record.known, record.commit, record.removed)));
                    }
                    readers.iter_mut().for_each(|reader| reader.up_to = up_to);
                    if !joint {
                        readers.iter_mut().for_each(|reader| reader.city = None);
                    }
                    // An exact quantile of all events is refused where a horizon folds some of them.
                    let unfoldable = |one: &Aggregate| {
                        let is_quantile = one.word == "median" || one.word.starts_with("quantile");
                        is_quantile && one.window.is_none() && one.last.is_none()
                    };
                    let horizon = (!facts && !aggregates.iter().any(unfoldable)).then_some(horizon);
                    let ttl = ttl.filter(|_| !facts);
                    Case { rules, aggregates, records, readers, up_to, joint, horizon, ttl, shuffle, batch }
                },
            )
    })
}
