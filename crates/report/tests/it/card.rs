use karat_core::Instant;
use karat_report::card::*;
use serde_json::json;

use crate::page::check;

fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

/// The form of a run's files.
fn part(auc: f64) -> Part {
    let deciles: Vec<_> = (1..=10)
        .map(|decile| {
            json!({"decile": decile, "rows": 100, "positives": 11 - decile, "min_score": 1.0 / decile as f64, "max_score": 1.0,
                   "rate": (11 - decile) as f64 / 100.0, "lift": 2.0, "captured": decile as f64 / 10.0, "ks": 0.3})
        })
        .collect();
    let bins: Vec<_> = (1..=10)
        .map(|bin| json!({"bin": bin, "rows": 100, "mean_score": 0.01 * bin as f64, "observed": 0.009 * bin as f64}))
        .collect();
    let curve: Vec<_> = (1..=20)
        .map(|point| {
            let share = point as f64 / 20.0;
            json!({"threshold": 1.0 - share, "flagged": share, "tpr": share.sqrt(), "fpr": share * share})
        })
        .collect();
    serde_json::from_value(json!({
        "measures": {"rows": 1000, "positives": 55, "base_rate": 0.055, "mean_score": 0.05, "auc": auc, "gini": 2.0 * auc - 1.0,
            "ks": 0.61, "log_loss": 0.1, "brier": 0.04, "accuracy": 0.9, "precision": 0.4, "recall": 0.7, "f1": 0.5,
            "flagged": 0.08,
            "confusion": {"true_positives": 40, "false_positives": 40, "true_negatives": 905, "false_negatives": 15}},
        "deciles": deciles, "calibration": bins, "curve": curve,
    }))
    .unwrap()
}

fn contribution(feature: &str, contribution: f64) -> Contribution {
    Contribution {
        feature: feature.to_owned(),
        words: format!("words of {feature}"),
        code: Some("R01".to_owned()),
        value: "0.25".to_owned(),
        contribution,
    }
}

fn card() -> Card {
    let hostile = "<script>alert('x')</script> & \"more\"";
    Card {
        format_version: FORMAT_VERSION,
        project: hostile.to_owned(),
        written: at("2026-01-02T03:04:05Z"),
        karat: "0.1.0".to_owned(),
        model: "credit_default".to_owned(),
        version: 2,
        description: hostile.to_owned(),
        owner: None,
        standing: "approved".to_owned(),
        aliases: vec!["champion".to_owned()],
        made: at("2026-01-01T00:00:00Z"),
        labels: ["paid".to_owned(), "late".to_owned()],
        threshold: 0.02,
        threshold_rule: "the score where KS is greatest".to_owned(),
        trees: 100,
        lineage: vec![("run".to_owned(), hostile.to_owned())],
        sources: vec![SourceRead {
            source: "loans".to_owned(),
            commit: 1,
            delivery: "sha256:0123456789abcdef".to_owned(),
            ingested: Some(at("2026-01-01T00:00:00Z")),
        }],
        inputs: vec![InputLine {
            name: hostile.to_owned(),
            data_type: "float".to_owned(),
            from: "history".to_owned(),
            words: "share late".to_owned(),
            code: None,
            group: Some("history".to_owned()),
            monotone: Some("increasing".to_owned()),
            checks: vec!["range ..0.5: null instead".to_owned()],
        }],
        split: Some(
            serde_json::from_value(json!({
                "rows": 3000, "unlabelled": 7,
                "train": {"rows": 2000, "positives": 50, "purged": 3, "refused": 11,
                          "first_as_of": "2020-01-01T00:00:00Z",
                          "last_as_of": "2020-12-01T00:00:00Z"},
                "validation": {"rows": 500, "positives": 20, "purged": 0, "first_as_of": "2021-01-01T00:00:00Z",
                               "last_as_of": "2021-03-01T00:00:00Z"},
                "test": {"rows": 500, "positives": 20, "purged": 0, "first_as_of": "2021-04-01T00:00:00Z",
                         "last_as_of": "2021-06-01T00:00:00Z"},
            }))
            .unwrap(),
        ),
        split_rule: "by time".to_owned(),
        evaluation: Some(Evaluation {
            threshold: 0.02,
            train: part(0.95),
            validation: part(0.94),
            test: part(0.93),
            test_unseen: Some(part(0.91)),
        }),
        importance: Some(Importance {
            measure: ImportanceMeasure::MeanAbsoluteContribution { part: "test".to_owned(), rows: 2000 },
            features: vec![FeatureImportance { feature: hostile.to_owned(), value: 0.4 }],
        }),
        gates: vec![
            Gate { gate: "auc >= 0.9".to_owned(), measured: Some(0.93), required: Some(0.9), passed: true, note: None },
            Gate {
                gate: "ks >= 0.7".to_owned(),
                measured: None,
                required: None,
                passed: false,
                note: Some("no".to_owned()),
            },
        ],
        approval_required: true,
        decisions: vec![Decided {
            at: at("2026-01-01T00:00:00Z"),
            decision: "approved".to_owned(),
            actor: "anna".to_owned(),
            why: hostile.to_owned(),
        }],
        rival: Some(Rival {
            label: "credit_default/1".to_owned(),
            role: "challenger".to_owned(),
            standing: "undecided".to_owned(),
            this: None,
            other: part(0.9),
            measured: Measured::OwnTestParts,
        }),
        decision: Some(Explained {
            prediction_id: "0190".to_owned(),
            at: at("2026-01-01T00:00:00Z"),
            as_of: at("2026-01-01T00:00:00Z"),
            endpoint: "credit".to_owned(),
            key: "client 7".to_owned(),
            score: 0.12,
            label: "late".to_owned(),
            threshold: 0.02,
            expected: -4.0,
            contributions: (0..20)
                .map(|place| contribution(&format!("f{place}"), if place % 2 == 0 { 0.4 } else { -0.2 }))
                .collect(),
            reasons: vec![ReasonLine {
                code: Some("R07".to_owned()),
                text: "late last month (3) raises the risk".to_owned(),
                contribution: 0.4,
            }],
            findings: vec![hostile.to_owned()],
            arithmetic: Verdict::Same,
            history: Verdict::Different { what: vec!["feature x".to_owned()] },
            release: 1,
        }),
        missing: Vec::new(),
    }
}

#[test]
fn a_card_is_one_page_that_says_what_it_was_given() {
    let html = card().html().unwrap();
    check(&html);
    for part in [
        "credit_default/2",
        "approved",
        "1 gate not passed",
        "0.9300",
        "0.9100 on unseen profiles",
        "auc &gt;= 0.9",
        "ROC curve",
        "KS chart",
        "Calibration chart",
        "8 more inputs together",
        "logged score bit for bit",
        "differs: feature x",
        "R07",
        "late last month (3) raises the risk",
        "credit_default/1",
        "different rows",
        "anna",
        "&lt;script&gt;",
        "7 rows have no label yet",
        "11 rows are in no part, because a check",
        "range ..0.5: null instead",
        "prefers-color-scheme: dark",
        "size: A4",
    ] {
        let escaped = part.replace("&gt;", "&#62;").replace("&lt;", "&#60;");
        assert!(html.contains(part) || html.contains(&escaped), "no `{part}`");
    }
}

#[test]
fn a_version_that_left_nothing_behind_still_has_a_card() {
    let bare = Card {
        evaluation: None,
        split: None,
        importance: None,
        rival: None,
        decision: None,
        gates: Vec::new(),
        decisions: Vec::new(),
        missing: vec!["Run abc left no evaluation.json.".to_owned()],
        ..card()
    };
    let html = bare.html().unwrap();
    check(&html);
    assert!(html.contains("left no evaluation.json") && html.contains("Nobody has decided"));
}

#[test]
fn figures_that_are_no_numbers_break_no_page() {
    let mut card = card();
    let evaluation = card.evaluation.as_mut().unwrap();
    evaluation.test.measures.precision = f64::NAN;
    evaluation.test.deciles[0].lift = f64::INFINITY;
    evaluation.test.curve.clear();
    evaluation.test.calibration.clear();
    evaluation.test.deciles.truncate(1);
    card.decision.as_mut().unwrap().contributions.clear();
    card.decision.as_mut().unwrap().threshold = 0.0;
    card.importance.as_mut().unwrap().features.clear();
    card.html().unwrap();
}
