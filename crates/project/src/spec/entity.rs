use karat_core::{DataType, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What features describe: a client, an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The key column; the sources of the entity's views have a column of this name.
    pub key: String,
    #[serde(default = "default_key_type", rename = "type")]
    pub key_type: DataType,
}

pub(crate) fn default_key_type() -> DataType {
    DataType::Int
}
