//! Requests of a stranger's to an endpoint: an answer that is in the log, or a refusal that names what to change.

use std::cell::RefCell;

use karat_core::ErrorKind;
use karat_serving::Decided;

use crate::serving_app::App;

pub(super) const WORDS: &[&str] = &[
    "\"key\"",
    "\"keys\"",
    "\"rows\"",
    "\"as_of\"",
    "\"fields\"",
    "\"client_id\"",
    "\"income\"",
    "\"age\"",
    "\"share_late\"",
    "\"late_last_6\"",
    "\"job\"",
    "\"own_car\"",
    "\"2021-10-01T00:00:00Z\"",
    "\"-9999-01-01T00:00:00Z\"",
    "\"NaN\"",
    "\"Infinity\"",
    "null",
    "true",
    "1e308",
    "-0.0",
    "1.0",
    "9223372036854775808",
    "-1",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "[[[[",
    "\"\\ud800\"",
    "\"\\u0000\"",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"key": 1, "as_of": "2021-10-01T00:00:00Z", "fields": {"income": 1200.5, "age": 40}}"#,
        r#"{"keys": [1, 2, {"client_id": 3}], "fields": {"income": null, "age": "NaN"}}"#,
        r#"{"rows": [{"client_id": 1, "share_late": 0.5, "income": 1, "late_last_6": 2, "job": "a", "own_car": true, "age": 40}]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

thread_local! {
    /// With how often it answered: its log grows.
    static APP: RefCell<(App, u32)> = RefCell::new((App::new(), 0));
}

pub(super) fn body(data: &[u8]) {
    APP.with_borrow_mut(|(app, answered)| match app.endpoint.predict(data) {
        Ok(decided) => {
            is_logged(app, &decided);
            *answered += 1;
            if *answered % 100 == 0 {
                *app = App::new();
            }
        }
        Err(error) => {
            let theirs = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound);
            assert!(theirs, "a client's mistake is no failure of ours: {error}");
            assert!(!error.to_string().is_empty());
        }
    });
}

/// As it was decided, and so that its arithmetic holds.
fn is_logged(app: &App, decided: &Decided) {
    let logged = app.logged();
    let records = &logged[logged.len() - decided.len()..];
    for (decision, record) in decided.iter().zip(records) {
        assert!((0.0..=1.0).contains(&decision.score()), "a probability: {}", decision.score());
        assert_eq!(record.prediction_id, decision.prediction_id());
        assert_eq!(record.score.to_bits(), decision.score().to_bits());
        let differences = karat_serving::arithmetic(record, &app.model);
        assert!(differences.is_empty(), "{differences:?}");
    }
}
