//! Registered models, their versions, approvals and aliases.
//!
//! Approval permits; only an alias move deploys. What may be deployed is decided in one place, `standing`.

mod alias;
mod approve;
mod held;
mod list;
mod manage;
mod moves;
mod reference;
mod register;
mod resolve;
mod search;
mod standing;
mod versions;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use karat_core::{Digest, Instant, Name, RunId};
use serde::Serialize;
use serde_json::Value as Json;

pub use held::Held;
pub(crate) use list::version_of;
pub use manage::NewModel;
pub(crate) use manage::write_tags as write_model_tags;
pub use reference::Reference;
pub use register::VERSION_TAG;
pub use resolve::CHAMPION;
pub use search::ModelSearch;
pub use versions::VersionDraft;
pub(crate) use versions::write_tags as write_version_tags;
pub(crate) use write::trained_here;

use crate::gates::GateResult;
use crate::{Lifecycle, OWN_FILES};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegisteredModel {
    pub name: String,
    pub description: String,
    pub approval: ApprovalRule,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
    pub tags: BTreeMap<String, String>,
    pub aliases: BTreeMap<String, u64>,
    /// The number of the newest version; deleted ones keep theirs.
    pub versions: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVersion {
    pub model: String,
    /// 1 is the first.
    pub version: u64,
    /// The run that first gave it.
    pub run_id: Option<RunId>,
    /// The run a client named, where there is none here.
    pub source_run_id: String,
    pub run_link: String,
    /// Of Karat's scoring files; `None` for a model from elsewhere.
    pub digest: Option<Digest>,
    /// Where its files are, or the version it is a copy of.
    pub source: String,
    /// Where the files of a copy are.
    pub storage_location: String,
    pub status: VersionStatus,
    /// MLflow's; Karat uses aliases.
    pub stage: Stage,
    /// Deleted versions are neither listed nor deployed; what they decided can still be replayed.
    pub lifecycle_stage: Lifecycle,
    pub description: String,
    /// The definitions it was trained with, pinned.
    pub definitions: Json,
    pub gates: Vec<GateResult>,
    pub standing: Standing,
    /// Every decision about it, the oldest first.
    pub approvals: Vec<Approval>,
    /// The aliases it holds, sorted.
    pub aliases: Vec<String>,
    pub tags: BTreeMap<String, String>,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
}

impl ModelVersion {
    /// `credit_default/3`
    pub fn label(&self) -> String {
        format!("{}/{}", self.model, self.version)
    }

    /// Where its files are, or the version it is a copy of, as clients name it.
    pub fn source_uri(&self) -> String {
        match self.digest {
            Some(_) => format!("{OWN_FILES}/{}", self.source),
            None => self.source.clone(),
        }
    }
}

/// What a training hands over.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    pub model: Name,
    pub description: String,
    /// What the model's file says of approval; it becomes the registered model's rule.
    pub approval: ApprovalRule,
    pub run_id: RunId,
    pub digest: Digest,
    pub source: Source,
    pub definitions: Json,
    pub gates: Vec<GateResult>,
}

/// Where a new version's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// There already: the version is ready at once.
    At(String),
    /// They will be stored under `{this}/{version}`: the version is pending until [`crate::Registry::mark_ready`].
    Under(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registered {
    /// A version of this digest was there: nothing changed since.
    Existing,
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalRule {
    Required,
    /// By somebody else than who trained the version.
    FourEyes,
    NotRequired,
}

/// MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VersionStatus {
    /// Its files are not stored yet; training again finishes the job.
    PendingRegistration,
    Ready,
}

/// MLflow's stages; Karat's endpoints follow aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Stage {
    None,
    Staging,
    Production,
    Archived,
}

/// The latest decision about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Undecided,
    Approved,
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionKind {
    Approve,
    Reject,
}

/// A decision as recorded, with the gates as they stood.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Approval {
    pub id: i64,
    pub decision: DecisionKind,
    pub at: Instant,
    pub actor: String,
    pub why: String,
    pub gates: Vec<GateResult>,
}

/// A decision to be made.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    pub model: &'a str,
    pub version: u64,
    pub who: &'a str,
    pub why: &'a str,
}

/// What to do to an alias, by whom and why.
#[derive(Debug, Clone, Copy)]
pub struct AliasChange<'a> {
    pub model: &'a str,
    pub alias: &'a str,
    pub who: &'a str,
    pub why: &'a str,
}

/// One move in an alias's history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AliasMove {
    pub id: i64,
    pub alias: String,
    pub action: AliasAction,
    /// The holder from then on; `None` where the alias was deleted.
    pub version: Option<u64>,
    pub at: Instant,
    pub actor: String,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AliasAction {
    Set,
    Rollback,
    Delete,
}

/// A type whose values are words of a column.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            pub fn parse(word: &str) -> Option<$type> {
                match word {
                    $($word => Some($type::$variant),)*
                    _ => None,
                }
            }

            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(ApprovalRule { Required = "required", FourEyes = "four_eyes", NotRequired = "not_required" });
words!(VersionStatus { PendingRegistration = "PENDING_REGISTRATION", Ready = "READY" });
words!(DecisionKind { Approve = "approve", Reject = "reject" });
words!(AliasAction { Set = "set", Rollback = "rollback", Delete = "delete" });
words!(Stage { None = "None", Staging = "Staging", Production = "Production", Archived = "Archived" });
words!(Standing { Undecided = "undecided", Approved = "approved", Rejected = "rejected" });
