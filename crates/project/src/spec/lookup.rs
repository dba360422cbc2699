use indexmap::IndexMap;
use karat_core::Window;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Survives;
use crate::template::Template;

/// An outside service that is asked about one key at a time over HTTP. Its answers are JSON objects and the source's rows:
/// kept in history with the instant they came, and asked for again once they are no longer fresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Where it is asked, such as `${BUREAU_URL}/v1/score/{client_id}`: `{column}` is the key's value, `${VAR}` comes from
    /// the environment and is never recorded.
    pub url: String,
    #[serde(default, skip_serializing_if = "Method::is_get")]
    pub method: Method,
    /// Of every request; secrets as `${VAR}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", with = "super::ordered")]
    #[schemars(with = "IndexMap<String, String>")]
    pub headers: IndexMap<String, String>,
    /// The JSON that is posted. A text that is one `{column}` and nothing else becomes its value, with its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Json>,
    /// How long one request may take.
    #[serde(default = "Lookup::timeout")]
    pub timeout: Window,
    /// How often a request that failed is repeated, where it may be.
    #[serde(default = "Lookup::retries")]
    pub retries: u32,
    /// Whether asking twice is asking once. Default: `GET` is, `POST` is not, and is only repeated where the service did not
    /// take it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// How long an answer is used before the service is asked again.
    pub fresh_for: Window,
    /// Requests at once, of one process.
    #[serde(default = "Lookup::concurrency")]
    pub concurrency: u32,
    #[serde(default)]
    pub breaker: Breaker,
    pub on_failure: OnLookupFailure,
    /// What it means that the service does not know the key (status 404): an answer with these columns, null for others.
    /// Default: a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<IndexMap<String, Json>>,
    /// What a kept answer survives.
    #[serde(default)]
    pub survives: Survives,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Method {
    #[default]
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "POST")]
    Post,
}

impl Method {
    pub fn is_get(&self) -> bool {
        *self == Method::Get
    }
}

/// After so many look-ups in a row that failed, none is tried for a while; then one is, and its outcome says how it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Look-ups that fail in a row, each after all its repetitions.
    pub failures: u32,
    /// How long none is tried.
    pub pause: Window,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker { failures: 5, pause: Window::Fixed(30 * karat_core::time::MICROS_PER_SECOND) }
    }
}

/// What becomes of a decision whose look-up fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLookupFailure {
    /// It is refused.
    Refuse,
    /// A row of these columns, null for others, stands in for the answer, in history as in the decision, which says so.
    Default(IndexMap<String, Json>),
}

impl Lookup {
    fn timeout() -> Window {
        Lookup::TIMEOUT
    }

    fn retries() -> u32 {
        Lookup::RETRIES
    }

    fn concurrency() -> u32 {
        Lookup::CONCURRENCY
    }

    /// 300 milliseconds.
    pub const TIMEOUT: Window = Window::Fixed(300_000);
    pub const RETRIES: u32 = 2;
    pub const CONCURRENCY: u32 = 16;

    /// The text column, beside those declared, that says why a row stands in for an answer; null in an answer.
    pub const FAILURE: &str = "lookup_failure";

    /// The columns the service is asked by, each once, in the order they stand.
    pub fn asked_by(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        let mut add = |text: &str| {
            for column in Template::parse(text).iter().flat_map(Template::columns) {
                if !columns.iter().any(|there| there == column) {
                    columns.push(column.to_owned());
                }
            }
        };
        add(&self.url);
        self.body.iter().for_each(|body| each_text(body, &mut add));
        columns
    }

    /// Whether a request whose fate is unknown may be repeated.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent.unwrap_or(self.method == Method::Get)
    }
}

fn each_text(json: &Json, found: &mut dyn FnMut(&str)) {
    match json {
        Json::String(text) => found(text),
        Json::Array(items) => items.iter().for_each(|item| each_text(item, found)),
        Json::Object(entries) => entries.values().for_each(|value| each_text(value, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
