//! What a definition pins, and how views say what is wrong with them.

use karat_core::{DataType, Digest, ValueType, Window};
use karat_features::{CompiledView, Definition, DefinitionError, Identity, SourceDefinition};
use karat_project::spec::FeatureView;
use serde_json::json;

use crate::histories::{client, source, view_of};
use crate::oracle::Rules;

fn rules() -> Rules {
    Rules { timed: true, include_as_of: false, zone: "UTC".to_owned() }
}

fn view() -> FeatureView {
    view_of([
        ("nb".to_owned(), json!({"count": "rows"})),
        ("avg".to_owned(), json!({"mean": "amount", "window": "30 days"})),
        ("age".to_owned(), json!({"expression": "years_between(day, as_of)"})),
    ])
}

fn define(view: &FeatureView, source: SourceDefinition) -> Definition {
    Definition::new(view, &[client()], source).unwrap()
}

#[test]
fn the_digest_covers_what_changes_values_and_nothing_else() {
    let digest = define(&view(), source(&rules())).digest();
    let with = |change: &dyn Fn(&mut FeatureView)| {
        let mut view = view();
        change(&mut view);
        define(&view, source(&rules())).digest()
    };
    let words = with(&|view| {
        view.description = Some("about clients".to_owned());
        view.owner = Some("risk".to_owned());
        view.tags.insert("team".to_owned(), "risk".to_owned());
        view.stale_after = Some(Window::Months(1));
        view.online_horizon = Some(Window::Months(12));
        view.name = karat_core::Name::new("renamed").unwrap();
        for feature in view.features.values_mut() {
            feature.words = Some("in words".to_owned());
            feature.description = Some("at length".to_owned());
            feature.checks.push(serde_json::from_value(json!({"check": "not_null"})).unwrap());
        }
    });
    assert_eq!(words, digest);

    let mut digests = vec![digest.clone(), with(&|view| view.ttl = Some(Window::Months(1)))];
    for (name, feature) in [
        ("nb", json!({"count": "amount"})),
        ("nb", json!({"count": "rows", "where": "late"})),
        ("avg", json!({"mean": "amount", "window": "31 days"})),
        ("avg", json!({"mean": "amount", "window": "1 month"})),
        ("avg", json!({"mean": "amount", "window": "30 days", "last": 6})),
        ("avg", json!({"max": "amount", "window": "30 days"})),
        ("avg", json!({"stddev": "amount", "window": "30 days"})),
        ("avg", json!({"variance": "amount", "window": "30 days"})),
        ("avg", json!({"quantile": "amount", "q": 0.9, "window": "30 days"})),
        ("avg", json!({"quantile": "amount", "q": 0.8, "window": "30 days"})),
        ("avg", json!({"approx_distinct": "amount", "window": "30 days"})),
        ("age", json!({"expression": "months_between(day, as_of)"})),
        ("more", json!({"last": "city"})),
    ] {
        digests.push(with(&|view| {
            view.features.insert(name.to_owned(), serde_json::from_value(feature.clone()).unwrap());
        }));
    }
    digests.push(with(&|view| view.features.reverse()));
    let spelt = |feature: serde_json::Value| {
        with(&|view| {
            view.features.insert("avg".to_owned(), serde_json::from_value(feature.clone()).unwrap());
        })
    };
    assert_eq!(spelt(json!({"median": "amount"})), spelt(json!({"quantile": "amount", "q": 0.5})));

    let from = |change: &dyn Fn(&mut SourceDefinition)| {
        let mut source = source(&rules());
        change(&mut source);
        let mut client = client();
        client.keys[0].data_type = source.columns.column("client").unwrap().data_type;
        Definition::new(&view(), &[client], source).unwrap().digest()
    };
    digests.push(from(&|source| source.include_as_of = true));
    digests.push(from(&|source| source.available_after = Some(Window::Months(1))));
    digests.push(from(&|source| source.known_time = Some("happened".to_owned())));
    digests.push(from(&|source| source.event_time = Some("day".to_owned())));
    digests.push(from(&|source| source.time_zone = karat_core::Zone::named("Europe/Prague").unwrap()));
    digests.push(from(&|source| source.sequence = None));
    digests.push(from(&|source| source.identity = Identity::EventId("id".to_owned())));
    digests.push(from(&|source| source.upstream = Digest::of("another prepare")));
    digests.push(from(&|source| {
        let columns = source.columns.columns().iter().cloned().map(|mut column| {
            if column.name == "client" {
                column.data_type = DataType::Text;
            }
            column
        });
        source.columns = karat_core::Schema::new(columns.collect());
    }));
    let town = crate::histories::town();
    let of = |entities: &[karat_project::spec::Entity]| {
        Definition::new(&view(), entities, source(&rules())).unwrap().digest()
    };
    digests.extend([of(&[client(), town.clone()]), of(&[town.clone(), client()])]);
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count, "every one of these changes can change a value");

    // A column that nothing uses cannot.
    let fewer = from(&|source| {
        let columns = source.columns.columns().iter().filter(|column| column.name != "unused");
        source.columns = karat_core::Schema::new(columns.cloned().collect());
    });
    assert_eq!(fewer, digest);
}

#[test]
fn definitions_come_back_from_json() {
    let definition = define(&view(), source(&rules()));
    let json = serde_json::to_string(&definition).unwrap();
    let back: Definition = serde_json::from_str(&json).unwrap();
    assert_eq!(back, definition);
    assert_eq!(back.digest(), definition.digest());
    let compiled = CompiledView::compile(back).unwrap();
    assert_eq!(compiled.digest(), &definition.digest());
    let names: Vec<&str> = compiled.source_columns().names().collect();
    assert_eq!(names, ["client", "id", "amount", "day", "turn"]);
}

#[test]
fn another_semantics_is_refused() {
    let mut definition = define(&view(), source(&rules()));
    definition.semantics += 1;
    let error = CompiledView::compile(definition).unwrap_err();
    assert!(matches!(error, DefinitionError::Semantics { .. }), "{error}");
}

#[test]
fn mistakes_name_the_feature_and_the_place() {
    let facts = Rules { timed: false, ..rules() };
    for (rules, features, path, message) in [
        (
            rules(),
            vec![("a", json!({"mean": "amonut"}))],
            "features.a.mean",
            "feature `a`: no column `amonut` in `amonut`; did you mean `amount`?",
        ),
        (
            rules(),
            vec![("a", json!({"mean": "city"}))],
            "features.a.mean",
            "feature `a`: `mean` takes numbers, not text",
        ),
        (
            rules(),
            vec![("a", json!({"stddev": "late"}))],
            "features.a.stddev",
            "feature `a`: `stddev` takes numbers, not bool",
        ),
        (
            rules(),
            vec![("a", json!({"median": "day"}))],
            "features.a.median",
            "feature `a`: `median` takes numbers, not date",
        ),
        (
            rules(),
            vec![("a", json!({"quantile": "city", "q": 0.9}))],
            "features.a.quantile",
            "feature `a`: `quantile` takes numbers, not text",
        ),
        (
            rules(),
            vec![("a", json!({"share": "n"}))],
            "features.a.share",
            "feature `a`: `share` takes a condition, true or false, not int",
        ),
        (
            rules(),
            vec![("a", json!({"count": "rows", "where": "n"}))],
            "features.a.where",
            "feature `a`: `n` is int: a condition is true or false",
        ),
        (
            rules(),
            vec![("a", json!({"expression": "b + 1"})), ("b", json!({"expression": "a + 1"}))],
            "features.a.expression",
            "feature `a`: it is computed from itself: a from b from a",
        ),
        (
            rules(),
            vec![("nb", json!({"count": "rows"})), ("a", json!({"expression": "nbb + 1"}))],
            "features.a.expression",
            "feature `a`: no column `nbb` in `nbb + 1`; did you mean `nb`?",
        ),
        (
            rules(),
            vec![("as_of", json!({"count": "rows"}))],
            "features.as_of",
            "feature `as_of`: the name is taken: choose another",
        ),
        (
            facts.clone(),
            vec![("a", json!({"count": "rows", "window": "1 day"}))],
            "features.a.window",
            "feature `a`: its source has no event_time, so its rows are in no window",
        ),
        (
            facts,
            vec![("a", json!({"time_since": "rows"}))],
            "features.a.time_since",
            "feature `a`: its source has no event_time",
        ),
    ] {
        let view = view_of(features.into_iter().map(|(name, feature)| (name.to_owned(), feature)));
        let error = Definition::new(&view, &[client()], source(&rules)).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.path(), path);
    }
    // All of them, and none twice: what reads a feature that is wrong is not wrong itself.
    let several = view_of(
        [
            ("a", json!({"mean": "amont"})),
            ("b", json!({"expression": "a + 1"})),
            ("c", json!({"expression": "nope + 1"})),
            ("d", json!({"expression": "e + 1"})),
            ("e", json!({"expression": "d + 1"})),
            ("fine", json!({"count": "rows"})),
        ]
        .map(|(name, feature)| (name.to_owned(), feature)),
    );
    let problems = Definition::check(&several, &[client()], source(&rules())).unwrap_err();
    let paths: Vec<String> = problems.iter().map(|problem| problem.path()).collect();
    assert_eq!(paths, ["features.a.mean", "features.c.expression", "features.d.expression"], "{problems:?}");

    let mut entity = client();
    entity.keys[0].name = "cleint".to_owned();
    let error = Definition::new(&view(), &[entity], source(&rules())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source `events` has no column `cleint`, the key of entity `client`; did you mean `client`?"
    );
    let mut entity = client();
    entity.keys[0].data_type = DataType::Text;
    let error = Definition::new(&view(), &[entity], source(&rules())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column `client` of source `events` is an int, and the key of entity `client` is a text: declare the same type \
         in both"
    );
}

#[test]
fn a_name_is_the_other_feature_before_the_column_and_within_itself_the_column() {
    let view = view_of([
        ("n".to_owned(), json!({"expression": "n + 1"})),
        ("from_feature".to_owned(), json!({"expression": "n * 10"})),
        ("city".to_owned(), json!({"count": "rows"})),
        ("cities".to_owned(), json!({"expression": "city + 1"})),
    ]);
    let compiled = CompiledView::compile(define(&view, source(&rules()))).unwrap();
    let types: Vec<ValueType> = compiled.outputs().iter().map(|output| output.value_type).collect();
    assert_eq!(types, [ValueType::One(DataType::Int); 4]);
}

#[test]
fn a_list_is_of_so_many_events_and_nothing_else_reads_it() {
    let feature =
        |json| serde_json::from_value::<karat_project::spec::Feature>(json).map_err(|error| error.to_string());
    assert_eq!(
        feature(json!({"list": "amount"})).unwrap_err(),
        "`list` needs `last: n`: how many of the last events it is of, such as `last: 5`"
    );
    assert_eq!(
        feature(json!({"list": "amount", "last": 1001})).unwrap_err(),
        "a `list` is of at most 1000 events, and `last` says 1001"
    );
    let written = json!({"list": "amount", "last": 1000, "where": "late"});
    assert_eq!(json!(feature(written.clone()).unwrap()), written);

    let recent = ("recent".to_owned(), json!({"list": "city", "last": 3}));
    let compiled = CompiledView::compile(define(&view_of([recent.clone()]), source(&rules()))).unwrap();
    assert_eq!(compiled.outputs()[0].value_type, ValueType::List(DataType::Text));
    for sql in ["recent", "upper(recent)", "coalesce(recent, city)"] {
        let view = view_of([recent.clone(), ("read".to_owned(), json!({"expression": sql}))]);
        let error = Definition::new(&view, &[client()], source(&rules())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "feature `read`: `recent` is a list, and expressions are of single values: read an aggregate over the same \
             events, such as `{mean: column, last: 5}`",
            "{sql}"
        );
    }
}

#[test]
fn a_horizon_covers_every_window() {
    let compiled = CompiledView::compile(define(&view(), source(&rules()))).unwrap();
    assert!(compiled.retention(Some("30 days".parse().unwrap())).is_ok());
    assert!(compiled.retention(Some("2 months".parse().unwrap())).is_ok());
    let error = compiled.retention(Some("1 month".parse().unwrap())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "online_horizon: 1 month is shorter than the window of 30 days: make it at least as long"
    );
}

#[test]
fn a_quantile_of_all_events_cannot_be_folded() {
    let horizon = Some("2 months".parse().unwrap());
    let compiled = |feature| {
        let view = view_of([("typical".to_owned(), feature)]);
        CompiledView::compile(define(&view, source(&rules()))).unwrap()
    };
    for kept in [json!({"median": "amount", "window": "30 days"}), json!({"median": "amount", "last": 5})] {
        compiled(kept).retention(horizon).unwrap();
    }
    let all = compiled(json!({"quantile": "amount", "q": 0.9, "where": "late"}));
    all.retention(None).unwrap();
    assert_eq!(
        all.retention(horizon).unwrap_err().to_string(),
        "online_horizon: feature `typical` is an exact quantile of all events, and those before the horizon are not \
         kept: give it a `window` within 2 months, or `last: n`; or leave `online_horizon` out"
    );
}

#[test]
fn a_time_to_live_is_the_window_of_features_that_have_none() {
    let features = |window: Option<&str>| {
        let windowed = |mut feature: serde_json::Value| {
            if let Some(window) = window {
                feature["window"] = window.into();
            }
            feature
        };
        view_of([
            ("nb".to_owned(), windowed(json!({"count": "rows"}))),
            ("recent".to_owned(), json!({"count": "rows", "window": "2 days"})),
            ("of_last".to_owned(), windowed(json!({"sum": "n", "last": 3}))),
        ])
    };
    let compiled = |view: &FeatureView| CompiledView::compile(define(view, source(&rules()))).unwrap();
    let (lives, windowed) =
        (FeatureView { ttl: Some("30 days".parse().unwrap()), ..features(None) }, features(Some("30 days")));
    for horizon in ["30 days", "29 days"] {
        let of = |view| compiled(view).retention(Some(horizon.parse().unwrap())).map_err(|error| error.to_string());
        assert_eq!(of(&lives), of(&windowed), "{horizon}");
    }
    let facts = SourceDefinition { event_time: None, ..source(&rules()) };
    let alone = FeatureView { ttl: lives.ttl, ..view_of([("nb".to_owned(), json!({"count": "rows"}))]) };
    assert_eq!(
        Definition::new(&alone, &[client()], facts).unwrap_err().to_string(),
        "ttl: source `events` has no event_time, so its rows have no age"
    );
}
