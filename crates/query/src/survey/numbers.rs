use crate::read::Numbers;

/// How numbers are written: the decimal sign, and what groups thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberForm {
    pub decimal: char,
    pub thousands: Option<char>,
}

/// From the plainest on: of forms that read equally many columns the first is taken.
const FORMS: [NumberForm; 7] = [
    NumberForm { decimal: '.', thousands: None },
    NumberForm { decimal: ',', thousands: None },
    NumberForm { decimal: '.', thousands: Some(',') },
    NumberForm { decimal: ',', thousands: Some('.') },
    NumberForm { decimal: '.', thousands: Some(' ') },
    NumberForm { decimal: ',', thousands: Some(' ') },
    NumberForm { decimal: '.', thousands: Some('\'') },
];

impl Default for NumberForm {
    fn default() -> NumberForm {
        FORMS[0]
    }
}

impl NumberForm {
    /// The form that reads the most columns as numbers. `columns` are a few cells of each, without nulls.
    pub(super) fn of(columns: &[Vec<&str>]) -> NumberForm {
        let read = |form: &NumberForm| {
            let is_numeric =
                |cells: &&Vec<&str>| !cells.is_empty() && cells.iter().all(|cell| form.parse(cell).is_some());
            columns.iter().filter(is_numeric).count()
        };
        let counts = FORMS.map(|form| read(&form));
        let most = counts.into_iter().max().unwrap_or(0);
        let mut best = counts.iter().position(|count| *count == most).map_or(FORMS[0], |place| FORMS[place]);
        // `1,234` read with decimal commas may as well be a thousand: it is where every comma stands before three digits.
        let grouped = NumberForm { decimal: '.', thousands: Some(',') };
        if best.decimal == ',' && best.thousands.is_none() && read(&grouped) == most {
            best = grouped;
        }
        best
    }

    /// As the reader of sources takes the cell: a column is of numbers only where ingesting finds the same.
    pub fn parse(&self, cell: &str) -> Option<f64> {
        Numbers::new(self.decimal, self.thousands).float(cell.as_bytes())
    }

    /// A whole number without a fraction, even one of zeros: what has one is an amount until its column's name says
    /// otherwise. Leading zeros make a code, not a number.
    pub(super) fn parse_int(&self, cell: &str) -> Option<i64> {
        if cell.contains(self.decimal) { None } else { self.parse_whole(cell) }
    }

    /// A whole number that may have a fraction of zeros, as programs write ints among which some are missing: `17.0`.
    pub(super) fn parse_whole(&self, cell: &str) -> Option<i64> {
        Numbers::new(self.decimal, self.thousands).int(cell.as_bytes())
    }
}

/// Whether zeros lead, as in `00123`: a code, whose zeros say something.
pub(super) fn is_code(cell: &str) -> bool {
    let cell = cell.trim();
    cell.len() > 1 && cell.starts_with('0') && cell.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(cells: &[&str]) -> (char, Option<char>) {
        let found = NumberForm::of(&[cells.to_vec()]);
        (found.decimal, found.thousands)
    }

    #[test]
    fn forms_are_told_by_what_they_read() {
        assert_eq!(form(&["1", "2.5", "1e3"]), ('.', None));
        assert_eq!(form(&["1,5", "2,25"]), (',', None));
        assert_eq!(form(&["1,500", "22,250"]), ('.', Some(',')));
        assert_eq!(form(&["1,500.75", "3"]), ('.', Some(',')));
        assert_eq!(form(&["1.500,75", "3"]), (',', Some('.')));
        assert_eq!(form(&["1 500,75", "-3"]), (',', Some(' ')));
        assert_eq!(form(&["1'500.75", "3"]), ('.', Some('\'')));
        assert_eq!(form(&["word", "3"]), ('.', None));
    }

    #[test]
    fn cells_that_only_look_like_numbers_are_none() {
        let comma = NumberForm { decimal: ',', thousands: Some('.') };
        assert_eq!(comma.parse("-1.234,5"), Some(-1234.5));
        for bad in ["1.23,5", "1,2,3", "", "-", "inf", "nan", "1.2345,1", "12a"] {
            assert_eq!(comma.parse(bad), None, "{bad}");
        }
        assert_eq!(NumberForm::default().parse("inf"), None);
        assert_eq!(comma.parse_int("12.345"), Some(12_345));
        let blank = NumberForm { decimal: '.', thousands: Some(' ') };
        assert_eq!((blank.parse("12\u{a0}345"), blank.parse_int("12\u{202f}345")), (Some(12_345.0), Some(12_345)));
        assert_eq!(form(&["12\u{a0}345", "7"]), ('.', Some(' ')));
        let point = NumberForm::default();
        assert_eq!(
            (point.parse_int("17.0"), point.parse_whole("17.0"), point.parse_whole("17")),
            (None, Some(17), Some(17))
        );
        assert_eq!(
            (comma.parse_whole("1.017,00"), comma.parse_whole("17,5"), comma.parse_whole("17,")),
            (Some(1017), None, None)
        );
        assert!(is_code("007") && !is_code("0") && !is_code("0.5"));
    }
}
