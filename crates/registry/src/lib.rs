//! Releases, experiments, runs, registered models, gates, approvals: the nouns of governance, their SQL beside them.
//!
//! Invariant: no HTTP and no model arithmetic. Experiments, runs and registered models are shaped like MLflow's, whose
//! clients speak to them through the server; what only that wire knows (its JSON, its limits) stays there.

mod error;
mod experiments;
pub mod gates;
pub mod import;
mod logged_models;
mod models;
mod purge;
mod releases;
mod runs;
pub mod search;
mod webhooks;

use std::sync::Arc;

use futures::future::BoxFuture;
use karat_core::Instant;
use karat_metadata::Metadata;

pub use error::RegistryError;
pub use experiments::{DatasetSummary, Experiment, ExperimentSearch, Lifecycle, NewExperiment, View};
pub use logged_models::{LoggedModel, LoggedModelSearch, LoggedModelStatus, ModelMetric, NewLoggedModel};
pub use models::{
    AliasAction, AliasChange, AliasMove, Approval, ApprovalRule, CHAMPION, Decision, DecisionKind, Held, ModelSearch,
    ModelVersion, NewModel, NewVersion, Reference, Registered, RegisteredModel, Source, Stage, Standing, VERSION_TAG,
    VersionDraft, VersionStatus,
};
pub use purge::{Kept, Purge, Purged, Removed};
pub use releases::{Change, Release, ReleaseDraft, What, difference};
pub use runs::{
    Batch, DatasetInput, Metric, NewRun, Run, RunDraft, RunFilter, RunModel, RunRevision, RunSearch, RunStatus,
    RunUpdate,
};
pub use webhooks::{Delivery, Event, NewWebhook, Webhook, WebhookStatus, WebhookUpdate, next_try};

/// The generation ([`Metadata::generation`]) that moves with every release, approval and alias: what a server polls.
pub const GENERATION: &str = "registry";

/// Where MLflow's clients keep files unless something else is said: behind the server.
const PROXIED: &str = "mlflow-artifacts:";
/// Where MLflow's clients find the files that Karat's own runs and models left: `{this}/runs/RUN`, `{this}/models/NAME/VERSION`.
pub const OWN_FILES: &str = "mlflow-artifacts:/karat";

/// What this crate's asynchronous functions return: boxed, so that callers do not compile them again.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, RegistryError>>;

#[derive(Debug, Clone)]
pub struct Registry {
    metadata: Metadata,
    /// Below it the files of new experiments.
    artifact_root: Arc<str>,
    queue: runs::Queue,
}

impl Registry {
    pub fn new(metadata: Metadata) -> Registry {
        Registry { metadata, artifact_root: PROXIED.into(), queue: runs::Queue::default() }
    }

    /// The same, where clients keep the files of new experiments elsewhere: below this URI.
    pub fn with_artifact_root(self, root: &str) -> Registry {
        Registry { artifact_root: root.trim_end_matches('/').into(), ..self }
    }

    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Moves with every release, approval and alias; cheap enough to be polled.
    pub fn generation(&self) -> Answer<'_, u64> {
        Box::pin(async move { Ok(self.metadata.generation(GENERATION).await?) })
    }
}

/// MLflow counts milliseconds.
fn millis(at: Instant) -> i64 {
    at.micros().div_euclid(1_000)
}
