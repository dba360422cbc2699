//! Checks that the file itself justifies, each with the counts that do.

use karat_core::DataType;
use karat_project::yaml_text;
use karat_query::{ColumnFacts, Survey};

use super::plan::Design;
use super::roles::{Key, RowKey};
use super::words::{count, day, listed, number};

/// One check as the file has it, and what was seen.
pub(super) struct Rule {
    pub line: String,
    pub seen: String,
}

/// Categories written out.
const MOST_VALUES: usize = 25;
/// Different whole numbers that are codes rather than amounts.
const MOST_CODES: usize = 12;
/// Columns of which each gets its checks.
const MOST_COLUMNS: usize = 80;
/// Rows below which an absence of nulls says little.
const FEW: u64 = 200;

pub(super) fn contract(survey: &Survey, design: &Design, usable: &[usize]) -> Vec<Rule> {
    let rows = count(survey.rows);
    let mut rules = Vec::new();
    let mut rule = |line: String, seen: String| rules.push(Rule { line, seen });
    let name = |place: usize| design.names[place].as_str();
    let unique = |columns: &[&str]| format!("{{check: unique, columns: [{}]}}", columns.join(", "));
    let not_null = |column: &str| format!("{{check: not_null, column: {column}}}");
    let time = design.time_place().map(name);
    match &design.roles.key {
        Key::RowNumber => {}
        Key::Unique { place } => {
            let seen = match survey.columns[*place].nulls {
                0 => format!("no gap in {rows} rows"),
                nulls => format!("{} empty in {rows} rows", count(nulls)),
            };
            rule(not_null(name(*place)), seen);
            rule(
                unique(&[name(*place)]),
                format!("{} different in {rows} rows", count(survey.columns[*place].distinct)),
            );
        }
        Key::History { place, row, .. } | Key::Group { place, row } => {
            rule(not_null(name(*place)), format!("{} empty in {rows} rows", count(survey.columns[*place].nulls)));
            match (row, time) {
                (RowKey::Time, Some(time)) => {
                    let seen = match design.roles.doubles {
                        0 => "no two rows share both".to_owned(),
                        1 => "a row shares both with an earlier one".to_owned(),
                        doubles => format!("{} rows share both with an earlier one", count(doubles)),
                    };
                    rule(unique(&[name(*place), time]), seen);
                }
                (RowKey::Column(id), _) => {
                    rule(unique(&[name(*id)]), format!("{} different", count(survey.columns[*id].distinct)))
                }
                _ => {}
            }
        }
    }
    if let (Some(place), Some(time)) = (design.time_place(), time) {
        rule(not_null(time), format!("{} empty", count(survey.columns[place].nulls)));
        let column = &survey.columns[place];
        if let (true, Some(min), Some(max)) = (column.is_time(), column.min, column.max) {
            let line = format!("{{check: range, column: {time}, min: \"{}\", action: warn}}", day(min));
            rule(line, format!("{} to {}", day(min), day(max)));
        }
    }
    label(survey, design, &mut rule);
    for place in usable.iter().take(MOST_COLUMNS) {
        of_column(survey, *place, name(*place), &mut rule);
    }
    let unnamed = match &design.roles.key {
        Key::RowNumber => 0,
        Key::Unique { place } | Key::History { place, .. } | Key::Group { place, .. } => survey.columns[*place].nulls,
    };
    let named = survey.rows - unnamed;
    let least = (named / 2).max(1);
    let seen = format!("half of the {} rows seen: a delivery of less is refused", count(named));
    rule(format!("{{check: row_count, min: {least}, action: fail}}"), seen);
    rules
}

fn label(survey: &Survey, design: &Design, rule: &mut impl FnMut(String, String)) {
    let (label, column) = (design.label(), &survey.columns[design.target.place]);
    let seen = values(column);
    match &design.target.expression {
        None if column.data_type == DataType::Int => {
            rule(format!("{{check: allowed, column: {label}, values: [0, 1]}}"), seen);
        }
        Some(_) if column.nulls == 0 && design.target.negative.is_some() => {
            rule(format!("{{check: not_null, column: {label}}}"), format!("only {seen}"));
        }
        _ => {}
    }
    if column.nulls > 0 {
        let seen = format!("{} rows have none yet: they teach nothing", count(column.nulls));
        rule(format!("{{check: not_null, column: {label}, action: warn}}"), seen);
    }
}

fn of_column(survey: &Survey, place: usize, name: &str, rule: &mut impl FnMut(String, String)) {
    let (column, rows) = (&survey.columns[place], survey.rows);
    if column.nulls == 0 && rows >= FEW {
        rule(format!("{{check: not_null, column: {name}, action: warn}}"), format!("no gap in {} rows", count(rows)));
    }
    let few = !column.listed.is_empty() && column.listed.len() <= MOST_VALUES;
    match column.data_type {
        _ if column.dates.is_some() => {}
        DataType::Text if few => {
            let mut written: Vec<&str> = column.listed.iter().map(|(value, _)| value.as_str()).collect();
            written.sort_unstable();
            let written: Vec<String> = written.into_iter().map(yaml_text).collect();
            let line = format!("{{check: allowed, column: {name}, values: [{}], action: warn}}", written.join(", "));
            rule(line, values(column));
        }
        DataType::Int if !column.listed.is_empty() && column.listed.len() <= MOST_CODES => {
            let numbers = survey.dialect.numbers;
            let mut codes: Vec<i64> =
                column.listed.iter().filter_map(|(value, _)| Some(numbers.parse(value)? as i64)).collect();
            codes.sort_unstable();
            let written: Vec<String> = codes.iter().map(i64::to_string).collect();
            let line = format!("{{check: allowed, column: {name}, values: [{}], action: warn}}", written.join(", "));
            rule(line, values(column));
        }
        DataType::Int | DataType::Float => {
            let (Some(min), Some(max)) = (column.min, column.max) else { return };
            if min >= 0.0 {
                let line = format!("{{check: range, column: {name}, min: 0, action: warn}}");
                rule(line, format!("{} to {}", number(min), number(max)));
            }
        }
        _ => {}
    }
}

/// `good (700), bad (300)`
fn values(column: &ColumnFacts) -> String {
    let values: Vec<String> = column.listed.iter().map(|(value, rows)| format!("{value} ({})", count(*rows))).collect();
    listed(&values, 6)
}
