use super::reader::{Fields, Reader};
use super::scalar::{data_type, name, text};
use crate::spec::Entity;
use crate::spec::entity::default_key_type;
use crate::yaml::Node;

pub(crate) fn entity(reader: &mut Reader<'_>, node: &Node) -> Option<Entity> {
    let mut fields = Fields::open(reader, node, "an entity")?;
    fields.allow("kind");
    let name = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let key = fields.required(reader, "key", text);
    let key_type = fields.optional(reader, "type", data_type).unwrap_or_else(default_key_type);
    fields.close(reader);
    Some(Entity { name: name?, description, key: key?, key_type })
}
