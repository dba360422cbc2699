//! Which columns a model may see, in which form, and why the others not.

use karat_core::DataType;
use karat_query::{ColumnFacts, Looks, Survey};

use super::leaks::gives_away;
use super::names::words;
use super::plan::{Design, Shape};
use super::words::{count, listed, percent};

pub(super) struct Feature {
    pub name: String,
    /// As the view's file has it: `last: income`.
    pub definition: String,
    pub words: String,
}

/// A column that no feature is made of.
pub(super) struct LeftOut {
    pub place: usize,
    pub why: String,
    /// Whether a person should know at once.
    pub is_warning: bool,
}

/// Texts of more values than this are names, not kinds; so are those of more than a few that hardly repeat.
const MOST_KINDS: u64 = 200;
const FEW_KINDS: u64 = 30;
const ROWS_A_KIND: u64 = 20;
/// Numbers of a history's rows that are averaged.
const MOST_MEANS: usize = 25;

/// The columns that describe a row, and those that must not.
pub(super) fn usable(survey: &Survey, design: &Design) -> (Vec<usize>, Vec<LeftOut>) {
    let mut usable = Vec::new();
    let mut left_out = Vec::new();
    for place in 0..survey.columns.len() {
        if place == design.target.place || Some(place) == design.time_place() || design.is_unread(place) {
            continue;
        }
        match why_not(survey, design, place) {
            Some((why, is_warning)) => left_out.push(LeftOut { place, why, is_warning }),
            None => usable.push(place),
        }
    }
    (usable, left_out)
}

fn why_not(survey: &Survey, design: &Design, place: usize) -> Option<(String, bool)> {
    let column = &survey.columns[place];
    if design.roles.ids.contains(&place) {
        return Some((
            format!("an id ({} different): a model would learn who, not what", count(column.distinct)),
            true,
        ));
    }
    if let Some(why) = looks_like_another(column, &design.names[place]) {
        return Some((why, true));
    }
    if column.values == 0 {
        return Some(("always empty".to_owned(), false));
    }
    if column.distinct == 1 && column.nulls == 0 {
        let value = column.listed.first().map(|(value, _)| value.as_str()).unwrap_or_default();
        return Some((format!("always {value}"), false));
    }
    if design.shape.looks_at_own_row() {
        if let Some(why) = gives_away(survey, &design.target, place) {
            return Some((why, true));
        }
        if let Some(share) = later_than_time(survey, design, place) {
            return Some((
                format!("later than the row's own time in {share} of the rows: known only afterwards"),
                true,
            ));
        }
    }
    if column.is_time() && design.roles.time.is_none() {
        return Some(("a date, and the file has no time to compare it with".to_owned(), false));
    }
    let hardly_repeats = column.distinct > FEW_KINDS && column.values < column.distinct * ROWS_A_KIND;
    let is_text = column.data_type == DataType::Text && !column.is_time();
    if is_text && (column.distinct > MOST_KINDS || hardly_repeats) {
        return Some((format!("{} different texts: names rather than kinds", count(column.distinct)), false));
    }
    None
}

/// Why a text that people read as numbers or times is none, and what makes it so. Of few values, it may as well be kinds.
fn looks_like_another(column: &ColumnFacts, name: &str) -> Option<String> {
    let looks = column.looks.as_ref().filter(|_| column.distinct > FEW_KINDS)?;
    Some(match looks {
        Looks::Dressed(example) => {
            let number = format!("CAST(regexp_replace({name}, '[^0-9.-]', '', 'g') AS DOUBLE)");
            let number = match example.starts_with('(') {
                true => format!("CASE WHEN starts_with({name}, '(') THEN -1 ELSE 1 END * {number}"),
                false => number,
            };
            format!(
                "looks like numbers with other signs, such as {example}, which are texts; under `prepare:` of the source, \
                 {name}: \"{number}\" would make numbers of them"
            )
        }
        Looks::WordsAmong(words) => {
            let shown: Vec<String> = words.iter().map(|(word, cells)| format!("{word} ({})", count(*cells))).collect();
            format!(
                "looks like numbers with words among them, {}; where these mean that there is none, list them under \
                 `null_values` of the source's `csv:` and declare {name} a float",
                listed(&shown, 3)
            )
        }
        Looks::SomeTimes => {
            "looks like dates, some of them with a time of day: write all of them in one way".to_owned()
        }
    })
}

/// The share of rows in which a date lies after the row's time, where that is more than a slip.
fn later_than_time(survey: &Survey, design: &Design, place: usize) -> Option<String> {
    let time = design.time_place()?;
    if !survey.columns[place].is_time() || !survey.columns[time].is_time() {
        return None;
    }
    let pairs =
        (0..survey.sample.rows()).filter_map(|row| Some((survey.number(row, place)?, survey.number(row, time)?)));
    let (mut rows, mut later) = (0, 0);
    for (date, time) in pairs {
        rows += 1;
        later += u64::from(date > time);
    }
    (later * 100 > rows).then(|| percent(later, rows))
}

/// The features of the view over the file's own rows.
pub(super) fn of_rows(survey: &Survey, design: &Design, usable: &[usize]) -> Vec<Feature> {
    usable
        .iter()
        .map(|place| {
            let name = &design.names[*place];
            if survey.columns[*place].is_time() {
                let definition = format!("expression: \"days_between({name}, as_of)\"");
                return Feature {
                    name: format!("days_since_{name}"),
                    definition,
                    words: format!("days since {}", words(name)),
                };
            }
            Feature { name: name.clone(), definition: format!("last: {name}"), words: words(name) }
        })
        .collect()
}

/// The features of a key's earlier rows.
pub(super) fn of_history(survey: &Survey, design: &Design, usable: &[usize]) -> Vec<Feature> {
    let feature = |name: &str, definition: &str, words: &str| Feature {
        name: name.to_owned(),
        definition: definition.to_owned(),
        words: words.to_owned(),
    };
    let mut features = vec![
        feature("earlier_rows", "count: rows", "number of earlier rows"),
        feature("days_since_last_row", "time_since: rows", "days since the last row"),
    ];
    let Shape::History { panel } = design.shape else { return features };
    let label = design.label();
    if design.outcome.is_some() {
        let is_bool =
            design.target.expression.is_some() || survey.columns[design.target.place].data_type == DataType::Bool;
        let condition = if is_bool { label.to_owned() } else { format!("\"{label} = 1\"") };
        let said = words(label);
        features.push(feature(
            &format!("share_{label}"),
            &format!("share: {condition}"),
            &format!("share of earlier rows with {said}"),
        ));
        features.push(feature(
            &format!("share_{label}_last_3"),
            &format!("share: {condition}, last: 3"),
            &format!("share of the last three rows with {said}"),
        ));
        features.push(feature(
            &format!("days_since_{label}"),
            &format!("time_since: rows, where: {condition}"),
            &format!("days since the last row with {said}"),
        ));
    }
    let mut means = 0;
    for place in usable {
        let (name, column) = (&design.names[*place], &survey.columns[*place]);
        let said = words(name);
        if column.is_time() {
            continue;
        }
        if panel {
            features.push(feature(
                &format!("last_{name}"),
                &format!("last: {name}"),
                &format!("{said} of the row before"),
            ));
        }
        let is_number = column.data_type.is_numeric() && column.distinct > 2;
        if is_number && means < MOST_MEANS {
            means += 1;
            features.push(feature(
                &format!("mean_{name}"),
                &format!("mean: {name}"),
                &format!("mean {said} of earlier rows"),
            ));
        }
    }
    features
}
