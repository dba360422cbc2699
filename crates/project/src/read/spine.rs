use std::num::NonZeroU32;

use super::entity::{entities, names};
use super::reader::{Fields, Reader};
use super::scalar::{at_least_one, name, number, sql, text, window};
use crate::spec::{EventLabel, Keep, KeepEnd, Label, Spine};
use crate::yaml::{Node, Scalar, Shape};

pub(crate) fn spine(reader: &mut Reader<'_>, node: &Node) -> Option<Spine> {
    let mut fields = Fields::open(reader, node, "a spine")?;
    let source = fields.required(reader, "source", name);
    let entities = entities(reader, &mut fields);
    let as_of = fields.optional(reader, "as_of", text);
    let label = fields.required(reader, "label", label);
    let label_time = fields.optional(reader, "label_time", text);
    let keep = fields.optional(reader, "keep", keep);
    fields.close(reader);
    Some(Spine { source: source?, entities: entities?, as_of, label: label?, label_time, keep })
}

fn label(reader: &mut Reader<'_>, node: &Node) -> Option<Label> {
    match &node.shape {
        Shape::Map(_) => event_label(reader, node).map(Label::Events),
        Shape::Scalar(Scalar::Text(_)) => text(reader, node).map(Label::Column),
        _ => reader.wrong_with_help(
            node,
            "a column, or what later events make of it",
            "write a column's name, or `{source: …, where: …, observe: 90 days, collect: 30 days}`",
        ),
    }
}

fn event_label(reader: &mut Reader<'_>, node: &Node) -> Option<EventLabel> {
    let mut fields = Fields::open(reader, node, "a label of later events")?;
    let source = fields.required(reader, "source", name);
    let one = fields.optional(reader, "entity", |reader, node| name(reader, node).map(|name| vec![name]));
    let entities = fields.optional(reader, "entities", names);
    if fields.has("entity") && fields.has("entities") {
        fields.not_both(reader, ["entity", "entities"]);
    }
    let filter = fields.optional(reader, "where", sql);
    let count = fields.optional(reader, "count", sql);
    let sum = fields.optional(reader, "sum", sql);
    let max = fields.optional(reader, "max", sql);
    let at_least = fields.optional(reader, "at_least", number);
    let observe = fields.required(reader, "observe", window);
    let collect = fields.required(reader, "collect", window);
    fields.close(reader);
    Some(EventLabel {
        source: source?,
        entities: entities.or(one).unwrap_or_default(),
        filter,
        count,
        sum,
        max,
        at_least,
        observe: observe?,
        collect: collect?,
    })
}

fn keep(reader: &mut Reader<'_>, node: &Node) -> Option<Keep> {
    match &node.shape {
        Shape::Scalar(Scalar::Text(word)) if word == "first" => Some(Keep::End(KeepEnd::First)),
        Shape::Scalar(Scalar::Text(word)) if word == "last" => Some(Keep::End(KeepEnd::Last)),
        Shape::Scalar(Scalar::Int(_)) => at_least_one::<u32>(reader, node).and_then(NonZeroU32::new).map(Keep::Last),
        _ => reader.wrong_with_help(
            node,
            "`first`, `last` or a number of rows",
            "`last` keeps the newest row of each key, 3 the three newest",
        ),
    }
}
