//! Numbers as people write them: a decimal comma, grouped thousands.

use super::cells::trimmed;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// With a decimal point and nothing else.
    Plain,
    Marked {
        decimal: char,
        thousands: Option<char>,
    },
}

impl Numbers {
    pub(crate) fn new(decimal: char, thousands: Option<char>) -> Numbers {
        match (decimal, thousands) {
            ('.', None) => Numbers::Plain,
            _ => Numbers::Marked { decimal, thousands },
        }
    }

    /// `12.0` is a whole number, too: so a program writes those of a column where one was missing once.
    pub(crate) fn int(&self, cell: &[u8]) -> Option<i64> {
        match self {
            Numbers::Plain => whole(trimmed(cell)?),
            Numbers::Marked { decimal, thousands } => whole(&plain(cell, *decimal, *thousands)?),
        }
    }

    /// Finite ones only: `inf`, `NaN` and `1e999` are no figures that anybody wrote down.
    pub(crate) fn float(&self, cell: &[u8]) -> Option<f64> {
        self.any_float(cell).filter(|number| number.is_finite())
    }

    /// Whether the cell is what a program writes for a number that is none.
    pub(crate) fn is_no_finite_float(&self, cell: &[u8]) -> bool {
        self.any_float(cell).is_some_and(|number| !number.is_finite())
    }

    fn any_float(&self, cell: &[u8]) -> Option<f64> {
        match self {
            Numbers::Plain => trimmed(cell)?.parse().ok(),
            Numbers::Marked { decimal, thousands } => plain(cell, *decimal, *thousands)?.parse().ok(),
        }
    }
}

fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let (whole, fraction) = text.split_once('.')?;
        let is_whole = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
        is_whole.then(|| whole.parse().ok())?
    })
}

/// The number as Rust reads it. A mark where none belongs is no number: `12.5` under `thousands: .` is not 125.
fn plain(cell: &[u8], decimal: char, thousands: Option<char>) -> Option<String> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    let end = text.find([decimal, 'e', 'E']).unwrap_or(text.len());
    let (whole, rest) = text.split_at(end);
    let mut number = String::with_capacity(text.len());
    let digits = whole.trim_start_matches(['+', '-']);
    number.push_str(&whole[..whole.len() - digits.len()]);
    match thousands.filter(|mark| digits.contains(|c| is_mark(c, *mark))) {
        Some(mark) => ungroup(digits, mark, &mut number)?,
        None => number.push_str(digits),
    }
    if number.contains('.') {
        return None;
    }
    match rest.strip_prefix(decimal) {
        Some(fraction) if fraction.contains('.') => return None,
        Some(fraction) => {
            number.push('.');
            number.push_str(fraction);
        }
        None => number.push_str(rest),
    }
    Some(number)
}

/// A blank between thousands is often an unbreakable one.
fn is_mark(c: char, mark: char) -> bool {
    c == mark || (mark == ' ' && matches!(c, '\u{a0}' | '\u{202f}'))
}

/// The digits without their marks, where these stand as they do anywhere in the world: the last group has three digits,
/// those before it three, or two as in India.
fn ungroup(digits: &str, mark: char, number: &mut String) -> Option<()> {
    let groups: Vec<&str> = digits.split(|c| is_mark(c, mark)).collect();
    let (last, before) = groups.split_last()?;
    let (first, middle) = before.split_first()?;
    let well = |group: &str, lengths: &[usize]| {
        lengths.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    let fits = well(last, &[3])
        && well(first, &[1, 2, 3])
        && (middle.iter().all(|group| well(group, &[3])) || middle.iter().all(|group| well(group, &[2])));
    fits.then(|| groups.iter().for_each(|group| number.push_str(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_numbers_are_read_and_misplaced_marks_are_not() {
        let german = Numbers::new(',', Some('.'));
        let float = |text: &str| german.float(text.as_bytes());
        assert_eq!(float("1.234,56"), Some(1234.56));
        assert_eq!(float(" -1.234.567 "), Some(-1_234_567.0));
        assert_eq!(float("4,53E+11"), Some(4.53e11));
        assert_eq!(float("0,5"), Some(0.5));
        assert_eq!(float("1234,5"), Some(1234.5));
        for bad in ["12.5", "1.23,4", "1,234.5", "1.2345", ".123", "1..234", "1,2,3", "", "-", "1.234.56"] {
            assert_eq!(float(bad), None, "{bad}");
        }
        assert_eq!(german.int(b"12.345"), Some(12_345));
        assert_eq!((german.int(b"12,0"), german.int(b"1.200,00")), (Some(12), Some(1200)));
        assert_eq!((Numbers::Plain.int(b"-7.0"), Numbers::Plain.int(b" 100000.000 ")), (Some(-7), Some(100_000)));
        for bad in ["1.5", "1.", ".0", "-.0", "1.0.0", "1e3", "1.0e0", "12,0", "9223372036854775808.0"] {
            assert_eq!(Numbers::Plain.int(bad.as_bytes()), None, "{bad}");
        }
        let comma = Numbers::new(',', None);
        assert_eq!((comma.float(b"1,5"), comma.float(b"1.5")), (Some(1.5), None));
        let blank = Numbers::new(',', Some(' '));
        assert_eq!(blank.float("12\u{a0}345,5".as_bytes()), Some(12_345.5));
        let indian = Numbers::new('.', Some(','));
        assert_eq!(indian.float(b"12,34,567.25"), Some(1_234_567.25));
        assert_eq!(indian.float(b"1,5"), None);
        assert_eq!(Numbers::new('.', None), Numbers::Plain);
        for none in ["inf", "-Infinity", "NaN", "nan", "1e999"] {
            for numbers in [Numbers::Plain, german, blank] {
                assert_eq!(numbers.float(none.as_bytes()), None, "{none}");
                assert!(numbers.is_no_finite_float(none.as_bytes()), "{none}");
            }
        }
        assert!(!Numbers::Plain.is_no_finite_float(b"much") && !Numbers::Plain.is_no_finite_float(b"1e9"));
    }
}
