//! Whatever the checks of an input: an endpoint decides on what training puts in place of its value, logs that, and a
//! replay makes it again.

use karat_core::Value;
use karat_serving::{FromHistory, arithmetic, history};
use karat_test_support::serving_app::{App, endpoint, serving_model, with_checks};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// What the table of `docs/features.md` says.
#[derive(Debug, Clone)]
struct Check {
    rule: Rule,
    on_failure: OnFailure,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    NotNull,
    Range(Option<f64>, Option<f64>),
    Allowed(f64),
}

#[derive(Debug, Clone, Copy)]
enum OnFailure {
    Report,
    Null,
    Substitute(f64),
    Refuse,
}

impl Check {
    fn json(&self) -> Json {
        let mut json = match self.rule {
            Rule::NotNull => json!({"check": "not_null"}),
            Rule::Range(min, max) => json!({"check": "range", "min": min, "max": max}),
            Rule::Allowed(value) => json!({"check": "allowed", "values": [value]}),
        };
        json["on_failure"] = match self.on_failure {
            OnFailure::Report => json!("report"),
            OnFailure::Null => json!("null"),
            OnFailure::Substitute(value) => json!({"substitute": value}),
            OnFailure::Refuse => json!("refuse"),
        };
        json
    }
}

/// The value decided on, and how many checks failed; `None`: refused.
fn expected(checks: &[Check], mut value: Option<f64>) -> Option<(Option<f64>, usize)> {
    let mut failed = 0;
    for check in checks {
        let passes = match (check.rule, value) {
            (Rule::NotNull, value) => value.is_some(),
            (_, None) => true,
            (Rule::Range(min, max), Some(value)) => {
                value >= min.unwrap_or(f64::MIN) && value <= max.unwrap_or(f64::MAX)
            }
            (Rule::Allowed(allowed), Some(value)) => value == allowed,
        };
        if passes {
            continue;
        }
        failed += 1;
        match check.on_failure {
            OnFailure::Report => {}
            OnFailure::Null => value = None,
            OnFailure::Substitute(other) => value = Some(other),
            OnFailure::Refuse => return None,
        }
    }
    Some((value, failed))
}

fn number() -> impl Strategy<Value = f64> {
    (0..5u8).prop_map(|quarters| f64::from(quarters) / 4.0)
}

fn checks() -> impl Strategy<Value = Vec<Check>> {
    let rule = prop_oneof![
        Just(Rule::NotNull),
        (prop::option::of(number()), prop::option::of(number())).prop_map(|(min, max)| Rule::Range(min, max)),
        number().prop_map(Rule::Allowed),
    ];
    let on_failure = prop_oneof![
        3 => Just(OnFailure::Report),
        2 => Just(OnFailure::Null),
        3 => number().prop_map(OnFailure::Substitute),
        1 => Just(OnFailure::Refuse),
    ];
    prop::collection::vec((rule, on_failure).prop_map(|(rule, on_failure)| Check { rule, on_failure }), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_trains_is_what_is_decided_on_logged_and_replayed(
        checks in checks(),
        values in prop::collection::vec(prop::option::weighted(0.8, number()), 1..6),
    ) {
        let json = checks.iter().map(Check::json).collect::<Vec<_>>();
        let app = App::serving(endpoint(), with_checks(serving_model(Vec::new()), "share_late", &json!(json)));
        let input = &app.model.pinned.inputs[0];
        let mut decided = 0;
        for value in values {
            let raw = value.map_or(Value::Null, Value::Float);
            let row = json!({
                "share_late": value, "income": 1.0, "late_last_6": 1, "job": "a", "own_car": true, "age": 40.0,
            });
            let body = json!({"rows": [row]}).to_string();
            let mut trained = raw.clone();
            let settled = input.settle(&mut trained);
            let Some((wanted, failed)) = expected(&checks, value) else {
                prop_assert!(settled.is_err());
                prop_assert!(app.endpoint.predict(body.as_bytes()).is_err());
                continue;
            };
            prop_assert!(settled.is_ok());
            prop_assert_eq!(&trained, &wanted.map_or(Value::Null, Value::Float));
            let answer = app.endpoint.predict(body.as_bytes()).unwrap();
            let answer = answer.iter().next().unwrap();
            prop_assert_eq!(answer.features().next().unwrap().1, &trained);
            prop_assert_eq!(answer.qa_failures().len(), failed);
            decided += 1;
            let record = app.logged().pop().unwrap();
            let truth = FromHistory { features: vec![("share_late".to_owned(), raw)], no_history: Vec::new() };
            prop_assert_eq!(arithmetic(&record, &app.model), []);
            prop_assert_eq!(history(&record, &app.model, &truth), []);
        }
        prop_assert_eq!(app.logged().len(), decided);
    }
}
