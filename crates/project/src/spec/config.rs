use std::fmt;

use indexmap::IndexMap;
use karat_core::{Name, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ByteSize;

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
    pub engine: Engine,
    #[serde(default)]
    pub server: Server,
}

/// Back ends by URI. What is left out lives in `.karat/` beside `karat.yaml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stores {
    /// `sqlite://PATH`, or `postgres://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslmode=verify-full]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// `file://PATH`: histories, artifacts, quarantine and the prediction log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `file://PATH` or `s3://BUCKET/PREFIX`: what MLflow's clients upload; `artifacts/mlflow` among the data where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
    /// Where clients keep the files of new experiments, below it one folder each, such as `s3://bucket/mlflow`: they write there
    /// themselves. Behind the server where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_artifact_root: Option<String>,
    /// `lmdb://PATH`, or `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]`, `rediss://` for TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<String>,
}

/// What computes over histories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// What queries, contracts and features hold in memory, about, before they go to disk.
    pub memory: ByteSize,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine { memory: ByteSize(2 << 30) }
    }
}

/// Where `karat serve` listens, and what it takes from whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// Threads that answer. Default: one a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// Connections open at once; more wait until one ends.
    pub connections: u32,
    /// The longest body of a request; a longer one is refused with 413.
    pub body: ByteSize,
    /// How long a client may take to send a request's head, counted from the answer before: idle connections end then.
    pub header_timeout: Window,
    /// How long a client may take to send a request's body, and to take in an answer.
    pub body_timeout: Window,
    /// After the signal to stop: how long to go on as before while `/health/ready` says 503, for balancers to notice.
    pub drain_after: Window,
    /// After that: how long requests under way may take.
    pub drain_within: Window,
    /// Who may decide about models over HTTP: a name, as decisions are recorded under it, and the token that is sent for it
    /// (`Authorization: Bearer …`), such as `${RITA_TOKEN}`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub people: IndexMap<String, Secret>,
    /// Where webhooks may lead besides public `https://` addresses: scheme, host and port, such as
    /// `http://hooks.bank:8080`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook_origins: Vec<String>,
}

/// Text that no message, log line or document repeats.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

const SECOND: i64 = 1_000_000;

impl Default for Server {
    fn default() -> Server {
        Server {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            threads: None,
            connections: 10_000,
            body: ByteSize(4 << 20),
            header_timeout: Window::Fixed(30 * SECOND),
            body_timeout: Window::Fixed(10 * SECOND),
            drain_after: Window::Fixed(0),
            drain_within: Window::Fixed(10 * SECOND),
            people: IndexMap::new(),
            webhook_origins: Vec::new(),
        }
    }
}
