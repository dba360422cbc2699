//! What a column holds: its type, told by every cell, and the facts that a contract and a model are made from.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use karat_core::DataType;
use karat_core::time::MICROS_PER_DAY;

use super::dates::{self, CLOCKS, Clock, DateForm, DateOrder, FORMS, TimeForm, iso_micros};
use super::numbers::{NumberForm, is_code};
use super::{NULL_MARKERS, WEAK_MARKERS};

/// Different values kept with their counts.
const LISTED: usize = 1_000;
/// Different values told apart; beyond it a column has "many".
const COUNTED: usize = 3_000_000;
/// Words kept that stand among numbers.
const MOST_WORDS: usize = 12;
/// The share of cells that may be no numbers (or dates) in a column of them.
const STRAY: f64 = 0.01;

#[derive(Debug, Clone)]
pub struct ColumnFacts {
    /// As the file has it.
    pub name: String,
    pub data_type: DataType,
    /// How the text, or the numbers, of this column write dates and times.
    pub dates: Option<TimeForm>,
    /// Whether they could as well be read the other way round.
    pub ambiguous_dates: bool,
    /// Cells with a value.
    pub values: u64,
    pub nulls: u64,
    /// Cells with a value that is not of the type.
    pub strays: u64,
    pub distinct: u64,
    /// Every value with its count, the most frequent first; empty where there are too many.
    pub listed: Vec<(String, u64)>,
    /// Of numbers; of times microseconds since 1970.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Whole numbers, each one more than the one before.
    pub consecutive: bool,
    /// Whole numbers all, be it with zeros behind the decimal sign.
    pub whole: bool,
    /// Characters of the longest value.
    pub longest: usize,
    /// What a text is that reads like numbers or times, and is none as it stands.
    pub looks: Option<Looks>,
}

/// Texts that people read as numbers or times, each with what keeps a reader from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looks {
    /// Numbers in brackets, with a sign of currency or of percent: one of them.
    Dressed(String),
    /// Numbers, and these words among them with their counts, the most frequent first.
    WordsAmong(Vec<(String, u64)>),
    /// Dates, of which some have a time of day.
    SomeTimes,
}

impl ColumnFacts {
    /// A cell of a date or timestamp column, or of one whose text is dates.
    pub fn micros(&self, cell: &str) -> Option<i64> {
        match self.dates {
            Some(form) => form.parse(cell),
            None if self.data_type.is_time() => iso_micros(cell),
            None => None,
        }
    }

    /// Whether it says when something happened.
    pub fn is_time(&self) -> bool {
        self.data_type.is_time() || self.dates.is_some()
    }

    pub fn is_unique(&self) -> bool {
        self.distinct == self.values && self.nulls == 0 && self.strays == 0
    }
}

pub(super) fn hash(cell: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    cell.hash(&mut hasher);
    hasher.finish()
}

/// Of `true`, `yes` and their like.
pub(super) fn truth(cell: &str) -> Option<bool> {
    match cell.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" => Some(true),
        "false" | "f" | "no" | "n" => Some(false),
        _ => None,
    }
}

pub(super) struct Column {
    name: String,
    /// Where the file says it.
    given: Option<DataType>,
    numbers: NumberForm,
    /// Cells that may mean nothing, without the blanks around them, with their counts.
    markers: BTreeMap<String, u64>,
    /// Whether blanks stand around some cell.
    padded: bool,
    /// Cells beside those.
    cells: u64,
    ints: u64,
    wholes: u64,
    floats: u64,
    /// Of digits alone, however many.
    digits: u64,
    codes: u64,
    bools: u64,
    iso_dates: u64,
    iso_times: u64,
    /// Numbers but for brackets and signs, and the first of them.
    dressed: u64,
    a_dressed: Option<String>,
    /// The first few words that are no numbers.
    words: BTreeMap<String, u64>,
    forms: [u64; FORMS.len()],
    clocks: [u64; CLOCKS.len()],
    listed: Option<BTreeMap<String, u64>>,
    hashes: HashSet<u64>,
    range: Option<(f64, f64)>,
    times: Option<(f64, f64)>,
    form_times: [Option<(i64, i64)>; FORMS.len()],
    last_int: Option<i64>,
    consecutive: bool,
    longest: usize,
}

impl Column {
    pub(super) fn new(name: String, numbers: NumberForm) -> Column {
        Column {
            name,
            given: None,
            numbers,
            markers: BTreeMap::new(),
            padded: false,
            cells: 0,
            ints: 0,
            wholes: 0,
            floats: 0,
            digits: 0,
            codes: 0,
            bools: 0,
            iso_dates: 0,
            iso_times: 0,
            dressed: 0,
            a_dressed: None,
            words: BTreeMap::new(),
            forms: [0; FORMS.len()],
            clocks: [0; CLOCKS.len()],
            listed: Some(BTreeMap::new()),
            hashes: HashSet::new(),
            range: None,
            times: None,
            form_times: [None; FORMS.len()],
            last_int: None,
            consecutive: true,
            longest: 0,
        }
    }

    pub(super) fn typed(name: String, data_type: DataType, numbers: NumberForm) -> Column {
        Column { given: Some(data_type), ..Column::new(name, numbers) }
    }

    pub(super) fn add(&mut self, cell: &str) {
        // Texts of a Parquet file are taken to the letter.
        let bare = if self.given == Some(DataType::Text) { cell } else { cell.trim() };
        self.padded |= bare.len() < cell.len();
        if NULL_MARKERS.contains(&bare) || WEAK_MARKERS.contains(&bare) {
            *self.markers.entry(bare.to_owned()).or_default() += 1;
            self.consecutive = false;
            return;
        }
        self.cells += 1;
        self.longest = self.longest.max(bare.chars().count());
        self.count(bare);
        let begins_like_one = bare.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | ','));
        if begins_like_one {
            if !self.add_number(bare) {
                self.look(bare);
            }
            self.add_time(bare);
        } else {
            self.consecutive = false;
            self.look(bare);
            self.bools += u64::from(truth(bare).is_some());
            self.add_forms(|form| form == DateForm::MonthName, bare, 0);
        }
    }

    /// What a cell is that is no number. In a column of hardly any numbers that is of no interest.
    fn look(&mut self, cell: &str) {
        if self.cells > 1_000 && (self.floats + self.dressed) * 2 < self.cells {
            return;
        }
        if undressed(cell).is_some_and(|bare| reads_as_number(bare, self.numbers)) {
            self.dressed += 1;
            // Brackets say most: they stand for a sign.
            if self.a_dressed.as_ref().is_none_or(|shown| cell.starts_with('(') && !shown.starts_with('(')) {
                self.a_dressed = Some(cell.to_owned());
            }
        } else if let Some(cells) = self.words.get_mut(cell) {
            *cells += 1;
        } else if self.words.len() < MOST_WORDS && cell.chars().count() <= 30 {
            self.words.insert(cell.to_owned(), 1);
        }
    }

    fn looks(&self) -> Option<Looks> {
        let timed: u64 = self.clocks.iter().sum();
        let dated = self.forms.iter().max().copied().unwrap_or(0);
        if self.dressed > 0 && self.holds(self.dressed + self.floats) {
            return self.a_dressed.clone().map(Looks::Dressed);
        }
        if timed > 0 && timed < dated && self.holds(dated) {
            return Some(Looks::SomeTimes);
        }
        let mut words: Vec<(String, u64)> = self.words.iter().map(|(word, cells)| (word.clone(), *cells)).collect();
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        // Codes such as `12`, `14B` are no amounts: few words stand among those, and many numbers.
        let is_amount = self.codes == 0 && self.floats * 10 >= self.cells * 8 && words.len() < MOST_WORDS;
        let told: u64 = words.iter().map(|(_, cells)| cells).sum();
        (is_amount && told + self.floats == self.cells && !words.is_empty()).then_some(Looks::WordsAmong(words))
    }

    fn count(&mut self, cell: &str) {
        if let Some(listed) = &mut self.listed {
            if let Some(count) = listed.get_mut(cell) {
                *count += 1;
            } else if listed.len() < LISTED {
                listed.insert(cell.to_owned(), 1);
            } else {
                self.listed = None;
            }
        }
        if self.hashes.len() < COUNTED {
            self.hashes.insert(hash(cell));
        }
    }

    fn add_number(&mut self, cell: &str) -> bool {
        let Some(number) = self.numbers.parse(cell) else {
            self.consecutive = false;
            return false;
        };
        self.floats += 1;
        self.range = Some(self.range.map_or((number, number), |(min, max)| (min.min(number), max.max(number))));
        if is_code(cell) {
            self.codes += 1;
        }
        self.ints += u64::from(self.numbers.parse_int(cell).is_some());
        self.digits += u64::from(cell.bytes().all(|byte| byte.is_ascii_digit()));
        match self.numbers.parse_whole(cell) {
            Some(int) => {
                self.wholes += 1;
                self.consecutive &= self.last_int.is_none_or(|last| last.checked_add(1) == Some(int));
                self.last_int = Some(int);
            }
            None => self.consecutive = false,
        }
        true
    }

    fn add_time(&mut self, cell: &str) {
        if cell.len() < 6 {
            return;
        }
        if let Some(micros) = iso_micros(cell) {
            self.iso_times += 1;
            self.iso_dates += u64::from(dates::is_date(cell));
            let micros = micros as f64;
            self.times = Some(self.times.map_or((micros, micros), |(min, max)| (min.min(micros), max.max(micros))));
        }
        match dates::split_clock(cell) {
            Some((day, clock, micros)) => {
                self.clocks[clock] += 1;
                self.add_forms(DateForm::tells_a_day, day, micros);
            }
            None => self.add_forms(|_| true, cell, 0),
        }
    }

    /// A form that failed a few cells is not tried again.
    fn add_forms(&mut self, is_tried: impl Fn(DateForm) -> bool, day: &str, time_of_day: i64) {
        for (place, form) in FORMS.into_iter().enumerate().filter(|(_, form)| is_tried(*form)) {
            if self.forms[place] + 50 + self.cells / 50 < self.cells {
                continue;
            }
            if let Some(days) = form.parse(day) {
                self.forms[place] += 1;
                let micros = i64::from(days) * MICROS_PER_DAY + time_of_day;
                let range = &mut self.form_times[place];
                *range = Some(range.map_or((micros, micros), |(min, max)| (min.min(micros), max.max(micros))));
            }
        }
    }

    /// Whether so many of the cells are almost all.
    fn holds(&self, count: u64) -> bool {
        self.cells > 0 && (self.cells - count) as f64 <= self.cells as f64 * STRAY
    }

    fn told(&self) -> (DataType, Option<usize>, u64) {
        if let Some(given) = self.given {
            let form = (given == DataType::Text).then(|| self.best_form()).flatten();
            return (given, form, self.cells);
        }
        let is_compact = |form: usize| FORMS[form] == DateForm::Compact;
        if self.codes * 2 > self.cells && self.codes > 0 {
            return (DataType::Text, None, self.cells);
        }
        let form = self.best_form();
        // Eight digits are a date where all of them are; otherwise an amount.
        if let Some(form) = form.filter(|form| is_compact(*form) && self.forms[*form] == self.cells && self.cells > 9) {
            return (DataType::Text, Some(form), self.forms[form]);
        }
        // Digits that no int holds are a name: a float would not tell them apart.
        if self.digits == self.cells && self.ints < self.cells {
            return (DataType::Text, None, self.cells);
        }
        // `1e+05` among ints makes a column of floats.
        if self.codes == 0 && self.ints == self.floats && self.holds(self.ints) {
            return (DataType::Int, None, self.ints);
        }
        if self.codes == 0 && self.holds(self.floats) {
            return (DataType::Float, None, self.floats);
        }
        if self.bools == self.cells && self.cells > 0 && self.is_pair() {
            return (DataType::Bool, None, self.bools);
        }
        if self.holds(self.iso_dates) {
            return (DataType::Date, None, self.iso_dates);
        }
        if self.holds(self.iso_times) {
            return (DataType::Timestamp, None, self.iso_times);
        }
        match form.filter(|form| !is_compact(*form)) {
            Some(form) => (DataType::Text, Some(form), self.forms[form]),
            None => (DataType::Text, None, self.cells),
        }
    }

    /// The form of dates that reads almost all cells, where all of those have a time of day, or none has.
    fn best_form(&self) -> Option<usize> {
        let best = (0..FORMS.len()).max_by_key(|form| (self.forms[*form], FORMS.len() - form))?;
        let without_clock = self.forms[best].saturating_sub(self.clocks.iter().sum());
        let is_one_way = self.clock().is_some() || self.holds(without_clock);
        (self.holds(self.forms[best]) && is_one_way).then_some(best)
    }

    /// How almost all cells write the time of day.
    fn clock(&self) -> Option<Clock> {
        let [seconds, fractions] = [Clock::Seconds, Clock::Fractions].map(|clock| {
            CLOCKS.iter().zip(self.clocks).filter(|(this, _)| **this == clock).map(|(_, cells)| cells).sum::<u64>()
        });
        if fractions > 0 && self.holds(seconds + fractions) {
            return Some(Clock::Fractions);
        }
        CLOCKS.into_iter().zip(self.clocks).find(|(_, cells)| self.holds(*cells)).map(|(clock, _)| clock)
    }

    /// `f` alone is no falsehood, nor is `F` beside `M`.
    fn is_pair(&self) -> bool {
        let Some(listed) = &self.listed else { return false };
        let words: HashSet<String> = listed.keys().map(|word| word.to_ascii_lowercase()).collect();
        let pairs = [["true", "false"], ["t", "f"], ["yes", "no"], ["y", "n"]];
        pairs.iter().any(|pair| words.len() == 2 && pair.iter().all(|word| words.contains(*word)))
    }

    pub(super) fn finish(self, null_values: &[String], order: Option<DateOrder>) -> ColumnFacts {
        let ((data_type, mut form, fitting), clock) = (self.told(), self.clock());
        let looks = if data_type == DataType::Text && form.is_none() { self.looks() } else { None };
        let nulls: u64 =
            self.markers.iter().filter(|(cell, _)| null_values.contains(cell)).map(|(_, count)| count).sum();
        let words: BTreeMap<&String, u64> = self
            .markers
            .iter()
            .filter(|(cell, _)| !null_values.contains(cell))
            .map(|(cell, count)| (cell, *count))
            .collect();
        let values = self.cells + words.values().sum::<u64>();
        let turned =
            form.and_then(|form| FORMS[form].turned()).and_then(|other| FORMS.iter().position(|f| *f == other));
        let ambiguous_dates = form.zip(turned).is_some_and(|(form, turned)| self.forms[form] == self.forms[turned]);
        if let (true, Some(order), Some(turned)) = (ambiguous_dates, order, turned)
            && matches!(FORMS[turned], DateForm::Numeric { order: this, .. } if this == order)
        {
            form = Some(turned);
        }
        let mut listed: Vec<(String, u64)> = self.listed.clone().unwrap_or_default().into_iter().collect();
        listed.extend(words.iter().filter(|_| self.listed.is_some()).map(|(cell, count)| ((*cell).clone(), *count)));
        listed.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let range = match (data_type, form) {
            (_, Some(form)) => self.form_times[form].map(|(min, max)| (min as f64, max as f64)),
            (DataType::Int | DataType::Float, None) => self.range,
            (DataType::Date | DataType::Timestamp, None) => self.times,
            _ => None,
        };
        ColumnFacts {
            name: self.name,
            data_type,
            dates: form.map(|form| TimeForm::Text { date: FORMS[form], clock }),
            ambiguous_dates: ambiguous_dates && order.is_none(),
            values,
            nulls,
            // A text holds whatever it holds, the words among null markers included.
            strays: match data_type {
                DataType::Text if form.is_none() => 0,
                _ if self.given.is_some() => 0,
                _ => values - fitting.min(values),
            },
            distinct: (self.hashes.len() + words.len()) as u64,
            listed,
            min: range.map(|(min, _)| min),
            max: range.map(|(_, max)| max),
            consecutive: self.consecutive && data_type.is_numeric() && values > 1,
            whole: data_type.is_numeric() && self.floats > 0 && self.wholes == self.floats,
            longest: self.longest,
            looks,
        }
    }
}

/// Letters of currencies that stand before or behind amounts.
const CURRENCIES: [&str; 28] = [
    "USD", "EUR", "GBP", "CHF", "CZK", "PLN", "HUF", "BRL", "INR", "JPY", "CNY", "RUB", "UAH", "MXN", "CAD", "AUD",
    "NOK", "SEK", "DKK", "RON", "TRY", "ZAR", "IDR", "PHP", "NGN", "KES", "VND", "THB",
];

/// The cell without brackets, percent and the sign or letters of a currency; `None` where it has none of them.
fn undressed(cell: &str) -> Option<&str> {
    let is_dress = |sign: char| "$€£¥₹₽₺₴%".contains(sign) || sign.is_whitespace();
    let bare = cell.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(cell);
    let bare = bare.trim_matches(is_dress);
    let letters =
        CURRENCIES.iter().find_map(|letters| bare.strip_prefix(letters).or_else(|| bare.strip_suffix(letters)));
    let bare = letters.unwrap_or(bare).trim_matches(is_dress);
    // `-$5` and `5-`
    let bare = bare.strip_suffix('-').or_else(|| bare.strip_prefix('-')).unwrap_or(bare).trim_matches(is_dress);
    (bare.len() < cell.len()).then_some(bare)
}

/// Written as the file's numbers are, or grouped as people group them.
fn reads_as_number(cell: &str, numbers: NumberForm) -> bool {
    let grouped =
        [NumberForm { decimal: '.', thousands: Some(',') }, NumberForm { decimal: ',', thousands: Some('.') }];
    cell.bytes().any(|byte| byte.is_ascii_digit())
        && std::iter::once(numbers).chain(grouped).any(|form| form.parse(cell).is_some())
}

/// Whether blanks stand around cells of a text: a reader would take them for part of it.
pub(super) fn has_padded_texts(columns: &[Column]) -> bool {
    columns.iter().any(|column| column.padded && column.told().0 == DataType::Text)
}

/// What means null in the whole file: the sure markers, and those others that stand in columns of numbers, dates and bools.
pub(super) fn null_values(columns: &[Column]) -> Vec<String> {
    let mut found = vec![String::new()];
    for column in columns {
        let (data_type, form, _) = column.told();
        let is_typed = data_type != DataType::Text || form.is_some();
        for cell in column.markers.keys() {
            let is_sure = NULL_MARKERS.contains(&cell.as_str());
            if (is_sure || is_typed) && !found.contains(cell) {
                found.push(cell.clone());
            }
        }
    }
    found[1..].sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(cells: &[&str]) -> ColumnFacts {
        let mut column = Column::new("x".to_owned(), NumberForm::default());
        (0..10).for_each(|_| cells.iter().for_each(|cell| column.add(cell)));
        column.finish(&[String::new()], None)
    }

    #[test]
    fn texts_that_people_read_as_numbers_are_told_apart() {
        let dressed = |cell: &str| Some(Looks::Dressed(cell.to_owned()));
        assert_eq!(facts(&["$26,181.07", "$7.00", "-$5"]).looks, dressed("$26,181.07"));
        assert_eq!(facts(&["(123.45)", "17.25"]).looks, dressed("(123.45)"));
        assert_eq!(facts(&["12.9%", "3 %"]).looks, dressed("12.9%"));
        assert_eq!(facts(&["EUR 12", "1.234,5 EUR"]).looks, dressed("EUR 12"));
        let words = vec![("unknown".to_owned(), 10), ("~3".to_owned(), 10)];
        let numbers = ["1.5", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert_eq!(facts(&[&numbers[..], &["unknown", "~3"]].concat()).looks, Some(Looks::WordsAmong(words)));
        assert_eq!(facts(&["04.03.2021", "04.03.2021 13:05"]).looks, Some(Looks::SomeTimes));
        for plain in [&["north", "south"][..], &["A1", "B2"], &["1.5", "2"], &["007", "A"], &["3 rooms", "(none)"]] {
            assert_eq!(facts(plain).looks, None, "{plain:?}");
        }
    }

    #[test]
    fn ids_are_ints_or_names_and_no_floats() {
        let floats = facts(&["100000.0", "100001.0"]);
        assert!(floats.whole && floats.data_type == DataType::Float);
        assert!(!facts(&["100000.5", "100001.0"]).whole);
        assert_eq!(facts(&["9223372036854775808", "17"]).data_type, DataType::Text);
        assert_eq!(facts(&["late", "None"]).strays, 0);
    }
}
