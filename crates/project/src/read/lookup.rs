use indexmap::IndexMap;
use karat_core::Window;
use serde_json::{Map, Value as Json};

use super::endpoint::survives;
use super::reader::{Fields, Reader};
use super::scalar::{at_least_one, boolean, choice, json, length, variable_text, whole, window};
use crate::spec::{Breaker, Lookup, Method, OnLookupFailure};
use crate::yaml::{Node, Scalar, Shape};

pub(super) fn lookup(reader: &mut Reader<'_>, node: &Node) -> Option<Lookup> {
    let mut fields = Fields::open(reader, node, "`lookup`")?;
    let url = fields.required(reader, "url", variable_text);
    let methods = [("GET", Method::Get), ("POST", Method::Post)];
    let method = fields.optional(reader, "method", |reader, node| choice(reader, node, &methods)).unwrap_or_default();
    let headers = fields.optional(reader, "headers", headers).unwrap_or_default();
    let body = fields.optional(reader, "body", tree);
    let timeout = fields.optional(reader, "timeout", positive).unwrap_or(Lookup::TIMEOUT);
    let retries = fields.optional(reader, "retries", whole).unwrap_or(Lookup::RETRIES);
    let idempotent = fields.optional(reader, "idempotent", boolean);
    let fresh_for = fields.required(reader, "fresh_for", window);
    let concurrency = fields.optional(reader, "concurrency", at_least_one).unwrap_or(Lookup::CONCURRENCY);
    let breaker = fields.optional(reader, "breaker", breaker).unwrap_or_default();
    let on_failure = fields.required(reader, "on_failure", on_failure);
    let not_found = fields.optional(reader, "not_found", values);
    let survives = fields.optional(reader, "survives", survives).unwrap_or_default();
    fields.close(reader);
    Some(Lookup {
        url: url?,
        method,
        headers,
        body,
        timeout,
        retries,
        idempotent,
        fresh_for: fresh_for?,
        concurrency,
        breaker,
        on_failure: on_failure?,
        not_found,
        survives,
    })
}

fn positive(reader: &mut Reader<'_>, node: &Node) -> Option<Window> {
    match length(reader, node)? {
        Window::Fixed(1..) => length(reader, node),
        _ => reader.wrong_with_help(node, "a time to wait", "write it like `300 milliseconds`"),
    }
}

fn headers(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, String>> {
    let mut headers = IndexMap::new();
    for entry in reader.entries(node, "headers (`name: value` lines)")? {
        headers.extend(variable_text(reader, &entry.value).map(|value| (entry.key.clone(), value)));
    }
    Some(headers)
}

fn breaker(reader: &mut Reader<'_>, node: &Node) -> Option<Breaker> {
    let mut fields = Fields::open(reader, node, "`breaker`")?;
    let default = Breaker::default();
    let failures = fields.optional(reader, "failures", at_least_one).unwrap_or(default.failures);
    let pause = fields.optional(reader, "pause", positive).unwrap_or(default.pause);
    fields.close(reader);
    Some(Breaker { failures, pause })
}

fn on_failure(reader: &mut Reader<'_>, node: &Node) -> Option<OnLookupFailure> {
    if !matches!(node.shape, Shape::Map(_)) {
        let refuse = |reader: &mut Reader<'_>| choice(reader, node, &[("refuse", ())]);
        return match &node.shape {
            Shape::Scalar(Scalar::Text(text)) if text != "refuse" => {
                reader.wrong_with_help(node, "`refuse` or a default", "write `refuse`, or `{default: {column: value}}`")
            }
            _ => refuse(reader).map(|()| OnLookupFailure::Refuse),
        };
    }
    let mut fields = Fields::open(reader, node, "`on_failure`")?;
    let default = fields.required(reader, "default", values);
    fields.close(reader);
    default.map(OnLookupFailure::Default)
}

/// Columns and their values, null among them.
fn values(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, Json>> {
    let mut values = IndexMap::new();
    for entry in reader.entries(node, "columns with their values (`name: value` lines)")? {
        let value = if entry.value.is_null() { Some(Json::Null) } else { json(reader, &entry.value) };
        values.extend(value.map(|value| (entry.key.clone(), value)));
    }
    Some(values)
}

/// Any JSON; variables may stand in its texts.
fn tree(reader: &mut Reader<'_>, node: &Node) -> Option<Json> {
    match &node.shape {
        Shape::Scalar(Scalar::Null) => Some(Json::Null),
        Shape::Scalar(Scalar::Text(_)) => variable_text(reader, node).map(Json::String),
        Shape::Scalar(_) => json(reader, node),
        Shape::List(items) => items.iter().map(|item| tree(reader, item)).collect::<Option<Vec<_>>>().map(Json::Array),
        Shape::Map(entries) => {
            let mut object = Map::new();
            for entry in entries {
                object.insert(entry.key.clone(), tree(reader, &entry.value)?);
            }
            Some(Json::Object(object))
        }
    }
}
