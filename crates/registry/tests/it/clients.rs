//! What MLflow's clients may do to models, and what Karat's own models do not let them.

use karat_core::ErrorKind;
use karat_registry::{
    AliasChange, ApprovalRule, Lifecycle, ModelSearch, NewModel, Registry, RegistryError, Stage, VersionDraft,
};

use crate::{MODEL, Office, decision, now, passed, refused};

async fn create(registry: &Registry, model: &str, versions: u64) {
    let new = NewModel { name: model.to_owned(), ..NewModel::default() };
    registry.create_model(&new, "mlflow:ana", now()).await.unwrap();
    for number in 1..=versions {
        let made = registry.create_version(&draft(model), "mlflow:ana", now()).await.unwrap();
        assert_eq!((made.version, made.stage, made.digest), (number, Stage::None, None));
    }
}

fn draft(model: &str) -> VersionDraft {
    VersionDraft { model: model.to_owned(), source: "s3://bucket/model".to_owned(), ..VersionDraft::default() }
}

async fn alias(registry: &Registry, model: &str, alias: &str, version: u64) -> Result<(), RegistryError> {
    let change = AliasChange { model, alias, who: "mlflow:ana", why: "" };
    registry.set_alias(change, version, now()).await.map(drop)
}

#[tokio::test]
async fn every_change_is_in_the_audit_log() {
    let office = Office::open().await;
    let registry = &office.registry;
    create(registry, "scorer", 2).await;
    registry.describe_model("scorer", "scores", "mlflow", now()).await.unwrap();
    registry.tag_model("scorer", ("team", "risk"), "mlflow", now()).await.unwrap();
    registry.untag_model("scorer", "team", "mlflow", now()).await.unwrap();
    registry.untag_model("scorer", "team", "mlflow", now()).await.unwrap();
    registry.describe_version(("scorer", 1), "first", "mlflow", now()).await.unwrap();
    registry.tag_version(("scorer", 1), ("k", "v"), "mlflow", now()).await.unwrap();
    registry.untag_version(("scorer", 1), "k", "mlflow", now()).await.unwrap();
    registry.move_stage(("scorer", 1), Stage::Production, false, "mlflow", now()).await.unwrap();
    registry.move_stage(("scorer", 2), Stage::Production, true, "mlflow", now()).await.unwrap();
    alias(registry, "scorer", "champion", 1).await.unwrap();
    registry.delete_version(("scorer", 1), "mlflow", now()).await.unwrap();
    registry.rename_model("scorer", "scorer two", "mlflow", now()).await.unwrap();
    registry.delete_model("scorer two", "mlflow", now()).await.unwrap();
    assert_eq!(
        office.audit().await,
        [
            "model.create",
            "model.register",
            "model.register",
            "model.describe",
            "model.tag",
            "model.untag",
            "model.describe",
            "model.tag",
            "model.untag",
            "model.stage",
            "model.stage",
            "model.stage",
            "alias.set",
            "alias.delete",
            "model.delete_version",
            "model.rename",
            "model.delete",
        ]
    );
}

#[tokio::test]
async fn what_is_renamed_takes_all_it_has_along() {
    let office = Office::open().await;
    let registry = &office.registry;
    create(registry, "before", 3).await;
    registry.tag_version(("before", 2), ("k", "v"), "ana", now()).await.unwrap();
    alias(registry, "before", "champion", 1).await.unwrap();
    alias(registry, "before", "champion", 2).await.unwrap();
    registry.approve(karat_registry::Decision { model: "before", ..decision(2) }, None, now()).await.unwrap();
    registry.rename_model("before", "after", "ana", now()).await.unwrap();
    assert_eq!(registry.model("before").await.unwrap_err().kind(), ErrorKind::NotFound);
    let version = registry.version("after", 2).await.unwrap();
    assert_eq!((version.tags["k"].as_str(), version.aliases.as_slice()), ("v", ["champion".to_owned()].as_slice()));
    assert_eq!((version.approvals.len(), registry.alias_moves("after", "champion").await.unwrap().len()), (1, 2));
    create(registry, "other", 0).await;
    let taken = registry.rename_model("after", "other", "ana", now()).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict, "{taken}");
    // The old name is free.
    create(registry, "before", 1).await;
}

#[tokio::test]
async fn a_deleted_version_keeps_its_number_and_what_it_decided_can_be_replayed() {
    let office = Office::open().await;
    let registry = &office.registry;
    office.train("a").await;
    office.train("b").await;
    office.approve(1, Some("champion")).await.unwrap();
    refused(registry.delete_version((MODEL, 1), "mlflow", now()).await, "first move the alias back");
    registry.delete_version((MODEL, 2), "mlflow", now()).await.unwrap();
    assert_eq!(registry.versions(MODEL).await.unwrap().len(), 1);
    assert_eq!(registry.active_version(MODEL, 2).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(registry.version(MODEL, 2).await.unwrap().lifecycle_stage, Lifecycle::Deleted);
    refused(office.approve(2, None).await, "was deleted");
    // Trained again, it is there again; a third one is the third.
    assert_eq!(office.train("b").await, 2);
    assert_eq!(registry.version(MODEL, 2).await.unwrap().lifecycle_stage, Lifecycle::Active);
    assert_eq!(office.train("c").await, 3);
}

#[tokio::test]
async fn models_that_karat_trains_are_neither_renamed_nor_deleted_nor_pointed_at_what_it_cannot_score() {
    let office = Office::open().await;
    let registry = &office.registry;
    office.train_as("a", ApprovalRule::NotRequired, vec![passed()]).await;
    refused(registry.rename_model(MODEL, "other", "mlflow", now()).await, "cannot be renamed");
    refused(registry.delete_model(MODEL, "mlflow", now()).await, "decisions are replayed");
    assert_eq!(registry.create_version(&draft(MODEL), "mlflow", now()).await.unwrap().version, 2);
    refused(alias(registry, MODEL, "champion", 2).await, "Karat cannot score it");
    alias(registry, MODEL, "champion", 1).await.unwrap();
}

#[tokio::test]
async fn an_unapproved_version_serves_by_no_route() {
    let office = Office::open().await;
    office.train("a").await;
    let change = AliasChange { model: MODEL, alias: "champion", who: "mlflow:eve", why: "through MLflow's API" };
    refused(office.registry.set_alias(change, 1, now()).await, "is not approved");
    office.approve(1, None).await.unwrap();
    office.registry.set_alias(change, 1, now()).await.unwrap();
    assert_eq!(office.champion().await.unwrap(), 1);
}

#[tokio::test]
async fn pages_of_versions_stay_right_while_versions_are_added() {
    let office = Office::open().await;
    let registry = &office.registry;
    create(registry, "scorer", 5).await;
    let order_by = vec!["version_number ASC".to_owned()];
    let mut asked = ModelSearch { order_by, most: 2, ..ModelSearch::default() };
    let mut seen = Vec::new();
    loop {
        let page = registry.search_versions(&asked).await.unwrap();
        seen.extend(page.items.iter().map(|version| version.version));
        registry.create_version(&draft("a newcomer"), "ana", now()).await.unwrap_err();
        create(registry, &format!("a newcomer {}", seen.len()), 0).await;
        match page.next {
            Some(token) => asked.page_token = Some(token),
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let models = ModelSearch { filter: "name LIKE 'a new%'".to_owned(), most: 10, ..ModelSearch::default() };
    assert_eq!(registry.search_models(&models).await.unwrap().items.len(), 3);
}
