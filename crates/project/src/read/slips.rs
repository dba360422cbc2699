//! What was most likely meant by an amount that does not read: for messages.

use crate::suggest::nearest;

const UNITS: [&str; 9] =
    ["microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "weeks", "months", "years"];

/// Of a length of time.
pub(super) fn length(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('-') {
        return "a length of time counts from 0 up".to_owned();
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_lowercase();
    if number.is_empty() {
        return "write it like `30 days` or `6 months`".to_owned();
    }
    if unit.starts_with(['.', ',']) {
        return "write whole units: one and a half days are `36 hours`".to_owned();
    }
    if unit.is_empty() {
        return format!("say of what, like `{number} days` or `{number} months`");
    }
    match meant(&unit) {
        _ if unit == "m" => format!("`{number} minutes`, or `{number} months`?"),
        Some(meant) if meant.trim_end_matches('s') == unit.trim_end_matches('s') => {
            "that is longer than any calendar".to_owned()
        }
        Some(unit) if number.parse::<u32>().is_ok() => format!("did you mean `{number} {unit}`?"),
        Some(_) => "that is longer than any calendar".to_owned(),
        None if unit.starts_with("quarter") => "a quarter is `3 months`".to_owned(),
        None => "write it like `30 days` or `6 months`".to_owned(),
    }
}

fn meant(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "us" | "µs" => "microseconds",
        "ms" => "milliseconds",
        "s" | "sec" | "secs" => "seconds",
        "min" | "mins" => "minutes",
        "h" | "hr" | "hrs" => "hours",
        "d" => "days",
        "w" | "wk" | "wks" => "weeks",
        "mo" | "mon" | "mos" | "mth" | "mths" => "months",
        "y" | "yr" | "yrs" => "years",
        _ => nearest(unit, UNITS)?,
    })
}

/// Of a number: a percentage, a decimal comma, a number in quotes.
pub(super) fn number(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.trim_end();
        let share = percent.replace(',', ".").parse::<f64>().ok().filter(|percent| percent.is_finite())? / 100.0;
        return Some(format!("{percent} % is {share}"));
    }
    let (whole, part) = text.split_once(',').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !part.is_empty() && digits(whole.trim_start_matches('-')) && digits(part) {
        return Some(format!("write `{whole}.{part}`"));
    }
    text.parse::<f64>().is_ok_and(f64::is_finite).then(|| format!("write {text}, without quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_guessed_from_what_was_written() {
        for (text, help) in [
            ("30 dayz", "did you mean `30 days`?"),
            ("6mth", "did you mean `6 months`?"),
            ("1 fortnight", "write it like `30 days` or `6 months`"),
            ("90 m", "`90 minutes`, or `90 months`?"),
            ("2 Quarters", "a quarter is `3 months`"),
            ("99999999999 days", "that is longer than any calendar"),
            ("200000 years", "that is longer than any calendar"),
            ("1.5 years", "write whole units: one and a half days are `36 hours`"),
            ("7", "say of what, like `7 days` or `7 months`"),
        ] {
            assert_eq!(length(text), help, "{text}");
        }
        for (text, help) in [
            ("20%", Some("20 % is 0.2")),
            ("2,5 %", Some("2,5 % is 0.025")),
            ("0,25", Some("write `0.25`")),
            ("1.5", Some("write 1.5, without quotes")),
            ("1,2,3", None),
            ("NaN", None),
            ("many", None),
        ] {
            assert_eq!(number(text).as_deref(), help, "{text}");
        }
    }
}
