use karat_core::{Name, Window};
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
    /// Which answers carry reasons, and how many at most.
    #[serde(default)]
    pub reasons: Reasons,
    #[serde(default)]
    pub log: Log,
    #[serde(default)]
    pub limits: Limits,
}

pub(crate) fn champion() -> Name {
    Name::new("champion").expect("a fixed, valid name")
}

/// When answers carry reasons: `4`, or `{mode: adverse, most: 4}`. A request may ask for others (`"reasons": "none"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenReasons")]
#[schemars(with = "WrittenReasons")]
pub struct Reasons {
    pub mode: ReasonMode,
    /// How many an answer carries at most.
    pub most: u8,
}

impl Reasons {
    pub(crate) const MOST: u8 = 4;
}

impl Default for Reasons {
    fn default() -> Reasons {
        Reasons { mode: ReasonMode::default(), most: Reasons::MOST }
    }
}

/// How files write [`Reasons`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenReasons {
    /// This many at most, in every answer.
    Most(u8),
    Whole(WholeReasons),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WholeReasons {
    #[serde(default)]
    mode: ReasonMode,
    /// How many an answer carries at most.
    #[serde(default = "four")]
    most: u8,
}

fn four() -> u8 {
    Reasons::MOST
}

impl From<WrittenReasons> for Reasons {
    fn from(written: WrittenReasons) -> Reasons {
        match written {
            WrittenReasons::Most(most) => Reasons { most, ..Reasons::default() },
            WrittenReasons::Whole(WholeReasons { mode, most }) => Reasons { mode, most },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonMode {
    /// Every answer, with what raised the score and what lowered it.
    #[default]
    Always,
    /// Answers with the second label, with what raised the score.
    Adverse,
    /// Only where the request asks; a replay gives them afterwards.
    OnRequest,
}

/// What an endpoint takes on at once. What is beyond is refused with 429 and a time to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests that are worked on at once.
    pub concurrency: u32,
    /// Requests that wait for their turn beside those.
    pub queue: u32,
    /// How long a request waits for its turn at most, and how long one with several keys may take.
    pub deadline: Window,
    /// Keys or rows in one request.
    pub subjects: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { concurrency: 64, queue: 256, deadline: Window::Fixed(1_000_000), subjects: 10_000 }
    }
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
