use karat_core::Instant;
use karat_core::profile::Profile;
use karat_report::profile::{Contract, Page, RuleLine};
use serde_json::json;

use crate::page::check;

fn summary() -> serde_json::Value {
    json!({"rows": 100, "nulls": 10, "distinct": 90, "distinct_exact": false, "min": 0.5, "max": 99.5, "mean": 50.0, "std": 10.0,
           "quantiles": [{"share": 0.5, "value": 50.0}], "quantile_error": 0.001,
           "top": [{"value": 1.5, "rows": 3}], "top_error": 2})
}

fn profile() -> Profile {
    let months = json!([{"month": "2021-01", "rows": 50}, {"month": "2021-02", "rows": 50}]);
    let one = |name: &str| {
        json!({"name": name, "type": "float", "roles": ["key"], "as_read": summary(), "accepted": summary(),
               "histogram": [{"name": "0 – 50", "from": 0.0, "to": 50.0, "rows": 40}, {"name": "50 – 100", "from": 50.0, "to": 100.0, "rows": 50}],
               "label": {"bins": [{"name": "<b>", "rows": 10, "positives": 9}, {"name": "none", "rows": 0, "positives": 0}],
                         "missing": {"name": "missing", "rows": 5, "positives": 1}, "information_value": 0.7, "gives_away": true},
               "months": [{"nulls": 5, "mean": 49.0, "psi": 0.3}, {"nulls": 5, "psi": 0.0}]})
    };
    let label = json!({"name": "late", "type": "bool", "roles": ["label"],
                       "accepted": {"rows": 100, "nulls": 0, "distinct": 2, "distinct_exact": true, "quantile_error": 0.0, "top_error": 0}});
    serde_json::from_value(json!({
        "format_version": 1, "source": "loans", "read": 100, "accepted": 100, "repeated_rows": 1,
        "repeated_keys": {"columns": ["id"], "rows": 0}, "months": months,
        "label": {"model": "m", "column": "late", "rows": 15, "positives": 10, "left_out": 85},
        "columns": [one("amount"), one("a<b>\"c"), label],
        "bounds": {"exact_values": 65536, "exact_bytes": 4194304, "distinct_error": 0.008125, "months": 120},
    }))
    .unwrap()
}

#[test]
fn a_profile_is_one_page_that_says_what_it_was_given() {
    let profile = profile();
    let page = Page {
        project: "p".to_owned(),
        written: Instant::parse("2026-01-02T03:04:05Z").unwrap(),
        karat: "0.1.0".to_owned(),
        description: "What <they> are.".to_owned(),
        profile: &profile,
        contract: Contract {
            read: 103,
            accepted: 100,
            quarantined: 3,
            rules: vec![RuleLine {
                check: "range".to_owned(),
                on: "amount".to_owned(),
                means: "outside 0..100".to_owned(),
                action: "quarantine".to_owned(),
                examined: 103,
                failed: 3,
                share: 3.0 / 103.0,
                fired: false,
                example: "data/loans.csv:3, value -4".to_owned(),
            }],
            ..Contract::default()
        },
    };
    let html = page.html().unwrap();
    check(&html);
    for part in [
        "103 rows read = 100 accepted + 3 quarantined",
        "1 rule found failing rows",
        "outside 0..100",
        "≈ 90",
        "tell late almost alone",
        "0.300 in 2021-01",
        "training rows only",
        "only counts are told",
    ] {
        assert!(html.contains(part), "no `{part}`");
    }
    let empty = Profile { columns: Vec::new(), months: Vec::new(), label: None, ..profile.clone() };
    check(&Page { profile: &empty, ..page }.html().unwrap());
}
