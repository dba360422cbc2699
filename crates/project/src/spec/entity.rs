use indexmap::IndexMap;
use karat_core::{Column, DataType, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What features describe: a client, an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawEntity", into = "RawEntity")]
pub struct Entity {
    pub name: Name,
    pub description: Option<String>,
    /// The columns that together tell one from another, at least one; the sources of the entity's views have them.
    pub keys: Vec<Column>,
}

/// An entity as files and Releases have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEntity {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The key column; the sources of the entity's views have a column of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The key columns where there are several: names, or lines `name: type`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", with = "super::ordered")]
    #[schemars(with = "KeyColumns")]
    keys: IndexMap<String, DataType>,
    /// Of the key, or of all `keys` that are a list of names. Default: int.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    key_type: Option<DataType>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents what files write")]
enum KeyColumns {
    /// All of the entity's `type`.
    Names(Vec<String>),
    Typed(IndexMap<String, DataType>),
}

impl Entity {
    pub const KEY_TYPE: DataType = DataType::Int;
}

impl TryFrom<RawEntity> for Entity {
    type Error = &'static str;

    fn try_from(raw: RawEntity) -> Result<Entity, &'static str> {
        let RawEntity { name, description, key, keys, key_type } = raw;
        let keys = match (key, keys.is_empty()) {
            (Some(key), true) => vec![Column::new(key, key_type.unwrap_or(Entity::KEY_TYPE))],
            (None, false) => keys.into_iter().map(|(name, data_type)| Column::new(name, data_type)).collect(),
            _ => return Err("an entity has `key` or `keys`"),
        };
        Ok(Entity { name, description, keys })
    }
}

impl From<Entity> for RawEntity {
    fn from(entity: Entity) -> RawEntity {
        let Entity { name, description, keys } = entity;
        match keys.as_slice() {
            [one] => RawEntity {
                name,
                description,
                key: Some(one.name.clone()),
                keys: IndexMap::new(),
                key_type: Some(one.data_type),
            },
            _ => {
                let keys = keys.into_iter().map(|column| (column.name, column.data_type)).collect();
                RawEntity { name, description, key: None, keys, key_type: None }
            }
        }
    }
}

impl JsonSchema for Entity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Entity".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = RawEntity::json_schema(generator);
        schema.insert("description".to_owned(), "What features describe: a client, an account.".into());
        schema.insert("oneOf".to_owned(), serde_json::json!([{"required": ["key"]}, {"required": ["keys"]}]));
        schema
    }
}

/// The key columns of entities together, each once, in their order.
pub fn key_columns<'e>(entities: impl IntoIterator<Item = &'e Entity>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for column in entities.into_iter().flat_map(|entity| &entity.keys) {
        if columns.iter().all(|known| known.name != column.name) {
            columns.push(column.clone());
        }
    }
    columns
}
