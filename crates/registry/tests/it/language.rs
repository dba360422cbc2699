//! The search language, away from any database.

use karat_registry::search::{Comparator, EXPERIMENTS, Entity, RUNS, Value, parse_filter, parse_order};
use proptest::prelude::*;

fn refused(text: &str) -> String {
    parse_filter(text, &RUNS).unwrap_err().to_string()
}

#[test]
fn comparisons_are_read_as_mlflow_reads_them() {
    let read = parse_filter(
        "metrics.`a b` >= -1.5e-3 and params.\"x.y\" LIKE 'a%' AND tag.mlflow.user != \"it's\" AND attr.`Run name` = 'x' \
         AND datasets.context NOT IN ('a', \"b\") AND created < 5 AND tags.t is not null",
        &RUNS,
    )
    .unwrap();
    let read: Vec<_> = read.iter().map(|c| (c.entity, c.key.as_str(), c.comparator, c.value.clone())).collect();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        read,
        [
            (Entity::Metric, "a b", Comparator::GreaterOrEqual, Value::Float(-1.5e-3)),
            (Entity::Param, "x.y", Comparator::Like, text("a%")),
            (Entity::Tag, "mlflow.user", Comparator::NotEqual, text("it's")),
            (Entity::Attribute, "run_name", Comparator::Equal, text("x")),
            (Entity::Dataset, "context", Comparator::NotIn, Value::List(vec!["a".into(), "b".into()])),
            (Entity::Attribute, "start_time", Comparator::Less, Value::Int(5)),
            (Entity::Tag, "t", Comparator::IsNotNull, Value::Nothing),
        ]
    );
    assert!(parse_filter("  ", &RUNS).unwrap().is_empty());
    // Strings are kept as they are written; a doubled quote does not end one.
    let value = |filter: &str| parse_filter(filter, &RUNS).unwrap()[0].value.clone();
    assert_eq!(value("params.p = 'it''s'"), text("it''s"));
    assert_eq!(value("params.p = 'a\\'b'"), text("a\\'b"));
    assert_eq!(value("params.p = 'a\\'"), text("a\\"));
}

#[test]
fn mistakes_are_told_in_mlflows_words_and_with_their_place() {
    for (filter, said) in [
        ("metrics.a > 'x'", "Expected numeric value type for metric. Found 'x' (at character 13)"),
        (
            "params.p = 1",
            "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 1 (at character 12)",
        ),
        (
            "params.p = x",
            "Parameter value is either not quoted or unidentified quote types used for string value x. Use either single or \
             double quotes. (at character 12)",
        ),
        (
            "foo.x = 1",
            "Invalid entity type 'foo'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset'] (at character 1)",
        ),
        (
            "a = 'b'",
            "Invalid attribute key 'a' specified. Valid keys are '{'Created', 'Run Name', 'Run name', 'artifact_uri', 'created', \
             'end_time', 'run name', 'run_id', 'run_name', 'start_time', 'status', 'user_id'}' (at character 1)",
        ),
        ("status = 'x' OR status = 'y'", "Invalid clause(s) in filter string: 'OR' (at character 14)"),
        (
            "metrics.a LIKE 1",
            "Invalid comparator 'LIKE' not one of '{'<', '<=', '!=', '=', '>', '>='}' (at character 11)",
        ),
        (
            "status IN ('a')",
            "Only ['run_id'] attributes support comparison with a list of quoted string values. (at character 11)",
        ),
        (
            "run_id IN ()",
            "While parsing a list in the query, expected a non-empty list of string values, but got empty list (at character 11)",
        ),
        (
            "status IS NULL",
            "IS NULL / IS NOT NULL is only supported for tags and params, not for 'attribute' 'status' (at character 8)",
        ),
    ] {
        assert_eq!(refused(filter), said, "{filter}");
    }
    let many = vec!["metrics.a = 1"; 101].join(" AND ");
    assert!(refused(&many).contains("at most 100 comparisons"));
    let named = parse_filter("foo.x = 'y'", &EXPERIMENTS).unwrap_err().to_string();
    assert!(named.contains("Valid entity types are ('attribute', 'tag', 'tags')"), "{named}");
}

#[test]
fn orders_have_a_direction_or_none() {
    let read = parse_order(&["metrics.`a b` DESC", "params.x", "created asc"], &RUNS).unwrap();
    let read: Vec<_> = read.iter().map(|one| (one.entity, one.key.as_str(), one.descending)).collect();
    assert_eq!(
        read,
        [(Entity::Metric, "a b", true), (Entity::Param, "x", false), (Entity::Attribute, "start_time", false)]
    );
    for bad in
        ["", "metrics.a sideways", "metrics.a, metrics.b", "dataset.name", "nothing", "1", "metrics.a DESC NULLS"]
    {
        assert!(parse_order(&[bad], &RUNS).is_err(), "{bad}");
    }
    assert!(parse_order(&["start_time", "created DESC"], &RUNS).is_err());
    assert!(parse_order(&["tags.x"], &EXPERIMENTS).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        key in "[a-z][a-z0-9_]{0,8}",
        spaced in "[a-z /.é-]{1,12}",
        value in "[^'\\\\]{0,20}",
        number in -1e12f64..1e12,
    ) {
        let filter = format!("metrics.{key} > {number:?} AND params.`{spaced}` = '{value}' AND tags.\"{spaced}\" IS NULL");
        let read = parse_filter(&filter, &RUNS).unwrap();
        prop_assert_eq!(read.len(), 3);
        prop_assert_eq!(&read[0].key, &key);
        prop_assert_eq!(&read[0].value, &Value::Float(number));
        prop_assert_eq!(&read[1].key, &spaced);
        prop_assert_eq!(&read[1].value, &Value::Text(value));
        prop_assert_eq!(&read[2].key, &spaced);
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place_of_it(text in "\\PC{0,60}") {
        for subject in [&RUNS, &EXPERIMENTS] {
            if let Err(error) = parse_filter(&text, subject) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.at));
            }
            if let Err(error) = parse_order(&[&text], subject) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.at));
            }
        }
    }
}
