use karat_core::TimeFormat;

use super::reader::{Fields, Reader};
use super::scalar::{boolean, text, texts};
use crate::spec::{Csv, ENCODING_LABELS, encoding_of};
use crate::suggest::{did_you_mean, shorten};
use crate::yaml::Node;

pub(crate) fn csv(reader: &mut Reader<'_>, node: &Node) -> Option<Csv> {
    let mut fields = Fields::open(reader, node, "`csv`")?;
    let default = Csv::default();
    let encoding = fields.optional(reader, "encoding", encoding).unwrap_or(default.encoding);
    let delimiter = fields.optional(reader, "delimiter", one_byte).unwrap_or(default.delimiter);
    let quote = fields.optional(reader, "quote", one_byte).unwrap_or(default.quote);
    let decimal = fields.optional(reader, "decimal", decimal).unwrap_or(default.decimal);
    let thousands = fields.optional(reader, "thousands", thousands);
    let header = fields.optional(reader, "header", boolean).unwrap_or(default.header);
    let trim = fields.optional(reader, "trim", boolean).unwrap_or(default.trim);
    let null_values = fields.optional(reader, "null_values", texts).unwrap_or(default.null_values);
    let date_format = fields.optional(reader, "date_format", time_format);
    let timestamp_format = fields.optional(reader, "timestamp_format", time_format);
    fields.close(reader);
    if delimiter == quote {
        reader.problem(node.span, format!("`delimiter` and `quote` are both `{delimiter}`"));
    }
    if thousands == Some(decimal) {
        let at = node.entry("thousands").map_or(node.span, |entry| entry.value.span);
        let message = format!("`thousands` and `decimal` are both `{decimal}`");
        match decimal {
            '.' => reader.problem_with_help(at, message, "write `decimal: \",\"` if fractions stand after a comma"),
            _ => reader.problem(at, message),
        }
    }
    Some(Csv {
        encoding,
        delimiter,
        quote,
        decimal,
        thousands,
        header,
        trim,
        null_values,
        date_format,
        timestamp_format,
    })
}

fn encoding(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let label = text(reader, node)?;
    if encoding_of(&label).is_some() {
        return Some(label);
    }
    let help = did_you_mean(&label, ENCODING_LABELS, || {
        "any label of the WHATWG Encoding Standard does: `utf-8`, `latin-1`, `windows-1252`, `macroman`…".to_owned()
    });
    reader.problem_with_help(node.span, format!("`{}` is no encoding known here", shorten(&label)), help);
    None
}

fn one_byte(reader: &mut Reader<'_>, node: &Node) -> Option<char> {
    let text = text(reader, node)?;
    if text == "\\t" || text == "tab" {
        return Some('\t');
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) if only.is_ascii() && !matches!(only, '\n' | '\r' | '\0') => Some(only),
        _ => reader.wrong_with_help(node, "one ASCII character", "a tab is written \"\\t\", in double quotes"),
    }
}

/// What stands in a number and is no part of one by itself.
fn mark(text: &str) -> Option<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) if !only.is_alphanumeric() && !only.is_control() && !matches!(only, '+' | '-') => Some(only),
        _ => None,
    }
}

fn decimal(reader: &mut Reader<'_>, node: &Node) -> Option<char> {
    match mark(&text(reader, node)?) {
        Some(only) if only.is_ascii() && only != ' ' => Some(only),
        _ => reader.wrong_with_help(node, "the mark before a number's fraction", "write `decimal: \",\"`"),
    }
}

fn thousands(reader: &mut Reader<'_>, node: &Node) -> Option<char> {
    match mark(&text(reader, node)?) {
        Some(only) => Some(only),
        None => reader.wrong_with_help(node, "the mark between a number's thousands", "write `thousands: \".\"`"),
    }
}

pub(crate) fn time_format(reader: &mut Reader<'_>, node: &Node) -> Option<TimeFormat> {
    match TimeFormat::new(text(reader, node)?) {
        Ok(format) => Some(format),
        Err(error) => {
            let help = "write it in the words of `strptime`: `%d.%m.%Y`, `%d/%m/%Y %H:%M`, `%Y%m%d`";
            reader.problem_with_help(node.span, error.to_string(), help);
            None
        }
    }
}
