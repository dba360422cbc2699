//! What MLflow's clients do to experiments, under MLflow's rules and in its words.

use std::collections::BTreeMap;

use karat_core::Instant;
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::{Connection, WriteTx, query, query_scalar};

use super::{Experiment, Lifecycle, by_name, experiment_of};
use crate::{Answer, Registry, RegistryError, millis};

/// The experiment of runs that name none.
const DEFAULT: &str = "Default";

#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewExperiment {
    pub name: String,
    /// A folder of its own below the registry's root where nothing is said.
    pub artifact_location: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    /// Makes experiment 0 where there is none, as every tracking server has it.
    pub fn ensure_default_experiment(&self, now: Instant) -> Answer<'_, ()> {
        Box::pin(async move {
            if by_id(&mut *self.metadata.read().await?, 0).await?.is_some() {
                return Ok(());
            }
            let mut tx = self.metadata.begin().await?;
            query(
                "INSERT INTO experiments \
                 (id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms) \
                 VALUES (0, $1, $2, 'active', $3, $3) ON CONFLICT DO NOTHING",
            )
            .bind(DEFAULT)
            .bind(format!("{}/0", self.artifact_root))
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            Ok(tx.commit().await?)
        })
    }

    /// The new experiment's id; [`RegistryError::Conflict`] where one has the name, deleted or not.
    pub fn create_experiment<'a>(&'a self, new: &'a NewExperiment, now: Instant) -> Answer<'a, i64> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let id: Option<i64> = query_scalar(
                "INSERT INTO experiments \
                 (id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms) \
                 SELECT COALESCE(MAX(id), 0) + 1, $1, COALESCE($2, $3 || '/' || (COALESCE(MAX(id), 0) + 1)), \
                 'active', $4, $4 FROM experiments WHERE TRUE ON CONFLICT (name) DO NOTHING RETURNING id",
            )
            .bind(&new.name)
            .bind(new.artifact_location.as_deref())
            .bind(&*self.artifact_root)
            .bind(millis(now))
            .fetch_optional(&mut tx)
            .await?;
            let id = id.ok_or_else(|| taken(&new.name))?;
            for (key, value) in &new.tags {
                write_tag(&mut tx, id, key, value).await?;
            }
            tx.commit().await?;
            Ok(id)
        })
    }

    /// Deleted ones, too.
    pub fn experiment_by_id(&self, id: i64) -> Answer<'_, Experiment> {
        Box::pin(async move { require(&mut *self.metadata.read().await?, id).await })
    }

    /// Deleted ones, too.
    pub fn find_experiment<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Experiment>> {
        Box::pin(async move { by_name(&mut *self.metadata.read().await?, name).await })
    }

    pub fn rename_experiment<'a>(&'a self, id: i64, name: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            if require(&mut tx, id).await?.lifecycle_stage != Lifecycle::Active {
                return Err(RegistryError::Refused("Cannot rename a non-active experiment.".to_owned()));
            }
            if by_name(&mut tx, name).await?.is_some_and(|other| other.id != id) {
                return Err(taken(name));
            }
            query("UPDATE experiments SET name = $2, last_update_time_ms = $3 WHERE id = $1")
                .bind(id)
                .bind(name)
                .bind(millis(now))
                .execute(&mut tx)
                .await?;
            Ok(tx.commit().await?)
        })
    }

    /// Deletes an active experiment with its runs, or brings a deleted one back with all of them.
    pub fn move_experiment<'a>(&'a self, id: i64, to: Lifecycle, actor: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let moved = query(
                "UPDATE experiments SET lifecycle_stage = $2, last_update_time_ms = $3, deleted_time_ms = $4 \
                 WHERE id = $1 AND lifecycle_stage != $2",
            )
            .bind(id)
            .bind(to.as_str())
            .bind(millis(now))
            .bind((to == Lifecycle::Deleted).then(|| millis(now)))
            .execute(&mut tx)
            .await?;
            if moved == 0 {
                return Err(no_experiment(id));
            }
            query(
                "UPDATE runs SET lifecycle_stage = $2, deleted_time_ms = $3, revision = revision + 1 \
                 WHERE experiment_id = $1 AND lifecycle_stage != $2",
            )
            .bind(id)
            .bind(to.as_str())
            .bind((to == Lifecycle::Deleted).then(|| millis(now)))
            .execute(&mut tx)
            .await?;
            let action = if to == Lifecycle::Deleted { "experiment.delete" } else { "experiment.restore" };
            let (subject, details) = (Subject::new("experiment", &id.to_string()), serde_json::json!({}));
            audit::append(&mut tx, NewEntry { at: now, actor, action, subject, details }).await?;
            Ok(tx.commit().await?)
        })
    }

    pub fn set_experiment_tag<'a>(&'a self, id: i64, key: &'a str, value: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, id).await?;
            write_tag(&mut tx, id, key, value).await?;
            Ok(tx.commit().await?)
        })
    }

    pub fn delete_experiment_tag<'a>(&'a self, id: i64, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, id).await?;
            let deleted = query("DELETE FROM experiment_tags WHERE experiment_id = $1 AND key = $2")
                .bind(id)
                .bind(key)
                .execute(&mut tx)
                .await?;
            if deleted == 0 {
                return Err(RegistryError::NotFound(format!("No tag with name: {key} in experiment with id {id}")));
            }
            Ok(tx.commit().await?)
        })
    }
}

fn taken(name: &str) -> RegistryError {
    RegistryError::Conflict(format!(
        "Experiment(name={name}) already exists, perhaps deleted: choose another name, or restore it."
    ))
}

fn no_experiment(id: i64) -> RegistryError {
    RegistryError::NotFound(format!("No Experiment with id={id} exists"))
}

pub(crate) async fn by_id(connection: &mut Connection, id: i64) -> Result<Option<Experiment>, RegistryError> {
    let row = query("SELECT * FROM experiments WHERE id = $1").bind(id).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => Ok(Some(experiment_of(connection, &row).await?)),
        None => Ok(None),
    }
}

async fn require(connection: &mut Connection, id: i64) -> Result<Experiment, RegistryError> {
    by_id(connection, id).await?.ok_or_else(|| no_experiment(id))
}

pub(crate) async fn require_active(tx: &mut WriteTx, id: i64) -> Result<Experiment, RegistryError> {
    let experiment = require(tx, id).await?;
    match experiment.lifecycle_stage {
        Lifecycle::Active => Ok(experiment),
        stage => Err(RegistryError::Invalid(format!(
            "The experiment {id} must be in the 'active' state. Current state is {stage}."
        ))),
    }
}

pub(crate) async fn write_tag(tx: &mut WriteTx, id: i64, key: &str, value: &str) -> Result<(), RegistryError> {
    query(
        "INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value",
    )
    .bind(id)
    .bind(key)
    .bind(value)
    .execute(tx)
    .await?;
    Ok(())
}
