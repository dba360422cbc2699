//! Numbers, times and lengths as people read them.

pub use karat_core::thousands;
use karat_core::{Instant, Value};

/// `1 view`, `2 views`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{} {}", thousands(number as u64), if number == 1 { singular } else { plural })
}

/// A share as `17.2 %`; small ones keep two digits that say something.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        small if small < 0.001 => "< 0.001 %".to_owned(),
        small if small < 0.1 => format!("{percent:.3} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// A length of time given in seconds.
pub fn duration(seconds: f64) -> String {
    match seconds {
        short if short < 0.001 => format!("{:.0} us", short * 1e6),
        short if short < 1.0 => format!("{:.0} ms", short * 1e3),
        short if short < 100.0 => format!("{short:.1} s"),
        long => format!("{} min {} s", long.round() as u64 / 60, long.round() as u64 % 60),
    }
}

/// A measure to four places; one of very many digits, as MLflow keeps infinities, with an exponent.
pub fn measure(value: f64) -> String {
    if is_endless(value) { format!("{value:.4e}") } else { format!("{value:.4}") }
}

/// A difference of measures, with its sign.
pub fn difference(value: f64) -> String {
    let sign = if value.is_sign_positive() && !value.is_nan() { "+" } else { "" };
    format!("{sign}{}", measure(value))
}

/// A number with all its places, if few enough to be read.
pub fn exact(value: f64) -> String {
    if is_endless(value) { format!("{value:e}") } else { Value::Float(value).to_string() }
}

fn is_endless(value: f64) -> bool {
    value.is_finite() && value.abs() >= 1e15
}

/// A moment to the second.
pub fn short_instant(instant: Instant) -> String {
    let second = karat_core::time::MICROS_PER_SECOND;
    Instant::from_micros(instant.micros().div_euclid(second).saturating_mul(second)).to_string()
}

/// MLflow's milliseconds, to the second.
pub fn millis(milliseconds: i64) -> String {
    short_instant(Instant::from_micros(milliseconds.saturating_mul(1000)))
}

/// A value as JSON writes it, text without its quotes; a key of several columns as it is written on the command line.
pub fn quoted(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(key) => {
            let part = |value: &serde_json::Value| match value.as_str() {
                Some(text) if !text.contains([',', '"']) => text.to_owned(),
                _ => value.to_string(),
            };
            let parts: Vec<String> = key.iter().map(|(name, value)| format!("{name}={}", part(value))).collect();
            parts.join(",")
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_lengths_keep_what_says_something() {
        let shares = [0.0, 47.0 / 438_557.0, 0.172, 1.0, 1e-9].map(percent);
        assert_eq!(shares, ["0 %", "0.011 %", "17.2 %", "100.0 %", "< 0.001 %"]);
        let lengths = [0.000_39, 0.25, 12.34, 99.96, 100.0, 725.4].map(duration);
        assert_eq!(lengths, ["390 us", "250 ms", "12.3 s", "100.0 s", "1 min 40 s", "12 min 5 s"]);
    }

    #[test]
    fn measures_of_hundreds_of_digits_have_an_exponent() {
        let measures = [0.6612, -1.0, f64::MAX, f64::NAN, f64::NEG_INFINITY].map(measure);
        assert_eq!(measures, ["0.6612", "-1.0000", "1.7977e308", "NaN", "-inf"]);
        let differences = [0.05, -0.05, f64::MAX, f64::NAN, f64::INFINITY].map(difference);
        assert_eq!(differences, ["+0.0500", "-0.0500", "+1.7977e308", "NaN", "+inf"]);
        assert_eq!([0.25, f64::MAX].map(exact), ["0.25", "1.7976931348623157e308"]);
    }

    #[test]
    fn moments_are_cut_to_the_second() {
        assert_eq!(millis(1_633_046_400_999), "2021-10-01T00:00:00Z");
        assert_eq!(millis(-1), "1969-12-31T23:59:59Z");
    }
}
