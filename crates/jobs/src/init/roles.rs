//! Which column says who a row is about, and which one says when.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail};
use karat_core::{DataType, Instant, Window, Zone, time::MICROS_PER_DAY};
use karat_query::{ColumnFacts, Survey};

use super::names::friendly;
use super::target::{Target, place_of};
use super::words::count;
use super::{Unclear, Wishes};
use crate::Usage;

/// What the rows are, as far as keys and times tell.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub time: Option<Time>,
    pub key: Key,
    /// Columns that name something: never features.
    pub ids: Vec<usize>,
    /// Rows that share key and time with an earlier one.
    pub doubles: u64,
    /// What a person should look at, since another reading would give another plan.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Time {
    pub place: usize,
    /// Why this column.
    pub because: String,
    /// What makes a date of it, around its name; `None` where it is one.
    pub made_by: Option<String>,
    /// Whether every date is the last of its month.
    pub month_ends: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Key {
    /// No column names the rows: their numbers do.
    RowNumber,
    /// Every value stands once.
    Unique { place: usize },
    /// Rows share a key; they have a time.
    History { place: usize, row: RowKey, step: Option<Step> },
    /// Rows share a key and have no time: it groups them, and `row` names them.
    Group { place: usize, row: RowKey },
}

/// What tells the rows of one key apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowKey {
    Time,
    Column(usize),
    RowNumber,
}

/// How far the rows of one key stand apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Days(i64),
    Months(u32),
}

impl Step {
    pub(super) fn of(window: Window) -> Result<Step> {
        match window {
            Window::Months(months) => Ok(Step::Months(months)),
            Window::Fixed(micros) if micros % MICROS_PER_DAY == 0 => Ok(Step::Days(micros / MICROS_PER_DAY)),
            Window::Fixed(_) => bail!(Usage("--label-after: write whole days or months, such as `30 days`".to_owned())),
        }
    }

    /// From a column of month ends to a month end: 28 February and a month is 31 March.
    pub(super) fn later_than(self, column: &str, month_ends: bool) -> String {
        match self {
            Step::Days(days) => format!("add_days({column}, {days})"),
            Step::Months(months) if month_ends => {
                format!("add_days(add_months(add_days({column}, 1), {months}), -1)")
            }
            Step::Months(months) => format!("add_months({column}, {months})"),
        }
    }

    fn every(self) -> String {
        self.words().trim_start_matches("a ").to_owned()
    }

    pub(super) fn words(self) -> String {
        match self {
            Step::Days(1) => "a day".to_owned(),
            Step::Days(days) => format!("{days} days"),
            Step::Months(1) => "a month".to_owned(),
            Step::Months(months) => format!("{months} months"),
        }
    }
}

/// Rows of the file whose keys and times are compared.
const MOST_PAIRS: usize = 20_000_000;
/// One row in so many may share key and time with another, and the rows are reports at regular steps nevertheless.
const ROWS_A_DOUBLE: u64 = 100;

/// Programs write ids as `17.0` where some are missing. What is an id by its name, or is said to be the key, is read as
/// ints; an amount stays what it is.
pub(super) fn read_ids_as_ints(survey: &mut Survey, wishes: &Wishes) {
    for place in 0..survey.columns.len() {
        let column = &survey.columns[place];
        if column.data_type != DataType::Float || !column.whole {
            continue;
        }
        let is_said = wishes.key.as_ref() == Some(&column.name);
        survey.columns[place].data_type = DataType::Int;
        if !is_said && !is_id(survey, place) {
            survey.columns[place].data_type = DataType::Float;
        }
    }
}

/// Whether a column that names something names enough of the rows to be their key.
fn has_few_gaps(column: &ColumnFacts) -> bool {
    column.nulls * 20 <= column.values
}

/// Whether no two of the rows that have a value share it.
fn stands_once(column: &ColumnFacts) -> bool {
    column.distinct == column.values && column.strays == 0
}

pub(super) fn roles(survey: &Survey, wishes: &Wishes, target: &Target) -> Result<Roles> {
    let mut time = time(survey, wishes, target)?;
    let time_place = time.as_ref().map(|time| time.place);
    let is_free = |place: &usize| *place != target.place && Some(*place) != time_place;
    let places: Vec<usize> =
        (0..survey.columns.len()).filter(is_free).filter(|place| is_named(survey, *place)).collect();
    let ids: Vec<usize> = places.iter().copied().filter(|place| is_id(survey, *place)).collect();
    let unique = ids.iter().copied().find(|place| survey.columns[*place].is_unique());
    let nearly_unique = || {
        let fits = |column: &ColumnFacts| stands_once(column) && has_few_gaps(column);
        ids.iter().copied().find(|place| fits(&survey.columns[*place]))
    };
    let place = match &wishes.key {
        Some(none) if none == "none" => None,
        Some(name) => {
            let place = place_of(survey, name, "--key")?;
            let column = &survey.columns[place];
            if !is_free(&place) {
                bail!(Usage(format!("--key {name}: it is the target or the time")));
            }
            if !matches!(column.data_type, DataType::Int | DataType::Text) {
                bail!(Usage(format!("--key {name}: it is a {}, and a key is an int or text", column.data_type)));
            }
            Some(place)
        }
        None => match repeated(survey, &ids)? {
            Some(repeated) => Some(repeated),
            None => unique.or_else(nearly_unique),
        },
    };
    let shared = place.filter(|place| !stands_once(&survey.columns[*place]));
    if let (None, None, Some(key)) = (&time, &wishes.time, shared) {
        time = months_of_rows(survey, wishes, target, key)?;
    }
    let time_place = time.as_ref().map(|time| time.place);
    let mut ids = ids;
    ids.retain(|id| Some(*id) != time_place);
    ids.extend(place.filter(|place| !ids.contains(place)));
    let (mut warnings, mut doubles) = (Vec::new(), 0);
    warnings.extend(place.and_then(|place| without_a_key(survey, place)));
    let key = match place {
        None => Key::RowNumber,
        Some(place) if stands_once(&survey.columns[place]) => Key::Unique { place },
        Some(place) => {
            let by_id = unique.filter(|unique| *unique != place).map(RowKey::Column);
            match time_place {
                None => Key::Group { place, row: by_id.unwrap_or(RowKey::RowNumber) },
                Some(time) => {
                    let spacing = Spacing::of(survey, wishes, place, time)?;
                    let step = spacing.step(survey.rows);
                    let row = match (spacing.doubles, by_id) {
                        (0, _) if spacing.is_whole => RowKey::Time,
                        _ if step.is_some() => RowKey::Time,
                        (_, Some(by_id)) => by_id,
                        (_, None) => RowKey::RowNumber,
                    };
                    warnings.extend(spacing.says(survey, [place, time]));
                    doubles = spacing.doubles;
                    Key::History { place, row, step }
                }
            }
        }
    };
    Ok(Roles { time, key, ids, doubles, warnings })
}

/// Rows that no key can be given.
fn without_a_key(survey: &Survey, place: usize) -> Option<String> {
    let column = &survey.columns[place];
    let (nulls, rows) = (count(column.nulls), count(survey.rows));
    (column.nulls > 0).then(|| format!("{}: {nulls} of {rows} rows have none: quarantined when ingested", column.name))
}

/// Whether a source can name the column: it has a name, and no other has the same.
pub(super) fn is_named(survey: &Survey, place: usize) -> bool {
    let name = &survey.columns[place].name;
    !name.is_empty() && survey.columns.iter().filter(|column| column.name == *name).count() == 1
}

/// Words whose column says when a row happened, the likeliest first.
const TIMES: [&str; 22] = [
    "as_of",
    "event_time",
    "timestamp",
    "datetime",
    "application_date",
    "applied",
    "application",
    "decision",
    "issue",
    "issued",
    "origination",
    "originated",
    "loan_date",
    "opened",
    "observation",
    "snapshot",
    "reporting",
    "period",
    "month",
    "date",
    "time",
    "created",
];
/// Words whose column tells a person's past or a contract's future.
const NO_TIMES: [&str; 12] =
    ["birth", "born", "dob", "job", "employ", "due", "expir", "matur", "end", "close", "last", "next"];

fn time(survey: &Survey, wishes: &Wishes, target: &Target) -> Result<Option<Time>> {
    let made_by = |column: &ColumnFacts| column.dates.map(|form| form.to_time("{}"));
    if let Some(name) = &wishes.time {
        if name == "none" {
            return Ok(None);
        }
        let place = place_of(survey, name, "--time")?;
        let column = &survey.columns[place];
        if place == target.place {
            bail!(Usage(format!("--time {name}: it is the target")));
        }
        let made_by = match (column.is_time(), period(column)) {
            (true, _) => made_by(column),
            (false, Some(made_by)) => Some(made_by.to_owned()),
            (false, None) => bail!(Usage(format!(
                "--time {name}: it is a {}, where dates are needed; the forms read are 2021-03-04, 04/03/2021, 04.03.2021, \
                 04/03/21, 2021/03/04, 20210304, 2021-03, 202103, Mar-2021, 04-Mar-21, and times such as \
                 2021-03-04T05:06:07Z, 04.03.2021 05:06 and seconds since 1970",
                column.data_type
            ))),
        };
        ask_for_order(column)?;
        let month_ends = is_of_month_ends(survey, place);
        return Ok(Some(Time { place, because: "as --time says".to_owned(), made_by, month_ends }));
    }
    let excluded = |column: &ColumnFacts| {
        let name = friendly(&column.name);
        NO_TIMES.iter().any(|word| name.contains(word))
    };
    let candidates: Vec<usize> = (0..survey.columns.len())
        .filter(|place| *place != target.place && is_named(survey, *place))
        .filter(|place| {
            let column = &survey.columns[*place];
            column.is_time() && column.nulls == 0 && column.strays == 0 && column.distinct > 1 && !excluded(column)
        })
        .collect();
    let place = match candidates.as_slice() {
        [] => return month_by_name(survey, target),
        [only] => *only,
        several => {
            let rank = |place: &usize| {
                let name = friendly(&survey.columns[*place].name);
                TIMES.iter().position(|word| name.contains(word)).unwrap_or(TIMES.len())
            };
            let best = several.iter().map(rank).min().unwrap_or(TIMES.len());
            let best: Vec<usize> =
                several.iter().copied().filter(|place| best < TIMES.len() && rank(place) == best).collect();
            match best.as_slice() {
                [only] => *only,
                _ => {
                    let choices: Vec<String> =
                        several.iter().map(|place| survey.columns[*place].name.clone()).collect();
                    let choices = choices.into_iter().chain(["none".to_owned()]).collect();
                    let question = "which column says when a row's decision was to be made".to_owned();
                    return Err(Unclear { flag: "--time", question, choices }.into());
                }
            }
        }
    };
    let column = &survey.columns[place];
    ask_for_order(column)?;
    let because = match candidates.len() {
        1 => "the one column of dates without gaps".to_owned(),
        _ => "by its name, among the columns of dates".to_owned(),
    };
    Ok(Some(Time { place, because, made_by: made_by(column), month_ends: is_of_month_ends(survey, place) }))
}

fn ask_for_order(column: &ColumnFacts) -> Result<()> {
    if !column.ambiguous_dates {
        return Ok(());
    }
    let question = format!("no date of {} has a day over 12, so day and month cannot be told apart", column.name);
    Err(Unclear { flag: "--dates", question, choices: vec!["day-first".to_owned(), "month-first".to_owned()] }.into())
}

/// Words of a column of months.
const MONTHS: [&str; 14] = [
    "month",
    "months",
    "period",
    "yyyymm",
    "yearmonth",
    "ym",
    "date",
    "dt",
    "mon",
    "vintage",
    "cohort",
    "snapshot",
    "reporting",
    "observation",
];

/// The columns of months written as `202103`, and whether their names say so.
fn months(survey: &Survey, target: &Target) -> Vec<(usize, bool)> {
    let is_one = |place: &usize| {
        let column = &survey.columns[*place];
        let is_whole = column.nulls == 0 && column.strays == 0 && column.distinct > 2 && !column.listed.is_empty();
        is_whole && column.min >= Some(195_001.0) && period(column) == Some(MONTH_OF_NUMBER)
    };
    let is_said = |place: usize| {
        let name = friendly(&survey.columns[place].name);
        name.split('_').any(|word| MONTHS.contains(&word)) && !NO_TIMES.iter().any(|word| name.contains(word))
    };
    let places = (0..survey.columns.len()).filter(|place| *place != target.place && is_named(survey, *place));
    places.filter(is_one).map(|place| (place, is_said(place))).collect()
}

fn month_as_time(place: usize, because: &str) -> Time {
    Time { place, because: because.to_owned(), made_by: Some(MONTH_OF_NUMBER.to_owned()), month_ends: false }
}

/// In a file without dates: the column of months, where one is called so.
fn month_by_name(survey: &Survey, target: &Target) -> Result<Option<Time>> {
    let said: Vec<usize> = months(survey, target).into_iter().filter(|(_, is_said)| *is_said).map(|(p, _)| p).collect();
    match said.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(month_as_time(*only, "numbers of months such as 202103, by values and name"))),
        several => {
            let choices = several.iter().map(|place| survey.columns[*place].name.clone());
            let choices = choices.chain(["none".to_owned()]).collect();
            let question = "which column of months says when a row's decision was to be made".to_owned();
            Err(Unclear { flag: "--time", question, choices }.into())
        }
    }
}

/// In a file without dates: the column of months of which no key has one twice, whatever it is called.
fn months_of_rows(survey: &Survey, wishes: &Wishes, target: &Target, key: usize) -> Result<Option<Time>> {
    for (place, _) in months(survey, target).into_iter().filter(|(place, _)| *place != key) {
        let spacing = Spacing::of(survey, wishes, key, place)?;
        if spacing.doubles == 0 && spacing.rhythm.is_some_and(|rhythm| rhythm.is_dense) {
            let because = format!("months such as 202103, each once of a {}", survey.columns[key].name);
            return Ok(Some(month_as_time(place, &because)));
        }
    }
    Ok(None)
}

const MONTH_OF_NUMBER: &str = "make_date({} / 100, {} % 100, 1)";

/// A whole number that is a month (`202103`) or a year.
fn period(column: &ColumnFacts) -> Option<&'static str> {
    let (DataType::Int, Some(min), Some(max)) = (column.data_type, column.min, column.max) else { return None };
    let is_month = |value: &str| value.trim().parse::<u32>().is_ok_and(|month| (1..=12).contains(&(month % 100)));
    if min >= 190_001.0 && max <= 210_012.0 && column.listed.iter().all(|(value, _)| is_month(value)) {
        return Some(MONTH_OF_NUMBER);
    }
    (min >= 1900.0 && max <= 2100.0).then_some("make_date({}, 1, 1)")
}

/// A cell of the time's column as microseconds since 1970.
pub(super) fn micros(column: &ColumnFacts, cell: &str) -> Option<i64> {
    if column.is_time() {
        return column.micros(cell);
    }
    let number: i32 = cell.trim().parse().ok()?;
    let (year, month) = if number > 9999 { (number / 100, number % 100) } else { (number, 1) };
    Some(Zone::utc().add_months(Instant::midnight(0), (year - 1970) * 12 + month - 1).micros())
}

/// Words at the end of a name that make it an id's.
const ID_ENDS: [&str; 9] = ["id", "uuid", "guid", "key", "number", "no", "nr", "num", "code"];
/// Words for those whom rows are about.
const WHO: [&str; 17] = [
    "client",
    "customer",
    "account",
    "acct",
    "applicant",
    "borrower",
    "person",
    "member",
    "user",
    "household",
    "patient",
    "individual",
    "subject",
    "contract",
    "card",
    "company",
    "debtor",
];

fn last_word(name: &str) -> String {
    friendly(name).rsplit('_').next().unwrap_or_default().to_owned()
}

fn names_somebody(name: &str) -> bool {
    let name = friendly(name);
    WHO.iter().any(|who| name == *who || name.starts_with(&format!("{who}_")) || name == format!("{who}id"))
}

/// Whether a column's values name things rather than describe them.
pub(super) fn is_id(survey: &Survey, place: usize) -> bool {
    let column = &survey.columns[place];
    if !matches!(column.data_type, DataType::Int | DataType::Text) || column.dates.is_some() {
        return false;
    }
    let last = last_word(&column.name);
    let ends_like_one =
        ID_ENDS[..3].contains(&last.as_str()) || friendly(&column.name).ends_with("id") && column.is_unique();
    let said = ends_like_one
        || names_somebody(&column.name) && (ID_ENDS.contains(&last.as_str()) || WHO.contains(&last.as_str()));
    let many = column.distinct >= 10 && column.distinct * 50 >= survey.rows.min(5_000);
    let counts = column.consecutive && column.is_unique();
    // Text that hardly repeats names its rows, whatever it is called, unless it reads like amounts.
    let names_rows = column.data_type == DataType::Text
        && column.looks.is_none()
        && column.distinct * 10 > survey.rows * 9
        && survey.rows > 50
        && column.longest < 64;
    (said && many) || counts || names_rows
}

/// The id that several rows share, where one does.
fn repeated(survey: &Survey, ids: &[usize]) -> Result<Option<usize>> {
    let shared: Vec<usize> = ids
        .iter()
        .copied()
        .filter(|place| {
            let column = &survey.columns[*place];
            has_few_gaps(column) && !column.is_unique() && column.distinct * 20 <= column.values * 19
        })
        .collect();
    let persons: Vec<usize> =
        shared.iter().copied().filter(|place| names_somebody(&survey.columns[*place].name)).collect();
    match (shared.as_slice(), persons.as_slice()) {
        ([], _) => Ok(None),
        ([only], _) | (_, [only]) => Ok(Some(*only)),
        (several, _) => {
            let choices = several.iter().map(|place| survey.columns[*place].name.clone());
            let choices = choices.chain(["none".to_owned()]).collect();
            let question = "which column says who a row is about".to_owned();
            Err(Unclear { flag: "--key", question, choices }.into())
        }
    }
}

/// How the rows of one key follow each other.
struct Spacing {
    /// Rows that share key and time with an earlier one.
    doubles: u64,
    /// Whether every row was looked at.
    is_whole: bool,
    rhythm: Option<Rhythm>,
}

/// Times of one key stand whole steps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rhythm {
    step: Step,
    /// Whether half of them are followed within two steps; else most steps have no row.
    is_dense: bool,
}

impl Spacing {
    fn of(survey: &Survey, wishes: &Wishes, key: usize, time: usize) -> Result<Spacing> {
        let column = &survey.columns[time];
        let mut pairs = survey.pairs(&wishes.from, [key, time], &|cell| micros(column, cell), MOST_PAIRS)?;
        pairs.sort_unstable();
        let is_whole = pairs.len() < MOST_PAIRS;
        let all = pairs.len();
        pairs.dedup();
        let gaps: Vec<(i64, i64)> =
            pairs.windows(2).filter(|two| two[0].0 == two[1].0).map(|two| (two[0].1, two[1].1)).collect();
        Ok(Spacing { doubles: (all - pairs.len()) as u64, is_whole, rhythm: rhythm(&gaps) })
    }

    /// The step of rows that report on the time since the row before.
    fn step(&self, rows: u64) -> Option<Step> {
        let is_few = self.doubles * ROWS_A_DOUBLE <= rows;
        self.rhythm.filter(|rhythm| rhythm.is_dense && is_few).map(|rhythm| rhythm.step)
    }

    /// What another reading of the rows would change.
    fn says(&self, survey: &Survey, [key, time]: [usize; 2]) -> Option<String> {
        let [key, time] = [key, time].map(|place| survey.columns[place].name.as_str());
        let Rhythm { step, is_dense } = self.rhythm?;
        let otherwise = "the rows are taken for requests that see their own columns; if a row reports on the time before it, \
                         these tell what nobody knew yet: take them out of `request:` in the model's file";
        match (self.step(survey.rows), self.doubles) {
            (Some(_), 0) => None,
            (Some(_), 1) => Some(format!(
                "{time}: a row shares {key} and {time} with an earlier one: quarantined when ingested, the first stays"
            )),
            (Some(_), doubles) => Some(format!(
                "{time}: {} rows share {key} and {time} with an earlier one: quarantined when ingested, the first stays",
                count(doubles)
            )),
            // Whoever asks that often at one time reports on nothing.
            (None, doubles) if is_dense && doubles * 5 > survey.rows => None,
            (None, doubles) if is_dense => Some(format!(
                "{time}: rows of one {key} come every {}, but {} share their {time} with another: {otherwise}",
                step.every(),
                count(doubles)
            )),
            (None, _) => Some(format!(
                "{time}: rows of one {key} stand apart by multiples of {}, and most steps have none: {otherwise}",
                step.words()
            )),
        }
    }
}

/// A day as a monthly calendar sees it.
#[derive(Clone, Copy)]
struct MonthDay {
    /// Counted on over the years.
    month: i32,
    day: i8,
    is_last: bool,
}

impl MonthDay {
    fn of(micros: i64) -> Option<MonthDay> {
        let date = Zone::utc().civil(Instant::from_micros(micros))?.date();
        let month = i32::from(date.year()) * 12 + i32::from(date.month());
        Some(MonthDay { month, day: date.day(), is_last: date.day() == date.days_in_month() })
    }

    /// Whether the other is the same day of another month, as far as both months have it.
    fn is_aligned(self, other: MonthDay) -> bool {
        self.day == other.day || self.is_last && other.day >= self.day || other.is_last && self.day >= other.day
    }
}

/// Whether all sampled dates are the last of their months.
fn is_of_month_ends(survey: &Survey, place: usize) -> bool {
    let column = &survey.columns[place];
    let days = (0..survey.sample.rows()).filter_map(|row| MonthDay::of(micros(column, survey.cell(row, place)?)?));
    let mut months = HashSet::new();
    for day in days {
        if !day.is_last {
            return false;
        }
        months.insert(day.month);
    }
    months.len() > 1
}

/// The step of which nine in ten of the gaps are multiples. Months are told by their calendar: times on one day of the
/// month, on its end, or all on the same date of each month.
fn rhythm(gaps: &[(i64, i64)]) -> Option<Rhythm> {
    let most = |fits: usize| fits * 10 >= gaps.len() * 9;
    if gaps.len() < 10 {
        return None;
    }
    let of = |unit: i64, lengths: &[i64], step: &dyn Fn(i64) -> Step| {
        let is_dense = lengths.iter().filter(|length| **length <= 2 * unit).count() * 2 >= lengths.len();
        Rhythm { step: step(unit), is_dense }
    };
    let multiples = |lengths: &[i64], units: &[i64]| {
        units.iter().copied().find(|unit| most(lengths.iter().filter(|length| **length % unit == 0).count()))
    };
    let months = months_apart(gaps);
    if let Some(unit) = multiples(&months, &[12, 6, 3, 2, 1]) {
        return Some(of(unit, &months, &|months| Step::Months(months as u32)));
    }
    let days: Vec<i64> =
        gaps.iter().map(|(before, after)| after - before).filter(|gap| gap % MICROS_PER_DAY == 0).collect();
    let days: Vec<i64> = days.into_iter().map(|gap| gap / MICROS_PER_DAY).collect();
    if let Some(unit) = multiples(&days, &[28, 14, 7]) {
        return Some(of(unit, &days, &Step::Days));
    }
    // Any two days are whole days apart: here most steps must be one.
    let single = days.iter().filter(|days| **days == 1).count();
    (single * 4 >= gaps.len() * 3).then_some(Rhythm { step: Step::Days(1), is_dense: true })
}

/// The lengths in months of those gaps that are whole months long.
fn months_apart(gaps: &[(i64, i64)]) -> Vec<i64> {
    let days: Vec<(MonthDay, MonthDay)> =
        gaps.iter().filter_map(|(before, after)| Some((MonthDay::of(*before)?, MonthDay::of(*after)?))).collect();
    let mut dates: HashMap<i32, HashMap<i8, usize>> = HashMap::new();
    for (_, day) in &days {
        *dates.entry(day.month).or_default().entry(day.day).or_default() += 1;
    }
    let usual: usize = dates.values().filter_map(|days| days.values().max()).sum();
    // Of few rows each month has one date by itself.
    let is_shared = dates.len() > 2 && days.len() >= 2 * dates.len() && usual * 100 >= days.len() * 99;
    days.into_iter()
        .filter(|(before, after)| before.month < after.month && (is_shared || before.is_aligned(*after)))
        .map(|(before, after)| i64::from(after.month - before.month))
        .collect()
}

impl Roles {
    /// What the key is, for people.
    pub(super) fn says(&self, survey: &Survey) -> String {
        let name = |place: usize| survey.columns[place].name.as_str();
        let different = |place: usize| count(survey.columns[place].distinct);
        match &self.key {
            Key::RowNumber => "none: rows are named by their number in the file".to_owned(),
            Key::Unique { place } => match survey.columns[*place].nulls {
                0 => format!("{} (every value once)", name(*place)),
                nulls => format!("{} (every value once, {} empty)", name(*place), count(nulls)),
            },
            Key::History { place, step: Some(step), .. } => {
                format!("{} ({} different, a row every {})", name(*place), different(*place), step.every())
            }
            Key::History { place, .. } | Key::Group { place, .. } => {
                format!("{} ({} different in {} rows)", name(*place), different(*place), count(survey.rows))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i64 {
        Instant::parse(text).unwrap().micros()
    }

    fn gaps(times: &[i64]) -> Vec<(i64, i64)> {
        times.windows(2).map(|two| (two[0], two[1])).collect()
    }

    fn dense(gaps: &[(i64, i64)]) -> Option<Step> {
        rhythm(gaps).filter(|rhythm| rhythm.is_dense).map(|rhythm| rhythm.step)
    }

    #[test]
    fn steps_are_told_by_most_gaps() {
        let month = |months: i32| Zone::utc().add_months(Instant::midnight(0), months).micros();
        let mut gaps: Vec<(i64, i64)> = (0..30).map(|n| (month(n), month(n + 1))).collect();
        assert_eq!(dense(&gaps), Some(Step::Months(1)));
        gaps.push((0, 1));
        assert_eq!(dense(&gaps), Some(Step::Months(1)));
        gaps.extend((0..9).map(|n| (n, n + 17)));
        assert_eq!(rhythm(&gaps), None);
        let weeks: Vec<(i64, i64)> = (0..12).map(|n| (n, n + 7 * MICROS_PER_DAY)).collect();
        assert_eq!(dense(&weeks), Some(Step::Days(7)));
        assert_eq!(rhythm(&weeks[..5]), None);
    }

    #[test]
    fn months_are_told_by_their_ends_and_where_some_are_missing() {
        let ends: Vec<i64> = (1..25)
            .map(|month| Zone::utc().add_months(Instant::midnight(0), month).micros() - MICROS_PER_DAY)
            .collect();
        assert_eq!(dense(&gaps(&ends)), Some(Step::Months(1)));
        let holes: Vec<i64> = ends.iter().enumerate().filter(|(n, _)| n % 5 != 2).map(|(_, time)| *time).collect();
        assert_eq!(dense(&gaps(&holes)), Some(Step::Months(1)));
        let quarters: Vec<i64> = ends.iter().skip(2).step_by(3).copied().collect();
        let quarters: Vec<(i64, i64)> = [gaps(&quarters), gaps(&quarters)].concat();
        assert_eq!(dense(&quarters), Some(Step::Months(3)));
        // A calendar of its own: the last working day of each month.
        let working =
            ["2021-01-29", "2021-02-26", "2021-03-31", "2021-04-30", "2021-05-31", "2021-06-30", "2021-07-30"];
        let working: Vec<i64> = working.iter().map(|text| day(text)).collect();
        assert_eq!(dense(&[gaps(&working), gaps(&working)].concat()), Some(Step::Months(1)));
        // Each key has its own day of the month, some of which February lacks.
        let thirtieth = ["2021-01-30", "2021-02-28", "2021-03-30", "2021-04-30", "2021-05-30", "2021-06-30"];
        let tenth = ["2021-01-10", "2021-02-10", "2021-03-10", "2021-04-10", "2021-05-10", "2021-06-10", "2021-07-10"];
        let own =
            [&thirtieth[..], &tenth[..]].map(|texts| gaps(&texts.iter().map(|text| day(text)).collect::<Vec<_>>()));
        assert_eq!(dense(&own.concat()), Some(Step::Months(1)));
    }

    #[test]
    fn requests_are_no_reports() {
        let days = |gap: fn(i64) -> i64| -> Vec<i64> {
            (0..40)
                .scan(0, |at, n| {
                    *at += gap(n);
                    Some(*at * MICROS_PER_DAY)
                })
                .collect()
        };
        assert_eq!(rhythm(&gaps(&days(|n| 3 + n * 7 % 61))), None);
        // Dated by their month, and seldom: a calendar without reports.
        let seldom: Vec<i64> =
            (0..20).map(|n| Zone::utc().add_months(Instant::midnight(0), n * 5 + n * n % 5).micros()).collect();
        assert_eq!(rhythm(&gaps(&seldom)), Some(Rhythm { step: Step::Months(1), is_dense: false }));
    }
}
