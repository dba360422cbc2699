use karat_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Online serving of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub model: Name,
    /// The alias whose version answers.
    #[serde(default = "champion")]
    pub alias: Name,
    #[serde(default)]
    pub unknown_key: UnknownKey,
    /// How many reasons an answer carries at most.
    #[serde(default = "four")]
    pub reasons: u8,
    #[serde(default)]
    pub log: Log,
}

pub(crate) fn champion() -> Name {
    Name::new("champion").expect("a fixed, valid name")
}

pub(crate) fn four() -> u8 {
    4
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownKey {
    /// A key without history is valid: counts 0, everything else null.
    #[default]
    Score,
    /// 404.
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    #[serde(default)]
    pub survives: Survives,
}

/// What an answered prediction survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Survives {
    /// A killed process.
    #[default]
    Crash,
    /// A power cut.
    PowerLoss,
}
