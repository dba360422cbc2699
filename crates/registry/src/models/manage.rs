//! What MLflow's clients do to registered models, under MLflow's rules and in its words.

use std::collections::BTreeMap;

use karat_core::Instant;
use karat_metadata::audit::Subject;
use karat_metadata::{Bind, Connection, WriteTx, query, query_scalar};
use serde_json::{Value as Json, json};

use super::write::{audit, trained_here};
use super::{RegisteredModel, list};
use crate::webhooks::{Happened, tell};
use crate::{Answer, Registry, RegistryError, millis};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewModel {
    pub name: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    /// A model without versions that needs no approval; [`RegistryError::Conflict`] where one has the name.
    pub fn create_model<'a>(&'a self, new: &'a NewModel, actor: &'a str, now: Instant) -> Answer<'a, RegisteredModel> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let made = query(
                "INSERT INTO registered_models (name, description, approval, creation_time_ms, last_update_time_ms) \
                 VALUES ($1, $2, 'not_required', $3, $3) ON CONFLICT (name) DO NOTHING",
            )
            .bind(&new.name)
            .bind(&new.description)
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            if made == 0 {
                return Err(exists(&new.name));
            }
            write_tags(&mut tx, &new.name, &new.tags).await?;
            record(&mut tx, ("model.create", actor, now), &new.name, json!({"tags": new.tags})).await?;
            let model = list::model(&mut tx, &new.name).await?;
            tell(&mut tx, Happened::ModelCreated(&model), now).await?;
            tx.commit().await?;
            Ok(model)
        })
    }

    pub fn describe_model<'a>(
        &'a self,
        name: &'a str,
        description: &'a str,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, RegisteredModel> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, name).await?;
            query("UPDATE registered_models SET description = $2, last_update_time_ms = $3 WHERE name = $1")
                .bind(name)
                .bind(description)
                .bind(millis(now))
                .execute(&mut tx)
                .await?;
            record(&mut tx, ("model.describe", actor, now), name, json!({"description": description})).await?;
            let model = list::model(&mut tx, name).await?;
            tx.commit().await?;
            Ok(model)
        })
    }

    /// Refused for a model that Karat trains: project files, endpoints and logged decisions know it by its name.
    pub fn rename_model<'a>(
        &'a self,
        name: &'a str,
        new_name: &'a str,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, RegisteredModel> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, name).await?;
            if trained_here(&mut tx, name).await? {
                return Err(RegistryError::Refused(format!(
                    "`{name}` is trained by Karat, and endpoints and decisions know it by its name: it cannot be renamed"
                )));
            }
            if name != new_name {
                rename(&mut tx, name, new_name, now).await?;
                record(&mut tx, ("model.rename", actor, now), new_name, json!({"before": name})).await?;
            }
            let model = list::model(&mut tx, new_name).await?;
            tx.commit().await?;
            Ok(model)
        })
    }

    /// With its versions, for good; its history stays in the audit log. Refused for a model that Karat trains, since
    /// decisions are replayed with its versions.
    pub fn delete_model<'a>(&'a self, name: &'a str, actor: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let held = require(&mut tx, name).await?;
            if trained_here(&mut tx, name).await? {
                return Err(RegistryError::Refused(format!(
                    "`{name}` is trained by Karat, and decisions are replayed with its versions: delete the versions that \
                     nobody should use any more"
                )));
            }
            for step in DELETE {
                query(step).bind(name).execute(&mut tx).await?;
            }
            let details = json!({"versions": held.versions, "aliases": held.aliases});
            record(&mut tx, ("model.delete", actor, now), name, details).await?;
            Ok(tx.commit().await?)
        })
    }

    pub fn tag_model<'a>(
        &'a self,
        name: &'a str,
        (key, value): (&'a str, &'a str),
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, name).await?;
            write_tags(&mut tx, name, &BTreeMap::from([(key.to_owned(), value.to_owned())])).await?;
            record(&mut tx, ("model.tag", actor, now), name, json!({"key": key, "value": value})).await?;
            Ok(tx.commit().await?)
        })
    }

    /// A tag that is not there is none to take away.
    pub fn untag_model<'a>(&'a self, name: &'a str, key: &'a str, actor: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, name).await?;
            let deleted = query("DELETE FROM registered_model_tags WHERE model = $1 AND key = $2")
                .bind(name)
                .bind(key)
                .execute(&mut tx)
                .await?;
            if deleted > 0 {
                record(&mut tx, ("model.untag", actor, now), name, json!({"key": key})).await?;
            }
            Ok(tx.commit().await?)
        })
    }
}

/// The model, or that there is none.
pub(super) async fn require(connection: &mut Connection, name: &str) -> Result<RegisteredModel, RegistryError> {
    list::model(connection, name).await.map_err(|error| match error {
        RegistryError::NotFound(_) => RegistryError::NotFound(format!("Registered Model with name={name} not found")),
        other => other,
    })
}

fn exists(name: &str) -> RegistryError {
    RegistryError::Conflict(format!("Registered Model (name={name}) already exists."))
}

const COPY: [&str; 2] = [
    "INSERT INTO registered_models (name, description, approval, four_eyes, creation_time_ms, last_update_time_ms) \
     SELECT $2, description, approval, four_eyes, creation_time_ms, $3 FROM registered_models WHERE name = $1",
    "INSERT INTO model_versions (model, version, run_id, source_run_id, run_link, digest, source, storage_location, \
     status, stage, lifecycle_stage, description, definitions, gates, creation_time_ms, last_update_time_ms) \
     SELECT $2, version, run_id, source_run_id, run_link, digest, source, storage_location, status, stage, \
     lifecycle_stage, description, definitions, gates, creation_time_ms, $3 FROM model_versions WHERE model = $1",
];

const MOVE: [&str; 5] = [
    "UPDATE registered_model_tags SET model = $2 WHERE model = $1",
    "UPDATE model_version_tags SET model = $2 WHERE model = $1",
    "UPDATE model_aliases SET model = $2 WHERE model = $1",
    "UPDATE alias_moves SET model = $2 WHERE model = $1",
    "UPDATE approvals SET model = $2 WHERE model = $1",
];

const DELETE: [&str; 7] = [
    "DELETE FROM model_aliases WHERE model = $1",
    "DELETE FROM alias_moves WHERE model = $1",
    "DELETE FROM approvals WHERE model = $1",
    "DELETE FROM model_version_tags WHERE model = $1",
    "DELETE FROM registered_model_tags WHERE model = $1",
    "DELETE FROM model_versions WHERE model = $1",
    "DELETE FROM registered_models WHERE name = $1",
];

/// Rows that others point at are copied under the new name before those are moved over: keys are checked at once.
async fn rename(tx: &mut WriteTx, name: &str, new_name: &str, now: Instant) -> Result<(), RegistryError> {
    let taken: bool = query_scalar("SELECT EXISTS (SELECT 1 FROM registered_models WHERE name = $1)")
        .bind(new_name)
        .fetch_one(tx)
        .await?;
    if taken {
        return Err(exists(new_name));
    }
    for step in COPY {
        query(step).bind(name).bind(new_name).bind(millis(now)).execute(tx).await?;
    }
    for step in MOVE {
        query(step).bind(name).bind(new_name).execute(tx).await?;
    }
    for step in DELETE {
        query(step).bind(name).execute(tx).await?;
    }
    Ok(())
}

pub(crate) async fn write_tags(
    tx: &mut WriteTx,
    name: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), RegistryError> {
    let rows = tags.iter().map(|(key, value)| [name.bound(), key.bound(), value.bound()]);
    let newest = "ON CONFLICT (model, key) DO UPDATE SET value = excluded.value";
    tx.insert("INSERT INTO registered_model_tags (model, key, value)", rows, newest).await?;
    Ok(())
}

async fn record(tx: &mut WriteTx, what: (&str, &str, Instant), name: &str, details: Json) -> Result<(), RegistryError> {
    audit(tx, what, Subject::new("model", name), details).await
}
