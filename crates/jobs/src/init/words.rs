//! Numbers as comments write them.

pub(super) use karat_core::thousands as count;

pub(super) fn percent(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole.max(1) as f64 * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        small if small < 0.1 => format!("{small:.3} %"),
        other => format!("{other:.1} %"),
    }
}

/// A number as short as it can be read back.
pub(super) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        let whole = count(value.abs() as u64);
        if value < 0.0 { format!("-{whole}") } else { whole }
    } else {
        value.to_string()
    }
}

/// The day of an instant in microseconds.
pub(super) fn day(micros: f64) -> String {
    let days = (micros / karat_core::time::MICROS_PER_DAY as f64).floor();
    karat_core::time::format_date(days as i32)
}

/// `a`, `b` and 3 more.
pub(super) fn listed<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown: Vec<&str> = items.iter().take(most).map(AsRef::as_ref).collect();
    let more = items.len().saturating_sub(most);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
