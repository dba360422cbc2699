//! How a CSV file is written, told by its first bytes.

use karat_project::spec::Csv;

use super::numbers::NumberForm;
use super::{NULL_MARKERS, WEAK_MARKERS, dates};
use crate::read::{Record, Records};

#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// A label of `encoding_rs`, in lower case.
    pub encoding: String,
    pub delimiter: char,
    pub quote: char,
    pub header: bool,
    /// Whether texts are padded with blanks that are no part of them.
    pub trim: bool,
    pub numbers: NumberForm,
    /// Cells that mean null; the empty one first.
    pub null_values: Vec<String>,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            encoding: "utf-8".to_owned(),
            delimiter: ',',
            quote: '"',
            header: true,
            trim: false,
            numbers: NumberForm::default(),
            null_values: vec![String::new()],
        }
    }
}

/// Of signs that fit equally well the first is taken.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// Records looked at.
const LOOKED_AT: usize = 500;

impl Dialect {
    /// From decoded text that may end within a record. Null markers are told by the columns, later.
    pub(super) fn of(encoding: &str, head: &str, is_whole: bool) -> Dialect {
        let mut dialect = Dialect { encoding: encoding.to_owned(), ..Dialect::default() };
        let quoted = |quote: char| {
            let mut before = DELIMITERS.iter().chain(&['\n']);
            before.any(|sign| head.contains(&format!("{sign}{quote}"))) || head.starts_with(quote)
        };
        if !quoted('"') && quoted('\'') {
            dialect.quote = '\'';
        }
        let mut best = 0.0;
        let candidates = DELIMITERS.into_iter().chain(std::iter::once(' '));
        for delimiter in candidates {
            let records = Dialect { delimiter, ..dialect.clone() }.records(head, is_whole);
            let width = records.first().map_or(0, Vec::len);
            if width < 2 || (delimiter == ' ' && (best > 0.0 || width < 3 || is_behind_another(&records[0]))) {
                continue;
            }
            let alike = records.iter().filter(|record| record.len() == width).count() as f64 / records.len() as f64;
            // Agreement first; among those that agree, more columns.
            let fits = (alike * 20.0).round() * 1000.0 + width as f64;
            if alike > 0.5 && fits > best {
                best = fits;
                dialect.delimiter = delimiter;
            }
        }
        let records = dialect.records(head, is_whole);
        dialect.header = has_header(&records);
        let width = records.first().map_or(0, Vec::len);
        let body = &records[usize::from(dialect.header).min(records.len())..];
        let columns: Vec<Vec<&str>> = (0..width)
            .map(|column| {
                let cells = body.iter().filter_map(|record| record.get(column)).map(String::as_str);
                cells.filter(|cell| !is_marker(cell)).collect()
            })
            .collect();
        dialect.numbers = NumberForm::of(&columns);
        dialect
    }

    /// The first records, the last of them left out where it may be cut.
    fn records(&self, head: &str, is_whole: bool) -> Vec<Vec<String>> {
        let mut reader = Records::new(head.as_bytes(), &self.csv());
        let mut record = Record::new();
        let mut records = Vec::new();
        if reader.begin().is_err() {
            return records; // Reading memory does not fail.
        }
        while records.len() < LOOKED_AT && reader.read(&mut record).unwrap_or(false) {
            records.push(record.cells().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
        }
        if !is_whole && records.len() < LOOKED_AT && records.len() > 1 {
            records.pop();
        }
        records
    }

    /// What the reader of records needs to know.
    pub(super) fn csv(&self) -> Csv {
        Csv { delimiter: self.delimiter, quote: self.quote, header: self.header, ..Csv::default() }
    }

    /// As the reader of sources takes it: blanks around a marker matter where texts are taken to the letter, and then no
    /// text has any.
    pub fn is_null(&self, cell: &str) -> bool {
        let bare = cell.trim();
        self.null_values.iter().any(|null| null == bare)
    }
}

/// Whether blanks separate nothing, since what does stands before them: `client_id, income, late`.
fn is_behind_another(first: &[String]) -> bool {
    let ends = |delimiter: char| first.iter().filter(|cell| cell.ends_with(delimiter)).count();
    DELIMITERS.into_iter().any(|delimiter| (ends(delimiter) + 1) * 2 > first.len())
}

/// Whether a cell may mean nothing.
pub(super) fn is_marker(cell: &str) -> bool {
    let cell = cell.trim();
    NULL_MARKERS.contains(&cell) || WEAK_MARKERS.contains(&cell)
}

/// A line of names differs in kind from the cells below it; in a file of words only, its words do not come again.
fn has_header(records: &[Vec<String>]) -> bool {
    let Some((first, body)) = records.split_first() else { return true };
    if first.iter().all(|cell| cell.trim().is_empty()) {
        return false;
    }
    let (mut names, mut values) = (0, 0);
    for (column, cell) in first.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty()) {
        let below: Vec<&str> = body.iter().filter_map(|record| record.get(column)).map(String::as_str).collect();
        let below: Vec<&str> = below.into_iter().filter(|cell| !is_marker(cell)).collect();
        let most_are = |is_so: fn(&str) -> bool| {
            below.iter().filter(|cell| is_so(cell)).count() * 10 >= below.len() * 9 && !below.is_empty()
        };
        match (is_value(cell), most_are(is_value)) {
            (true, true) if is_year(cell) && !most_are(is_year) => names += 1,
            (true, _) => values += 1,
            (false, true) => names += 1,
            (false, false) => {}
        }
    }
    if values > 0 {
        return names > values;
    }
    let repeated = |column: usize| {
        let name = &first[column];
        body.iter().any(|record| record.get(column) == Some(name))
    };
    let all_words = body.iter().take(50).flatten().all(|cell| !is_value(cell));
    !(all_words && !body.is_empty() && (0..first.len()).any(repeated))
}

fn is_value(cell: &str) -> bool {
    let cell = cell.trim();
    NumberForm::default().parse(cell).is_some() || dates::iso_micros(cell).is_some()
}

/// Columns are called by years, and hardly anything else that is a number.
fn is_year(cell: &str) -> bool {
    cell.trim().parse::<u32>().is_ok_and(|year| (1900..=2100).contains(&year))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (char, char, bool) {
        let dialect = Dialect::of("utf-8", text, true);
        (dialect.delimiter, dialect.quote, dialect.header)
    }

    #[test]
    fn dialects_are_told_by_the_first_lines() {
        assert_eq!(of("a,b,c\n1,2,3\n"), (',', '"', true));
        assert_eq!(of("a;b;c\n1,5;2,5;3,5\n"), (';', '"', true));
        assert_eq!(of("a\tb\n1, 2\t3\n"), ('\t', '"', true));
        assert_eq!(of("a|b\n'x|y'|3\n'z'|4\n"), ('|', '\'', true));
        assert_eq!(of("1,2\n3,4\n"), (',', '"', false));
        assert_eq!(of("red,big\ngreen,small\nred,big\n"), (',', '"', false));
        assert_eq!(of("colour,size\nred,big\ngreen,small\n"), (',', '"', true));
        assert_eq!(of(",x,y\n0,1,2\n1,3,4\n"), (',', '"', true));
        assert_eq!(of("A11 6 A34\nA12 48 A32\n"), (' ', '"', false));
        assert_eq!(of("only\n1\n2\n"), (',', '"', true));
        assert_eq!(of("id, town, late\n1, \"Brno, CZ\", 0\n2, \"Graz, AT\", 1\n"), (',', '"', true));
        // Names that are numbers, beside such as are none; and rows in which few cells are numbers.
        assert_eq!(of("id,income,2019\n1,5.5,0.25\n2,6.5,0.5\n"), (',', '"', true));
        assert_eq!(of("name,2019,2020\nAnna,0.25,7\nBen,0.5,9\n"), (',', '"', true));
        assert_eq!(of("1,2,3\n1,5.5,0.25\n2,6.5,0.5\n"), (',', '"', false));
        assert_eq!(of("north,12,red\nsouth,14,blue\nwest,15,red\n"), (',', '"', false));
        assert_eq!(of("7,2021-01-05,north\n8,2021-01-06,south\n"), (',', '"', false));
        assert_eq!(of(""), (',', '"', true));
    }

    #[test]
    fn decimal_commas_are_told_with_the_separator() {
        let dialect = Dialect::of("utf-8", "a;b\n1.234,5;-\n2,5;3,25\n", true);
        assert_eq!(dialect.numbers, NumberForm { decimal: ',', thousands: Some('.') });
        // A cut last line is no line.
        let cut = Dialect::of("utf-8", "a,b\n1,2\n3,4\n5", false);
        assert_eq!((cut.delimiter, cut.header), (',', true));
    }
}
