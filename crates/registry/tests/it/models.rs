use karat_core::{Digest, ErrorKind};
use karat_registry::{ApprovalRule, NewVersion, Registered, Source, Standing, VERSION_TAG, VersionStatus};

use crate::{MODEL, Office, failed, name, now, passed, refused};

#[tokio::test]
async fn training_again_with_nothing_changed_adds_a_run_not_a_version() {
    let office = Office::open().await;
    let (first, registered) = office.train_as("a", ApprovalRule::Required, vec![passed()]).await;
    assert_eq!((first.version, registered), (1, Registered::New));
    assert_eq!(first.status, VersionStatus::Ready);
    assert_eq!(first.definitions, serde_json::json!({"payment_history": "a"}));
    let (again, registered) = office.train_as("a", ApprovalRule::Required, vec![passed()]).await;
    assert_eq!((again.version, registered), (1, Registered::Existing));
    assert_eq!(again.run_id, first.run_id);
    let (second, registered) = office.train_as("b", ApprovalRule::Required, vec![passed()]).await;
    assert_eq!((second.version, registered), (2, Registered::New));

    let runs = office.registry.runs(&Default::default()).await.unwrap();
    let mut tags: Vec<&str> = runs.iter().map(|run| run.tags[VERSION_TAG].as_str()).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["credit_default/1", "credit_default/1", "credit_default/2"]);
    let versions = office.registry.versions(MODEL).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.label()).collect::<Vec<_>>(), ["credit_default/2", "credit_default/1"]);
    assert_eq!(office.audit().await, ["model.register", "model.register"]);
    let models = office.registry.models().await.unwrap();
    assert_eq!((models.len(), models[0].versions), (1, 2));
}

#[tokio::test]
async fn changed_gates_reach_the_version_that_is_there() {
    let office = Office::open().await;
    office.train_as("a", ApprovalRule::NotRequired, vec![failed()]).await;
    refused(office.set(1, "champion").await, "ks >= 0.7 (measured 0.68)");
    let (version, registered) = office.train_as("a", ApprovalRule::NotRequired, vec![passed()]).await;
    assert_eq!((version.gates, registered), (vec![passed()], Registered::Existing));
    office.set(1, "champion").await.unwrap();
    assert_eq!(office.audit().await, ["model.register", "model.gates", "alias.set"]);
}

#[tokio::test]
async fn loosening_the_approval_rule_leaves_a_trace() {
    let office = Office::open().await;
    office.train("a").await;
    office.train_as("b", ApprovalRule::NotRequired, vec![]).await;
    assert_eq!(office.audit().await, ["model.register", "model.approval_rule", "model.register"]);
    assert_eq!(office.registry.model(MODEL).await.unwrap().approval, ApprovalRule::NotRequired);
}

#[tokio::test]
async fn a_version_is_pending_until_its_files_are_stored() {
    let office = Office::open().await;
    let new = NewVersion {
        model: name(MODEL),
        description: String::new(),
        approval: ApprovalRule::NotRequired,
        run_id: office.run().await,
        digest: Digest::of("a"),
        source: Source::Under("artifacts/models/credit_default".into()),
        definitions: serde_json::Value::Null,
        gates: vec![],
    };
    let (version, _) = office.registry.register_version(&new, "ana", now()).await.unwrap();
    assert_eq!(version.source, "artifacts/models/credit_default/1");
    assert_eq!(version.status, VersionStatus::PendingRegistration);
    refused(office.set(1, "champion").await, "not stored completely");
    refused(office.approve(1, None).await, "not stored completely");
    refused(office.registry.resolve(MODEL).await, "not stored completely");
    // The training died here; the next one of the same digest finds the place and finishes.
    let (version, registered) = office.registry.register_version(&new, "ana", now()).await.unwrap();
    assert_eq!((version.status, registered), (VersionStatus::PendingRegistration, Registered::Existing));
    office.registry.mark_ready(MODEL, 1, now()).await.unwrap();
    let generation = office.registry.generation().await.unwrap();
    office.registry.mark_ready(MODEL, 1, now()).await.unwrap();
    assert_eq!(office.registry.generation().await.unwrap(), generation);
    office.set(1, "champion").await.unwrap();
}

#[tokio::test]
async fn references_resolve() {
    let office = Office::open().await;
    let resolve = async |reference: &str| office.registry.resolve(reference).await.map(|version| version.version);
    assert_eq!(resolve(MODEL).await.unwrap_err().kind(), ErrorKind::NotFound);
    for files in ["a", "b", "c"] {
        office.train(files).await;
    }
    assert_eq!(resolve("credit_default/2").await.unwrap(), 2);
    refused(office.registry.resolve(MODEL).await, "credit_default/3 is not approved");
    office.approve(1, None).await.unwrap();
    office.approve(2, None).await.unwrap();
    assert_eq!(resolve(MODEL).await.unwrap(), 2, "the newest approved");
    office.set(1, "champion").await.unwrap();
    assert_eq!(resolve(MODEL).await.unwrap(), 1, "the champion");
    assert_eq!(resolve("credit_default@champion").await.unwrap(), 1);

    let error = office.registry.resolve("credit_default@champoin").await.unwrap_err();
    assert_eq!(error.to_string(), "`credit_default` has no alias `champoin`; did you mean `champion`?");
    let error = office.registry.resolve("credit_defualt").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no registered model `credit_defualt`; did you mean `credit_default`?");
    let error = office.registry.resolve("credit_default/9").await.unwrap_err();
    assert_eq!(error.to_string(), "`credit_default` has no version 9; its newest is 3");
    assert_eq!(resolve("credit_default/x").await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn approvals_are_remembered_with_the_gates_as_they_stood() {
    let office = Office::open().await;
    office.train("a").await;
    office.approve(1, Some("champion")).await.unwrap();
    office.train_as("a", ApprovalRule::Required, vec![failed()]).await;
    let office = office.reopen().await;
    let version = office.registry.version(MODEL, 1).await.unwrap();
    assert_eq!(version.standing, Standing::Approved);
    assert_eq!(version.aliases, ["champion"]);
    assert_eq!(version.gates, [failed()]);
    assert_eq!(version.approvals.len(), 1);
    assert_eq!(version.approvals[0].gates, [passed()]);
    assert_eq!((version.approvals[0].actor.as_str(), version.approvals[0].at), ("rita", now()));
}
