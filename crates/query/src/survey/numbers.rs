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

    pub fn parse(&self, cell: &str) -> Option<f64> {
        let cell = cell.trim();
        let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == self.decimal) {
            return None; // Rust reads `inf` and `nan`; a number begins with a digit.
        }
        if *self == FORMS[0] {
            return cell.parse().ok();
        }
        let (whole, rest) = match digits.find([self.decimal, 'e', 'E']) {
            Some(at) => digits.split_at(at),
            None => (digits, ""),
        };
        let mut plain = String::with_capacity(cell.len());
        if cell.starts_with('-') {
            plain.push('-');
        }
        match self.thousands.filter(|sign| whole.contains(*sign)) {
            Some(sign) => {
                let mut groups = whole.split(sign);
                let first = groups.next().filter(|group| (1..=3).contains(&group.len()))?;
                plain.push_str(first);
                for group in groups {
                    if group.len() != 3 {
                        return None;
                    }
                    plain.push_str(group);
                }
            }
            None => plain.push_str(whole),
        }
        plain.push_str(&rest.replacen(self.decimal, ".", 1));
        let clean = plain.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
        if clean { plain.parse().ok() } else { None }
    }

    /// A whole number as Karat's ints are written. Leading zeros make a code, not a number.
    pub(super) fn parse_int(&self, cell: &str) -> Option<i64> {
        let cell = cell.trim();
        let number = match self.thousands.filter(|sign| cell.contains(*sign)) {
            Some(sign) => {
                self.parse(cell)?;
                cell.replace(sign, "").parse().ok()?
            }
            None => cell.parse().ok()?,
        };
        Some(number)
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
        assert!(is_code("007") && !is_code("0") && !is_code("0.5"));
    }
}
