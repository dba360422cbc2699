//! Numbers, shares and times as a page prints them.

use karat_core::Instant;
pub use karat_core::thousands;

pub fn counted(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { singular } else { plural })
}

/// A share as `17.2 %`; small ones keep digits that say something.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        _ if !percent.is_finite() => "–".to_owned(),
        0.0 => "0 %".to_owned(),
        small if small < 0.001 => "< 0.001 %".to_owned(),
        small if small < 0.1 => format!("{percent:.3} %"),
        small if small < 10.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// A measure to four places.
pub fn measure(value: f64) -> String {
    if value.is_finite() { signs(format!("{value:.4}")) } else { "–".to_owned() }
}

pub fn signed(value: f64) -> String {
    signs(format!("{value:+.3}"))
}

/// A difference of two shares, in percentage points.
pub fn points(difference: f64) -> String {
    if difference.is_finite() { signs(format!("{:+.2} pp", difference * 100.0)) } else { "–".to_owned() }
}

/// A number of any size in about four digits.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if value.is_nan() => "not a number".to_owned(),
        _ if value.is_infinite() => if value > 0.0 { "∞" } else { "-∞" }.to_owned(),
        0.0 => "0".to_owned(),
        big if big >= 1e15 => format!("{value:.3e}"),
        big if big >= 1_000.0 => {
            let grouped = thousands(size.round() as u64);
            if value < 0.0 { format!("-{grouped}") } else { grouped }
        }
        tiny if tiny < 1e-4 => format!("{value:.2e}"),
        _ => {
            let places = (3 - size.log10().floor() as i32).clamp(0, 7) as usize;
            let text = format!("{value:.places$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
    };
    signs(text)
}

/// A hyphen before a digit is a minus.
fn signs(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// The day of an instant at midnight, else the second.
pub fn moment(at: Instant) -> String {
    let second = karat_core::time::MICROS_PER_SECOND;
    let text = Instant::from_micros(at.micros().div_euclid(second).saturating_mul(second)).to_string();
    match text.strip_suffix("T00:00:00Z") {
        Some(day) => day.to_owned(),
        None => text.replace('T', " ").replace('Z', " UTC"),
    }
}

/// The first digits of a digest.
pub fn short(digest: &str) -> String {
    let digits = digest.rsplit(':').next().unwrap_or(digest);
    digits.chars().take(12).collect()
}

/// A measure's name as people write it.
pub fn title_of(measure: &str) -> &str {
    match measure {
        "auc" => "AUC",
        "gini" => "Gini",
        "ks" => "KS",
        "log_loss" => "log loss",
        "brier" => "Brier",
        "f1" => "F1",
        "base_rate" => "share of positives",
        "mean_score" => "mean score",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_what_says_something() {
        let numbers = [0.0, 0.5, 118.24, 1234.6, 36_457.0, -0.012_345, 1e-7, f64::INFINITY, 45.0, 1e18].map(number);
        assert_eq!(numbers, ["0", "0.5", "118.2", "1,235", "36,457", "−0.01235", "1.00e-7", "∞", "45", "1.000e18"]);
        assert_eq!(
            [0.0, 0.000_107, 0.014_88, 0.172, 1.0].map(percent),
            ["0 %", "0.011 %", "1.49 %", "17.2 %", "100.0 %"]
        );
        assert_eq!(thousands(1_048_575u64), "1,048,575");
    }

    #[test]
    fn moments_at_midnight_are_days() {
        assert_eq!(moment(Instant::parse("2021-10-01T00:00:00Z").unwrap()), "2021-10-01");
        assert_eq!(moment(Instant::parse("2021-10-01T08:30:00.5Z").unwrap()), "2021-10-01 08:30:00 UTC");
    }
}
