//! What MLflow's clients do to model versions, under MLflow's rules and in its words.

use std::collections::BTreeMap;

use karat_core::Instant;
use karat_metadata::{Bind, Connection, WriteTx, query, query_scalar, stored};
use serde_json::json;

use super::write::{audit, subject, touch};
use super::{AliasChange, ApprovalRule, ModelVersion, Stage, VersionStatus, alias, list, manage};
use crate::webhooks::{Happened, tell};
use crate::{Answer, Lifecycle, Registry, RegistryError, millis};

/// A version that a client registers; Karat did not train it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VersionDraft {
    pub model: String,
    pub description: String,
    /// Where its files are, or the version it is a copy of.
    pub source: String,
    /// Where the files of a copy are.
    pub storage_location: String,
    /// The run that made it; of another server, perhaps.
    pub run_id: String,
    pub run_link: String,
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    /// Adds a version under the model's next number.
    pub fn create_version<'a>(
        &'a self,
        draft: &'a VersionDraft,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let number = manage::require(&mut tx, &draft.model).await?.versions + 1;
            query(
                "INSERT INTO model_versions (model, version, run_id, source_run_id, run_link, source, storage_location, \
                 status, stage, description, definitions, gates, creation_time_ms, last_update_time_ms) \
                 VALUES ($1, $2, (SELECT run_id FROM runs WHERE run_id = $3), $3, $4, $5, $6, $7, $8, $9, 'null', '[]', \
                 $10, $10)",
            )
            .bind(&draft.model)
            .bind(stored::signed(number))
            .bind(&draft.run_id)
            .bind(&draft.run_link)
            .bind(&draft.source)
            .bind(&draft.storage_location)
            .bind(VersionStatus::Ready.as_str())
            .bind(Stage::None.as_str())
            .bind(&draft.description)
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            write_tags(&mut tx, (&draft.model, number), &draft.tags).await?;
            touch_model(&mut tx, &draft.model, now).await?;
            let details = json!({"source": draft.source, "run": draft.run_id, "tags": draft.tags});
            audit(&mut tx, ("model.register", actor, now), subject(&draft.model, number), details).await?;
            let version = list::version(&mut tx, &draft.model, number).await?;
            tell(&mut tx, Happened::VersionCreated(&version), now).await?;
            tx.commit().await?;
            Ok(version)
        })
    }

    /// A version that is not deleted.
    pub fn active_version<'a>(&'a self, model: &'a str, number: u64) -> Answer<'a, ModelVersion> {
        Box::pin(async move { require(&mut *self.metadata.read().await?, model, number).await })
    }

    pub fn describe_version<'a>(
        &'a self,
        (model, number): (&'a str, u64),
        description: &'a str,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, model, number).await?;
            query(
                "UPDATE model_versions SET description = $3, last_update_time_ms = $4 WHERE model = $1 AND version = $2",
            )
            .bind(model)
            .bind(stored::signed(number))
            .bind(description)
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            let details = json!({"description": description});
            audit(&mut tx, ("model.describe", actor, now), subject(model, number), details).await?;
            let version = list::version(&mut tx, model, number).await?;
            tx.commit().await?;
            Ok(version)
        })
    }

    /// Moves a version to a stage; with `archive`, those that were in it are archived.
    pub fn move_stage<'a>(
        &'a self,
        (model, number): (&'a str, u64),
        stage: Stage,
        archive: bool,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let before = require(&mut tx, model, number).await?.stage;
            let mut archived = Vec::new();
            if archive {
                archived = query_scalar::<i64>(
                    "SELECT version FROM model_versions WHERE model = $1 AND version <> $2 AND stage = $3 \
                     AND lifecycle_stage = 'active' ORDER BY version",
                )
                .bind(model)
                .bind(stored::signed(number))
                .bind(stage.as_str())
                .fetch_all(&mut tx)
                .await?;
            }
            for other in &archived {
                let details = json!({"before": stage, "stage": Stage::Archived, "by": number});
                set_stage(&mut tx, (model, other.unsigned_abs()), Stage::Archived, now).await?;
                audit(&mut tx, ("model.stage", actor, now), subject(model, other.unsigned_abs()), details).await?;
            }
            set_stage(&mut tx, (model, number), stage, now).await?;
            let details = json!({"before": before, "stage": stage});
            audit(&mut tx, ("model.stage", actor, now), subject(model, number), details).await?;
            let version = list::version(&mut tx, model, number).await?;
            tx.commit().await?;
            Ok(version)
        })
    }

    /// Takes a version out of sight, with its aliases; its number is not given again. Refused while an alias of a model
    /// that Karat trains, or whose versions need approval, points at it: what serves is replaced first.
    pub fn delete_version<'a>(
        &'a self,
        (model, number): (&'a str, u64),
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let version = require(&mut tx, model, number).await?;
            let rule = list::model(&mut tx, model).await?.approval;
            let governed = version.digest.is_some() || rule != ApprovalRule::NotRequired;
            if let Some(alias) = version.aliases.first().filter(|_| governed) {
                return Err(RegistryError::Refused(format!(
                    "{} is `{}`: first move the alias back (`karat models rollback {model} {alias}`) or take it away \
                     (`karat models alias {model} {alias} --delete --why \"...\"`)",
                    version.label(),
                    version.aliases.join("`, `")
                )));
            }
            for alias in &version.aliases {
                let change = AliasChange { model, alias, who: actor, why: "its version was deleted" };
                alias::take_away(&mut tx, change, number, now).await?;
            }
            query("UPDATE model_versions SET lifecycle_stage = $3 WHERE model = $1 AND version = $2")
                .bind(model)
                .bind(stored::signed(number))
                .bind(Lifecycle::Deleted.as_str())
                .execute(&mut tx)
                .await?;
            touch(&mut tx, model, number, now).await?;
            let details = json!({"source": version.source, "digest": version.digest, "aliases": version.aliases});
            audit(&mut tx, ("model.delete_version", actor, now), subject(model, number), details).await?;
            Ok(tx.commit().await?)
        })
    }

    pub fn tag_version<'a>(
        &'a self,
        (model, number): (&'a str, u64),
        (key, value): (&'a str, &'a str),
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, model, number).await?;
            write_tags(&mut tx, (model, number), &BTreeMap::from([(key.to_owned(), value.to_owned())])).await?;
            let details = json!({"key": key, "value": value});
            audit(&mut tx, ("model.tag", actor, now), subject(model, number), details).await?;
            tell(&mut tx, Happened::TagSet { version: (model, number), tag: (key, value) }, now).await?;
            Ok(tx.commit().await?)
        })
    }

    /// A tag that is not there is none to take away.
    pub fn untag_version<'a>(
        &'a self,
        (model, number): (&'a str, u64),
        key: &'a str,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, model, number).await?;
            let deleted = query("DELETE FROM model_version_tags WHERE model = $1 AND version = $2 AND key = $3")
                .bind(model)
                .bind(stored::signed(number))
                .bind(key)
                .execute(&mut tx)
                .await?;
            if deleted > 0 {
                audit(&mut tx, ("model.untag", actor, now), subject(model, number), json!({"key": key})).await?;
                tell(&mut tx, Happened::TagDeleted { version: (model, number), key }, now).await?;
            }
            Ok(tx.commit().await?)
        })
    }
}

async fn require(connection: &mut Connection, model: &str, number: u64) -> Result<ModelVersion, RegistryError> {
    let missing = || RegistryError::NotFound(format!("Model Version (name={model}, version={number}) not found"));
    match list::version(connection, model, number).await {
        Ok(version) if version.lifecycle_stage == Lifecycle::Active => Ok(version),
        Ok(_) | Err(RegistryError::NotFound(_)) => Err(missing()),
        Err(other) => Err(other),
    }
}

async fn set_stage(
    tx: &mut WriteTx,
    (model, number): (&str, u64),
    stage: Stage,
    now: Instant,
) -> Result<(), RegistryError> {
    query("UPDATE model_versions SET stage = $3 WHERE model = $1 AND version = $2")
        .bind(model)
        .bind(stored::signed(number))
        .bind(stage.as_str())
        .execute(tx)
        .await?;
    touch(tx, model, number, now).await
}

async fn touch_model(tx: &mut WriteTx, model: &str, now: Instant) -> Result<(), RegistryError> {
    query("UPDATE registered_models SET last_update_time_ms = $2 WHERE name = $1")
        .bind(model)
        .bind(millis(now))
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn write_tags(
    tx: &mut WriteTx,
    (model, number): (&str, u64),
    tags: &BTreeMap<String, String>,
) -> Result<(), RegistryError> {
    let rows =
        tags.iter().map(|(key, value)| [model.bound(), stored::signed(number).bound(), key.bound(), value.bound()]);
    let newest = "ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value";
    tx.insert("INSERT INTO model_version_tags (model, version, key, value)", rows, newest).await?;
    Ok(())
}
