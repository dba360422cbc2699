use karat_training::measures::{Measures, Scored, calibration_table, curve, decile_table};
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::data::fixture;

fn floats(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn labels(json: &Json) -> Vec<bool> {
    json.as_array().unwrap().iter().map(|number| number.as_i64() == Some(1)).collect()
}

fn close(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0), "{what}: {found} is not {wanted}");
}

#[test]
fn measures_equal_scikit_learns_and_scipys() {
    let document: Json = serde_json::from_str(&fixture("measures.json")).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let scored = Scored::new(&floats(&case["scores"]), &labels(&case["labels"])).unwrap();
        let measures = Measures::of(&scored, case["threshold"].as_f64().unwrap());
        for name in ["auc", "ks", "log_loss", "brier", "precision", "recall", "f1", "accuracy"] {
            let what = format!("{name} of {}", case["name"]);
            close(measures.get(name).unwrap(), case[name].as_f64().unwrap(), &what);
        }
        close(measures.gini, 2.0 * measures.auc - 1.0, "gini");
        assert_eq!(serde_json::to_value(measures.confusion).unwrap(), case["confusion"], "{}", case["name"]);
    }
}

#[test]
fn tables_equal_scikit_learns_and_numpys() {
    let document: Json = serde_json::from_str(&fixture("measures.json")).unwrap();
    let tables = &document["tables"];
    let scored = Scored::new(&floats(&tables["scores"]), &labels(&tables["labels"])).unwrap();
    let deciles = decile_table(&scored);
    assert_eq!(deciles.len(), 10);
    for (index, decile) in deciles.iter().enumerate() {
        let wanted = |name: &str| tables["deciles"][name][index].as_f64().unwrap();
        assert_eq!(usize::from(decile.decile), index + 1);
        assert_eq!((decile.rows as f64, decile.positives as f64), (wanted("rows"), wanted("positives")));
        close(decile.lift, wanted("lift"), "lift");
        close(decile.captured, wanted("captured"), "captured");
        close(decile.ks, wanted("ks"), "ks");
    }
    let bins = calibration_table(&scored);
    assert_eq!(bins.len(), 10);
    for (index, bin) in bins.iter().enumerate() {
        close(bin.mean_score, tables["calibration"]["mean_score"][index].as_f64().unwrap(), "mean score");
        close(bin.observed, tables["calibration"]["observed"][index].as_f64().unwrap(), "observed");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    assert!(Scored::new(&[0.1], &[true, false]).is_err());
    assert!(Scored::new(&[0.1, f64::NAN], &[true, false]).unwrap_err().to_string().contains("row 1"));
    assert!(Scored::new(&[0.1, 0.2], &[true, true]).unwrap_err().to_string().contains("2 positives and 0 negatives"));
    assert!(Scored::new(&[], &[]).is_err());
}

#[test]
fn every_measure_has_a_name_and_every_name_a_measure() {
    let measures = Measures::of(&Scored::new(&[0.1, 0.2], &[true, false]).unwrap(), 0.5);
    assert_eq!(measures.values().count(), Measures::NAMES.len());
    assert_eq!(measures.get("recal"), None);
}

/// Few distinct scores, so that ties are the rule, and both labels.
fn rows() -> impl Strategy<Value = Vec<(f64, bool)>> {
    let score = (0u8..=12).prop_map(|tenth| f64::from(tenth) / 12.0);
    prop::collection::vec((score, any::<bool>()), 2..60)
        .prop_filter("both labels", |rows| rows.iter().any(|row| row.1) && rows.iter().any(|row| !row.1))
}

fn unzip(rows: &[(f64, bool)]) -> (Vec<f64>, Vec<bool>) {
    rows.iter().copied().unzip()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn auc_and_ks_equal_their_definitions(rows in rows()) {
        let (scores, labels) = unzip(&rows);
        let scored = Scored::new(&scores, &labels).unwrap();
        let of = |wanted: bool| rows.iter().filter(move |row| row.1 == wanted).map(|row| row.0);
        let (positives, negatives): (Vec<f64>, Vec<f64>) = (of(true).collect(), of(false).collect());
        let mut wins = 0.0;
        for positive in &positives {
            for negative in &negatives {
                wins += if positive > negative { 1.0 } else if positive == negative { 0.5 } else { 0.0 };
            }
        }
        prop_assert_eq!(scored.auc(), wins / (positives.len() * negatives.len()) as f64);
        let under = |values: &[f64], at: f64| values.iter().filter(|v| **v <= at).count() as f64 / values.len() as f64;
        let ks = scores.iter().map(|at| (under(&positives, *at) - under(&negatives, *at)).abs()).fold(0.0, f64::max);
        prop_assert!((scored.ks() - ks).abs() < 1e-12);
    }

    #[test]
    fn nothing_depends_on_the_order_of_rows(rows in rows(), seed in any::<u64>(), threshold in 0.0..1.0) {
        let (scores, labels) = unzip(&rows);
        let mut shuffled = rows.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let (other_scores, other_labels) = unzip(&shuffled);
        let (one, other) =
            (Scored::new(&scores, &labels).unwrap(), Scored::new(&other_scores, &other_labels).unwrap());
        prop_assert_eq!(Measures::of(&one, threshold), Measures::of(&other, threshold));
        prop_assert_eq!(decile_table(&one), decile_table(&other));
        prop_assert_eq!(calibration_table(&one), calibration_table(&other));
        prop_assert_eq!(curve(&one, 10), curve(&other, 10));
    }

    #[test]
    fn tables_lose_no_row(rows in rows()) {
        let (scores, labels) = unzip(&rows);
        let scored = Scored::new(&scores, &labels).unwrap();
        let deciles = decile_table(&scored);
        prop_assert_eq!(deciles.iter().map(|decile| decile.rows).sum::<u64>(), rows.len() as u64);
        prop_assert_eq!(deciles.iter().map(|decile| decile.positives).sum::<u64>(), scored.positives());
        prop_assert!(deciles.windows(2).all(|pair| pair[0].decile < pair[1].decile));
        prop_assert!(deciles.windows(2).all(|pair| pair[0].min_score > pair[1].max_score));
        let last = deciles[deciles.len() - 1];
        prop_assert_eq!((last.captured, last.ks), (1.0, 0.0));
        let bins = calibration_table(&scored);
        prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), rows.len() as u64);
    }

    #[test]
    fn confusion_counts_what_is_at_or_above_the_threshold(rows in rows(), threshold in 0.0..1.0) {
        let (scores, labels) = unzip(&rows);
        let confusion = Scored::new(&scores, &labels).unwrap().confusion(threshold);
        let count = |flagged: bool, label: bool| {
            rows.iter().filter(|row| (row.0 >= threshold) == flagged && row.1 == label).count() as u64
        };
        prop_assert_eq!(confusion.true_positives, count(true, true));
        prop_assert_eq!(confusion.false_positives, count(true, false));
        prop_assert_eq!(confusion.true_negatives, count(false, false));
        prop_assert_eq!(confusion.false_negatives, count(false, true));
    }

    #[test]
    fn a_mask_is_the_rows_alone(rows in rows(), seed in any::<u64>()) {
        let (scores, labels) = unzip(&rows);
        let mut random = fastrand::Rng::with_seed(seed);
        let mask: Vec<bool> = rows.iter().map(|_| random.bool()).collect();
        let kept: Vec<(f64, bool)> = rows.iter().zip(&mask).filter(|(_, kept)| **kept).map(|(row, _)| *row).collect();
        let (kept_scores, kept_labels) = unzip(&kept);
        prop_assert_eq!(Scored::masked(&scores, &labels, &mask), Scored::new(&kept_scores, &kept_labels));
    }
}
