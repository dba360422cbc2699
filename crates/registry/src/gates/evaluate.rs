use std::collections::BTreeMap;

use karat_core::nearest;
use serde::{Deserialize, Serialize};

use super::{Gate, Required};

/// Measures by name.
type Metrics = BTreeMap<String, f64>;

/// Whom a version is measured against.
#[derive(Debug, Clone, Copy)]
pub enum Champion<'a> {
    /// Nobody holds the alias yet.
    Absent,
    /// The version (the same digest) is the champion already.
    Itself,
    /// The champion's metrics on the same rows.
    Measured(&'a Metrics),
    /// There is a champion, and no way to measure both on the same rows: why.
    Incomparable(&'a str),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The gate as its file words it.
    pub gate: String,
    /// `None` when the version has no such metric, or it is not a finite number.
    pub measured: Option<f64>,
    pub required: Option<f64>,
    pub passed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One result a gate, in their order. What cannot be measured has not passed.
pub fn evaluate(gates: &[Gate], measured: &Metrics, champion: Champion<'_>) -> Vec<GateResult> {
    gates.iter().map(|gate| evaluate_one(gate, measured, champion)).collect()
}

pub fn all_passed(results: &[GateResult]) -> bool {
    results.iter().all(|result| result.passed)
}

/// The gates not passed, for an error message: `auc >= 0.9 (measured 0.8712)`.
pub fn failures(results: &[GateResult]) -> Option<String> {
    let failed = results.iter().filter(|result| !result.passed);
    let printed: Vec<String> = failed
        .map(|result| match (&result.note, result.measured, result.required) {
            (Some(note), _, _) => format!("{} ({note})", result.gate),
            (None, Some(measured), Some(required)) if result.gate.contains("champion.") => {
                format!("{} (measured {measured}, required {required})", result.gate)
            }
            (None, Some(measured), _) => format!("{} (measured {measured})", result.gate),
            (None, None, _) => result.gate.clone(),
        })
        .collect();
    (!printed.is_empty()).then(|| printed.join("; "))
}

fn evaluate_one(gate: &Gate, measured: &Metrics, champion: Champion<'_>) -> GateResult {
    let mut result = GateResult { gate: gate.to_string(), measured: None, required: None, passed: false, note: None };
    match finite(measured, &gate.metric, "the version") {
        Ok(value) => result.measured = Some(value),
        Err(note) => return GateResult { note: Some(note), ..result },
    }
    let required = match (&gate.required, champion) {
        (Required::Number(number), _) => Ok(*number),
        (Required::OfChampion { .. }, Champion::Absent) => {
            return GateResult { passed: true, note: Some("no champion yet".into()), ..result };
        }
        (Required::OfChampion { .. }, Champion::Itself) => {
            return GateResult { passed: true, note: Some("it is the champion".into()), ..result };
        }
        (Required::OfChampion { .. }, Champion::Incomparable(why)) => Err(why.to_owned()),
        (Required::OfChampion { metric, offset }, Champion::Measured(metrics)) => {
            finite(metrics, metric, "the champion").map(|value| value + offset)
        }
    };
    match (result.measured, required) {
        (Some(measured), Ok(required)) => {
            result.required = Some(required);
            result.passed = gate.comparison.holds(measured, required);
        }
        (_, Err(note)) => result.note = Some(note),
        (None, Ok(_)) => {}
    }
    result
}

fn finite(metrics: &Metrics, name: &str, whose: &str) -> Result<f64, String> {
    match metrics.get(name) {
        Some(value) if value.is_finite() => Ok(*value),
        Some(value) => Err(format!("`{name}` of {whose} is {value}, not a finite number")),
        None => Err(match nearest(name, metrics.keys().map(String::as_str)) {
            Some(near) => format!("{whose} has no metric `{name}`; did you mean `{near}`?"),
            None => format!("{whose} has no metric `{name}`"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(pairs: &[(&str, f64)]) -> Metrics {
        pairs.iter().map(|(name, value)| (name.to_string(), *value)).collect()
    }

    /// The gate, whom it is measured against; passed, required, a part of the note.
    type Case<'a> = (&'a str, Champion<'a>, bool, Option<f64>, Option<&'a str>);

    #[test]
    fn gates_table() {
        let measured = metrics(&[("auc", 0.93), ("test.ks", 0.68), ("nan", f64::NAN), ("log_loss", 0.05)]);
        let holder = metrics(&[("auc", 0.93), ("test.ks", 0.685), ("log_loss", f64::INFINITY)]);
        let with = Champion::Measured(&holder);
        let cases: &[Case] = &[
            ("auc >= 0.9", Champion::Absent, true, Some(0.9), None),
            ("auc >= 0.93", Champion::Absent, true, Some(0.93), None),
            ("auc > 0.93", Champion::Absent, false, Some(0.93), None),
            ("log_loss <= 0.05", Champion::Absent, true, Some(0.05), None),
            ("log_loss < 0.05", Champion::Absent, false, Some(0.05), None),
            ("auc >= champion.auc", Champion::Absent, true, None, Some("no champion yet")),
            ("auc > champion.auc", Champion::Itself, true, None, Some("it is the champion")),
            ("auc >= champion.auc", with, true, Some(0.93), None),
            ("auc > champion.auc", with, false, Some(0.93), None),
            ("test.ks > champion.test.ks", with, false, Some(0.685), None),
            ("test.ks > champion.test.ks - 0.01", with, true, Some(0.675), None),
            ("log_loss < champion.log_loss", with, false, None, Some("not a finite number")),
            ("auc > champion.gini", with, false, None, Some("the champion has no metric `gini`")),
            ("auc >= champion.auc", Champion::Incomparable("no fair row"), false, None, Some("no fair row")),
            ("auc >= 0.9", Champion::Incomparable("no fair row"), true, Some(0.9), None),
            ("nan < 1", Champion::Absent, false, None, Some("not a finite number")),
            ("acu >= 0.9", Champion::Absent, false, None, Some("did you mean `auc`?")),
            // A gate that cannot be measured fails though there is no champion to compare with.
            ("recall >= champion.recall", Champion::Absent, false, None, Some("has no metric `recall`")),
        ];
        for (text, champion, passed, required, note) in cases {
            let result = evaluate(&[text.parse().unwrap()], &measured, *champion).remove(0);
            assert_eq!(result.gate, *text);
            assert_eq!(result.passed, *passed, "{text}");
            assert_eq!(result.required.map(|r| (r * 1e9).round()), required.map(|r| (r * 1e9).round()), "{text}");
            match note {
                Some(note) => assert!(result.note.as_deref().unwrap_or("").contains(note), "{text}: {:?}", result.note),
                None => assert_eq!(result.note, None, "{text}"),
            }
        }
    }

    #[test]
    fn failures_are_worded_for_people() {
        let gates: Vec<Gate> =
            ["auc >= 0.9", "ks > champion.ks", "f1 > 0", "auc > 0.1"].map(|g| g.parse().unwrap()).into();
        let holder = metrics(&[("ks", 0.7)]);
        let results = evaluate(&gates, &metrics(&[("auc", 0.5), ("ks", 0.6)]), Champion::Measured(&holder));
        assert!(!all_passed(&results));
        assert_eq!(
            failures(&results).unwrap(),
            "auc >= 0.9 (measured 0.5); ks > champion.ks (measured 0.6, required 0.7); \
             f1 > 0 (the version has no metric `f1`)"
        );
        assert_eq!(failures(&results[3..]), None);
    }
}
