//! The figures of the feature catalogue: which views and features there are, who uses them, how fresh they are, what their
//! values look like, and what is odd about them.

use indexmap::IndexMap;
use karat_core::statistics::{FeatureStatistics, ViewStatistics};
use karat_core::{Digest, Instant, Name, Window};
use serde::Serialize;
use serde_json::Value as Json;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ViewEntry {
    pub view: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub tags: IndexMap<String, String>,
    pub entities: Vec<Name>,
    /// The columns that are their key.
    pub keys: Vec<String>,
    pub source: Name,
    pub definition: Digest,
    /// How old an event may be to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online_horizon: Option<Window>,
    /// What is in the online store; absent before the first materialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateEntry>,
    /// The newest commit of the source; absent before the first ingest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_commit: Option<u64>,
    pub freshness: Freshness,
    /// Models that take any of its features.
    pub used_by: Vec<Use>,
    /// Feature services that have any of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Name>,
    pub flags: Vec<Flag>,
    pub features: IndexMap<String, FeatureEntry>,
}

/// Online state as its note has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateEntry {
    /// The newest commit of the source in it.
    pub commit: u64,
    /// When it was built.
    pub at: Instant,
    pub keys: u64,
    /// Records of history it was built from.
    pub records: u64,
}

/// How old what is known is, as far as the last materialization tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Freshness {
    /// When the figures of the features were taken, and the instant that keys were read at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_event: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// Keys without a visible event then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_history: Option<u64>,
    /// Keys whose newest event was older than `stale_after` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_keys: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureEntry {
    #[serde(rename = "type")]
    pub data_type: String,
    /// As its file has it, without what only describes it.
    pub definition: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Json>,
    pub used_by: Vec<Use>,
    /// Feature services that have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Name>,
    /// Of the values of all keys at the last materialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<FeatureStatistics>,
    pub flags: Vec<Flag>,
}

/// A model that takes a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Use {
    pub model: Name,
    /// The version that takes it: the newest, or one that has an alias. Absent where only the model's file does so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether it pins the definition that the view has now.
    pub current: bool,
    /// Endpoints that answer with the version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Name>,
}

/// Something odd, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// For programs: `unused`, `not_trained`, `stale`, `behind`, `not_materialized`, `not_ingested`, `redefined`, `always_null`,
    /// `always_empty`.
    pub flag: &'static str,
    pub message: String,
}

impl Freshness {
    pub fn of(taken: &ViewStatistics) -> Freshness {
        Freshness {
            taken: Some(taken.at),
            as_of: Some(taken.as_of),
            newest_event: taken.newest_event,
            keys: Some(taken.keys),
            no_history: Some(taken.no_history),
            stale_keys: taken.stale,
        }
    }
}

impl Use {
    /// `credit_default/1 (champion)`
    pub fn label(&self) -> String {
        let version = self.version.map(|version| format!("/{version}")).unwrap_or_default();
        let aliases = match self.aliases.is_empty() {
            true => String::new(),
            false => format!(" ({})", self.aliases.join(", ")),
        };
        format!("{}{version}{aliases}", self.model)
    }
}
