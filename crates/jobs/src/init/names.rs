//! Names a file's columns get here: what SQL reads without quotes and a feature may be called.

use std::collections::HashSet;

use karat_core::{Column, DataType, Schema};
use karat_features::Expression;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words that SQL reads as something else than a column.
const RESERVED: [&str; 84] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "as_of",
    "between",
    "by",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "default",
    "delete",
    "desc",
    "distinct",
    "drop",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "filter",
    "floor",
    "for",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "if",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "natural",
    "no_history",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "overlaps",
    "partition",
    "position",
    "primary",
    "qualify",
    "right",
    "row",
    "rows",
    "select",
    "set",
    "some",
    "struct",
    "substring",
    "table",
    "then",
    "to",
    "trim",
    "true",
    "union",
    "unique",
    "update",
    "using",
];
const MORE_RESERVED: [&str; 6] = ["values", "when", "where", "window", "with", "ceil"];
const LONGEST: usize = 50;

/// `default.payment.next.month` as `default_payment_next_month`; empty where nothing of it can stay.
pub(super) fn friendly(name: &str) -> String {
    let mut friendly = String::new();
    let mut before = ' ';
    for sign in name.trim().chars() {
        let word_begins = sign.is_uppercase() && before.is_lowercase();
        if sign.is_alphanumeric() {
            if word_begins {
                friendly.push('_');
            }
            friendly.extend(sign.to_lowercase().filter(|lower| lower.is_alphanumeric()));
        } else if !friendly.ends_with('_') && !friendly.is_empty() {
            friendly.push('_');
        }
        before = sign;
    }
    let cut: String = friendly.chars().take(LONGEST).collect();
    let cut = cut.trim_matches('_').to_owned();
    if cut.starts_with(|sign: char| !sign.is_alphabetic()) { format!("c_{cut}") } else { cut }
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || MORE_RESERVED.contains(&name) || !reads_as_a_column(name)
}

/// `user` and its like are functions to SQL, `explain` begins another statement.
fn reads_as_a_column(name: &str) -> bool {
    let schema = Schema::new(vec![Column::new(name, DataType::Text)]);
    [name.to_owned(), format!("{name} = lower({name})")]
        .iter()
        .all(|sql| Expression::compile(sql, &schema).is_ok_and(|compiled| compiled.columns().iter().eq([name])))
}

/// A name for each column, all different; `label` is the place of the target.
pub(super) fn of_columns(columns: &[String], label: Option<usize>) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = Vec::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        let mut name = friendly(column);
        if name.is_empty() {
            name = format!("column_{}", place + 1);
        }
        if is_reserved(&name) {
            name = if Some(place) == label { format!("is_{name}") } else { format!("{name}_value") };
        }
        names.push(unused(&name, &mut taken));
    }
    names
}

pub(super) fn unused(name: &str, taken: &mut HashSet<String>) -> String {
    let mut unused = name.to_owned();
    let mut number = 2;
    while !taken.insert(unused.clone()) {
        unused = format!("{name}_{number}");
        number += 1;
    }
    unused
}

/// Letters that are no other letter with a mark.
const LETTERS: [(char, &str); 9] =
    [('ß', "ss"), ('æ', "ae"), ('œ', "oe"), ('ø', "o"), ('ł', "l"), ('đ', "d"), ('ð', "d"), ('þ', "th"), ('ı', "i")];

/// A resource's name: ASCII, a letter first; `Inadimplência` is `inadimplencia`.
pub(super) fn resource(text: &str, otherwise: &str) -> String {
    let mut plain = String::new();
    for sign in friendly(text).nfd().filter(|sign| !is_combining_mark(*sign)) {
        match LETTERS.iter().find(|(letter, _)| *letter == sign) {
            Some((_, letters)) => plain.push_str(letters),
            None => plain.push(sign),
        }
    }
    let ascii: String = plain.chars().filter(|sign| sign.is_ascii_alphanumeric() || *sign == '_').collect();
    let ascii = ascii.trim_matches('_');
    if ascii.starts_with(|sign: char| sign.is_ascii_alphabetic()) { ascii.to_owned() } else { otherwise.to_owned() }
}

/// What reasons call a column: `limit bal`.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_sql_reads() {
        for (name, wanted) in [
            ("default.payment.next.month", "default_payment_next_month"),
            ("LIMIT_BAL", "limit_bal"),
            ("ph.ecog", "ph_ecog"),
            ("horTh", "hor_th"),
            ("mean radius (worst)", "mean_radius_worst"),
            ("_private", "private"),
            ("1st payment", "c_1st_payment"),
            ("Příjem", "příjem"),
            ("%%%", ""),
        ] {
            assert_eq!(friendly(name), wanted);
        }
        let columns = ["", "A b", "a-b", "order", "default"].map(str::to_owned);
        assert_eq!(of_columns(&columns, Some(4)), ["column_1", "a_b", "a_b_2", "order_value", "is_default"]);
        assert_eq!(resource("Půjčky 2021", "data"), "pujcky_2021");
        assert_eq!(resource("Inadimplência", "data"), "inadimplencia");
        assert_eq!(resource("Straße Øst Łódź", "data"), "strasse_ost_lodz");
        assert_eq!(resource("123", "data"), "c_123");
        assert_eq!(resource("данные", "data"), "data");
    }
}
