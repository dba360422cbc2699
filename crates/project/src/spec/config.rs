use karat_core::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `karat.yaml`: the project's name and where its state lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub stores: Stores,
    #[serde(default)]
    pub server: Server,
}

/// Back ends by URI. What is left out lives in `.karat/` beside `karat.yaml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stores {
    /// `sqlite://PATH`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// `file://PATH`: histories, artifacts, quarantine and the prediction log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `lmdb://PATH`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    #[serde(default = "default_host")]
    pub host: String,
    #[serde(default = "default_port")]
    pub port: u16,
}

fn default_host() -> String {
    "127.0.0.1".to_owned()
}

fn default_port() -> u16 {
    8000
}

impl Default for Server {
    fn default() -> Server {
        Server { host: default_host(), port: default_port() }
    }
}
