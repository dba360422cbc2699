use karat_project::spec::{Bounds, Expected};
use serde_json::Value as Json;

/// Digits to which numbers are compared.
const CLOSE: f64 = 1e-9;

/// Whether a value is what was expected.
pub(super) fn fits(expected: &Expected, got: &Json) -> bool {
    match expected {
        Expected::Bounds(Bounds { at_least, at_most }) => got
            .as_f64()
            .is_some_and(|got| at_least.is_none_or(|least| got >= least) && at_most.is_none_or(|most| got <= most)),
        Expected::Value(expected) => same(expected, got),
    }
}

fn same(expected: &Json, got: &Json) -> bool {
    if let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) {
        return expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| same(expected, got));
    }
    match (expected.as_i64().zip(got.as_i64()), expected.as_f64().zip(got.as_f64())) {
        (Some((expected, got)), _) => expected == got,
        (None, Some((expected, got))) => (expected - got).abs() <= CLOSE * expected.abs().max(1.0),
        _ => expected == got,
    }
}

/// As messages show it.
pub(super) fn shown(expected: &Expected) -> String {
    match expected {
        Expected::Value(value) => value_shown(value),
        Expected::Bounds(Bounds { at_least: Some(least), at_most: Some(most) }) => format!("{least} to {most}"),
        Expected::Bounds(Bounds { at_least: Some(least), .. }) => format!("at least {least}"),
        Expected::Bounds(Bounds { at_most: Some(most), .. }) => format!("at most {most}"),
        Expected::Bounds(_) => "a number".to_owned(),
    }
}

pub(super) fn value_shown(value: &Json) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_and_bounds_are_held() {
        let value = |value: Json| Expected::Value(value);
        assert!(fits(&value(json!(2)), &json!(2)) && fits(&value(json!(2)), &json!(2.0)));
        assert!(fits(&value(json!(0.333333333)), &json!(1.0 / 3.0)));
        assert!(!fits(&value(json!(0.3333)), &json!(1.0 / 3.0)));
        assert!(fits(&value(json!(null)), &json!(null)) && !fits(&value(json!(0)), &json!(null)));
        assert!(!fits(&value(json!("2")), &json!(2)));
        assert!(!fits(&value(json!(9_007_199_254_740_993_i64)), &json!(9_007_199_254_740_992_i64)));
        let bounds = |at_least, at_most| Expected::Bounds(Bounds { at_least, at_most });
        assert!(fits(&bounds(Some(0.9), None), &json!(0.9)) && !fits(&bounds(Some(0.9), Some(1.0)), &json!(1.5)));
        assert!(!fits(&bounds(None, Some(1.0)), &json!(null)));
        assert_eq!(shown(&bounds(Some(0.5), Some(1.0))), "0.5 to 1");
    }
}
