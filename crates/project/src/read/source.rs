use indexmap::IndexMap;
use karat_core::DataType;

use super::contract::rule;
use super::csv::{csv, time_format};
use super::endpoint::survives;
use super::lookup::lookup;
use super::origin::{command, paths, postgres};
use super::reader::{Fields, Reader};
use super::scalar::{boolean, choice, columns, data_type, name, sql, text, variable_text, window, zone};
use crate::spec::{ColumnSpec, Compression, Delivery, Format, Lookup, Push, Source};
use crate::yaml::{Node, Scalar, Shape};

pub(crate) fn source(reader: &mut Reader<'_>, node: &Node) -> Option<Source> {
    let mut fields = Fields::open(reader, node, "a source")?;
    fields.allow("kind");
    let name = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let owner = fields.optional(reader, "owner", text);
    let path = fields.optional(reader, "path", paths);
    let member = fields.optional(reader, "member", variable_text);
    let format = fields.optional(reader, "format", format);
    let compression = fields.optional(reader, "compression", compression);
    let csv = fields.optional(reader, "csv", csv);
    let postgres = fields.optional(reader, "postgres", postgres);
    let command = fields.optional(reader, "command", command);
    let query = fields.optional(reader, "sql", sql);
    let lookup = fields.optional(reader, "lookup", lookup);
    let push = fields.optional(reader, "push", push).flatten();
    let watch = fields.optional(reader, "watch", window);
    let mut column_specs = fields.optional(reader, "columns", column_specs).unwrap_or_default();
    if lookup.is_some() && !column_specs.is_empty() {
        add_failure_column(reader, node, &mut column_specs);
    }
    let prepare = fields.optional(reader, "prepare", prepare).unwrap_or_default();
    let drop = fields.optional(reader, "drop", columns).unwrap_or_default();
    let keys = fields.optional(reader, "keys", columns).unwrap_or_default();
    let event_time = fields.optional(reader, "event_time", text);
    let known_time = fields.optional(reader, "known_time", text);
    let available_after = fields.optional(reader, "available_after", window);
    let include_as_of = fields.optional(reader, "include_as_of", boolean).unwrap_or(false);
    let sequence = fields.optional(reader, "sequence", text);
    let event_id = fields.optional(reader, "event_id", text);
    let deleted = fields.optional(reader, "deleted", sql);
    let delivery = fields.optional(reader, "delivery", delivery);
    let keep = fields.optional(reader, "keep", boolean).unwrap_or(true);
    let time_zone = fields.optional(reader, "time_zone", zone);
    let contract = fields.optional(reader, "contract", |reader, node| reader.list(node, "a list of checks", rule));
    fields.close(reader);
    Some(Source {
        name: name?,
        description,
        owner,
        path,
        member,
        format,
        compression,
        csv,
        postgres,
        command,
        sql: query,
        lookup,
        push,
        watch,
        columns: column_specs,
        prepare,
        drop,
        keys,
        event_time,
        known_time,
        available_after,
        include_as_of,
        sequence,
        event_id,
        deleted,
        delivery,
        keep,
        time_zone,
        contract: contract.unwrap_or_default(),
    })
}

/// The column that tells a row that stands in for an answer from one that is.
fn add_failure_column(reader: &mut Reader<'_>, node: &Node, columns: &mut IndexMap<String, ColumnSpec>) {
    let written = node.entry("columns").and_then(|columns| columns.value.entry(Lookup::FAILURE));
    if let Some(entry) = written {
        let message = format!("every look-up has a text column `{}`, which Karat fills", Lookup::FAILURE);
        reader.problem_with_help(entry.key_span, message, "leave it out here, or give yours another name");
    }
    columns.insert(Lookup::FAILURE.to_owned(), ColumnSpec::Type(DataType::Text));
}

fn format(reader: &mut Reader<'_>, node: &Node) -> Option<Format> {
    let words = [("csv", Format::Csv), ("json", Format::Json), ("parquet", Format::Parquet)];
    match &node.shape {
        Shape::Scalar(Scalar::Text(text)) if matches!(text.as_str(), "jsonl" | "ndjson" | "json_lines") => {
            reader.wrong_with_help(node, "one of `csv`, `json`, `parquet`", "write `json`, which is lines of it too")
        }
        _ => choice(reader, node, &words),
    }
}

fn compression(reader: &mut Reader<'_>, node: &Node) -> Option<Compression> {
    let words = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
        ("zip", Compression::Zip),
    ];
    choice(reader, node, &words)
}

fn push(reader: &mut Reader<'_>, node: &Node) -> Option<Option<Push>> {
    if !matches!(node.shape, Shape::Map(_)) {
        return boolean(reader, node).map(|pushed| pushed.then(Push::default));
    }
    let mut fields = Fields::open(reader, node, "`push`")?;
    let survives = fields.optional(reader, "survives", survives);
    fields.close(reader);
    Some(Some(Push { survives: survives.unwrap_or_default() }))
}

fn delivery(reader: &mut Reader<'_>, node: &Node) -> Option<Delivery> {
    let words = [("full", Delivery::Full), ("changes", Delivery::Changes), ("append", Delivery::Append)];
    choice(reader, node, &words)
}

fn column_specs(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, ColumnSpec>> {
    let entries = match &node.shape {
        Shape::List(_) => {
            return reader.wrong_with_help(node, "columns with their types", "write a line `name: type` for each");
        }
        _ => reader.entries(node, "columns with their types (`name: type` lines)")?,
    };
    let mut columns = IndexMap::new();
    for entry in entries {
        let spec = match &entry.value.shape {
            Shape::Map(_) => full_column(reader, &entry.value),
            _ => data_type(reader, &entry.value).map(ColumnSpec::Type),
        };
        columns.extend(spec.map(|spec| (entry.key.clone(), spec)));
    }
    Some(columns)
}

fn full_column(reader: &mut Reader<'_>, node: &Node) -> Option<ColumnSpec> {
    let mut fields = Fields::open(reader, node, "a column")?;
    let data_type = fields.required(reader, "type", data_type);
    let from = fields.optional(reader, "from", text);
    let format = fields.optional(reader, "format", time_format);
    let description = fields.optional(reader, "description", text);
    fields.close(reader);
    let data_type = data_type?;
    if format.is_some() && !data_type.is_time() {
        let at = node.entry("format").map_or(node.span, |entry| entry.key_span);
        reader.problem(at, format!("`format` says how times are written, and the column is of type {data_type}"));
    }
    Some(ColumnSpec::Full { data_type, from, format, description })
}

fn prepare(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, String>> {
    let mut columns = IndexMap::new();
    for entry in reader.entries(node, "columns with their expressions (`name: SQL` lines)")? {
        columns.extend(sql(reader, &entry.value).map(|sql| (entry.key.clone(), sql)));
    }
    Some(columns)
}
