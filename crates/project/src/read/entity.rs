use karat_core::{Column, DataType, Name};

use super::reader::{Fields, Reader};
use super::scalar::{data_type, name, text};
use crate::spec::Entity;
use crate::yaml::{Node, Shape};

pub(crate) fn entity(reader: &mut Reader<'_>, node: &Node) -> Option<Entity> {
    let mut fields = Fields::open(reader, node, "an entity")?;
    fields.allow("kind");
    let name = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let one = |reader: &mut Reader<'_>, node: &Node| text(reader, node).map(|key| vec![(key, None)]);
    let keys = fields.one_or_many(reader, ["key", "keys"], one, keys);
    let key_type = fields.optional(reader, "type", data_type);
    fields.close(reader);
    let keys = keys?;
    if let (Some(_), Some(entry)) = (key_type, node.entry("type"))
        && keys.iter().any(|(_, own)| own.is_some())
    {
        reader.problem(entry.key_span, "each of `keys` says its type: leave `type` out");
    }
    let column =
        |(name, own): (String, Option<DataType>)| Column::new(name, own.or(key_type).unwrap_or(Entity::KEY_TYPE));
    Some(Entity { name: name?, description, keys: keys.into_iter().map(column).collect() })
}

/// Names, or lines `name: type`.
fn keys(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<(String, Option<DataType>)>> {
    const EXPECTED: &str = "a list of columns, or `column: type` lines";
    let keys: Vec<(String, Option<DataType>)> = match &node.shape {
        Shape::Map(entries) => entries
            .iter()
            .filter_map(|entry| data_type(reader, &entry.value).map(|own| (entry.key.clone(), Some(own))))
            .collect(),
        _ => reader.list(node, EXPECTED, text)?.into_iter().map(|name| (name, None)).collect(),
    };
    if keys.is_empty() { reader.wrong(node, "at least one column") } else { Some(keys) }
}

/// `entity: client`, or `entities: [client, employer]`.
pub(super) fn entities(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Vec<Name>> {
    fields.one_or_many(reader, ["entity", "entities"], |reader, node| name(reader, node).map(|name| vec![name]), names)
}

pub(super) fn names(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Name>> {
    let names = reader.list(node, "a list of entities", name)?;
    if names.is_empty() { reader.wrong(node, "at least one entity") } else { Some(names) }
}
