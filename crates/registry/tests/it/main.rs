#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy sees only what is marked #[test]")]

mod batches;
mod clients;
mod language;
mod logged;
mod models;
mod releases;
mod rules;
mod runs;
mod tracked;
mod webhooks;

use std::collections::BTreeMap;

use karat_core::{Digest, ErrorKind, Instant, Name, RunId};
use karat_metadata::{Metadata, audit};
use karat_registry::gates::GateResult;
use karat_registry::{
    AliasChange, ApprovalRule, Decision, ModelVersion, NewVersion, Registered, Registry, RegistryError, RunDraft,
    Source,
};
use karat_test_support::postgres_server::{PostgresServer, fresh_database};
use tempfile::TempDir;

/// A registry of its own; reads like a story.
struct Office {
    _folder: TempDir,
    uri: String,
    registry: Registry,
}

const MODEL: &str = "credit_default";

impl Office {
    /// On SQLite, or on the server that the suite is run again on.
    async fn open() -> Office {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/metadata.db", folder.path().display());
        let uri = fresh_database().unwrap_or(file);
        let registry = Registry::new(Metadata::open(&uri).await.unwrap());
        Office { _folder: folder, uri, registry }
    }

    async fn reopen(self) -> Office {
        drop(self.registry);
        let registry = Registry::new(Metadata::open(&self.uri).await.unwrap());
        Office { registry, ..self }
    }

    async fn run(&self) -> RunId {
        let experiment = self.registry.get_or_create_experiment("credit", now()).await.unwrap();
        let draft = RunDraft {
            run_id: RunId::new(),
            experiment_id: experiment.id,
            name: "run".into(),
            user: "ana".into(),
            artifact_uri: "artifacts/run".into(),
            start: now(),
            tags: BTreeMap::new(),
        };
        self.registry.start_run(&draft).await.unwrap().run_id
    }

    /// Trains something whose scoring files are `files`.
    async fn train_as(
        &self,
        files: &str,
        approval: ApprovalRule,
        gates: Vec<GateResult>,
    ) -> (ModelVersion, Registered) {
        let new = NewVersion {
            model: name(MODEL),
            description: "Will the client pay late?".into(),
            approval,
            run_id: self.run().await,
            digest: Digest::of(files),
            source: Source::At(format!("artifacts/models/{files}")),
            definitions: serde_json::json!({"payment_history": files}),
            gates,
        };
        self.registry.register_version(&new, "ana", now()).await.unwrap()
    }

    async fn train(&self, files: &str) -> u64 {
        self.train_as(files, ApprovalRule::Required, vec![passed()]).await.0.version
    }

    async fn approve(&self, version: u64, alias: Option<&str>) -> Result<ModelVersion, RegistryError> {
        let alias = alias.map(name);
        self.registry.approve(decision(version), alias.as_ref(), now()).await
    }

    async fn set(&self, version: u64, alias: &str) -> Result<ModelVersion, RegistryError> {
        let alias = name(alias);
        self.registry.set_alias(change(&alias), version, now()).await
    }

    async fn rollback(&self) -> Result<ModelVersion, RegistryError> {
        self.registry.rollback(change(&name("champion")), now()).await
    }

    async fn champion(&self) -> Result<u64, RegistryError> {
        Ok(self.registry.resolve("credit_default@champion").await?.version)
    }

    /// The actions in the audit log, the oldest first; the chain holds.
    async fn audit(&self) -> Vec<String> {
        let mut reader = self.registry.metadata().read().await.unwrap();
        let verdict = audit::verify(&mut reader, &audit::Head::genesis()).await.unwrap();
        assert!(matches!(verdict, audit::Verdict::Intact { .. }));
        let entries = audit::list(&mut reader, &audit::Filter::default()).await.unwrap();
        entries.into_iter().rev().map(|entry| entry.action).collect()
    }
}

#[test]
fn all_of_it_holds_on_postgresql() {
    let test = "all_of_it_holds_on_postgresql";
    let Some(server) = PostgresServer::start(test) else { return };
    let ran = server.run_all_again(test, "sqlite::");
    assert!(ran > 40, "{ran} tests ran on PostgreSQL");
}

fn now() -> Instant {
    Instant::parse("2021-10-01T12:00:00.123Z").unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn decision(version: u64) -> Decision<'static> {
    Decision { model: MODEL, version, who: "rita", why: "figures hold" }
}

fn change(alias: &Name) -> AliasChange<'_> {
    AliasChange { model: MODEL, alias, who: "rita", why: "because" }
}

fn passed() -> GateResult {
    GateResult { gate: "auc >= 0.9".into(), measured: Some(0.93), required: Some(0.9), passed: true, note: None }
}

fn failed() -> GateResult {
    GateResult { gate: "ks >= 0.7".into(), measured: Some(0.68), required: Some(0.7), passed: false, note: None }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, RegistryError>, with: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains(with), "{error}");
}
