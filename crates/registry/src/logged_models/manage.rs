use std::collections::BTreeMap;

use karat_core::{Instant, RunId};
use karat_metadata::{Bind, Connection, WriteTx, query, query_scalar};

use super::{LoggedModel, LoggedModelStatus, no_model, with_details};
use crate::experiments::require_active;
use crate::{Answer, Registry, RegistryError, millis};

#[derive(Debug, Clone, PartialEq)]
pub struct NewLoggedModel {
    pub experiment_id: i64,
    pub name: String,
    pub model_type: String,
    pub source_run_id: String,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    pub fn create_logged_model<'a>(&'a self, new: &'a NewLoggedModel, now: Instant) -> Answer<'a, LoggedModel> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let experiment = require_active(&mut tx, new.experiment_id).await?;
            // Of a kind with runs' ids, and never one of them.
            let model_id = format!("m-{}", RunId::new());
            let location = experiment.artifact_location.trim_end_matches('/');
            query(
                "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, model_type, \
                 source_run_id, status, lifecycle_stage, creation_time_ms, last_update_time_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $8)",
            )
            .bind(&model_id)
            .bind(experiment.id)
            .bind(&new.name)
            .bind(format!("{location}/models/{model_id}/artifacts"))
            .bind(&new.model_type)
            .bind(&new.source_run_id)
            .bind(LoggedModelStatus::Pending.as_str())
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            write_params(&mut tx, &model_id, &new.params).await?;
            write_tags(&mut tx, &model_id, &new.tags).await?;
            let model = require(&mut tx, &model_id, false).await?;
            tx.commit().await?;
            Ok(model)
        })
    }

    /// Deleted ones only where they are asked for.
    pub fn logged_model<'a>(&'a self, model_id: &'a str, deleted_too: bool) -> Answer<'a, LoggedModel> {
        Box::pin(async move { require(&mut *self.metadata.read().await?, model_id, deleted_too).await })
    }

    pub fn finalize_logged_model<'a>(
        &'a self,
        model_id: &'a str,
        status: LoggedModelStatus,
        now: Instant,
    ) -> Answer<'a, LoggedModel> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            query("UPDATE logged_models SET status = $2, last_update_time_ms = $3 WHERE model_id = $1")
                .bind(model_id)
                .bind(status.as_str())
                .bind(millis(now))
                .execute(&mut tx)
                .await?;
            let model = require(&mut tx, model_id, true).await?;
            tx.commit().await?;
            Ok(model)
        })
    }

    pub fn delete_logged_model<'a>(&'a self, model_id: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let deleted = query(
                "UPDATE logged_models SET lifecycle_stage = 'deleted', last_update_time_ms = $2, deleted_time_ms = $2 \
                 WHERE model_id = $1",
            )
            .bind(model_id)
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            if deleted == 0 {
                return Err(no_model(model_id));
            }
            Ok(tx.commit().await?)
        })
    }

    pub fn log_model_params<'a>(&'a self, model_id: &'a str, params: &'a BTreeMap<String, String>) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, model_id, true).await?;
            write_params(&mut tx, model_id, params).await?;
            Ok(tx.commit().await?)
        })
    }

    pub fn tag_logged_model<'a>(&'a self, model_id: &'a str, tags: &'a BTreeMap<String, String>) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, model_id, true).await?;
            write_tags(&mut tx, model_id, tags).await?;
            Ok(tx.commit().await?)
        })
    }

    pub fn untag_logged_model<'a>(&'a self, model_id: &'a str, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, model_id, true).await?;
            let deleted = query("DELETE FROM logged_model_tags WHERE model_id = $1 AND key = $2")
                .bind(model_id)
                .bind(key)
                .execute(&mut tx)
                .await?;
            if deleted == 0 {
                let message = format!("No tag with key '{key}' found for model with ID '{model_id}'.");
                return Err(RegistryError::NotFound(message));
            }
            Ok(tx.commit().await?)
        })
    }
}

async fn require(connection: &mut Connection, model_id: &str, deleted_too: bool) -> Result<LoggedModel, RegistryError> {
    read(connection, model_id, deleted_too).await?.ok_or_else(|| no_model(model_id))
}

/// Deleted or not.
pub(crate) async fn read_one(
    connection: &mut Connection,
    model_id: &str,
) -> Result<Option<LoggedModel>, RegistryError> {
    read(connection, model_id, true).await
}

async fn read(
    connection: &mut Connection,
    model_id: &str,
    deleted_too: bool,
) -> Result<Option<LoggedModel>, RegistryError> {
    let rows = query("SELECT * FROM logged_models WHERE model_id = $1 AND ($2 OR lifecycle_stage = 'active')")
        .bind(model_id)
        .bind(deleted_too)
        .fetch_all(&mut *connection)
        .await?;
    Ok(with_details(connection, &rows).await?.pop())
}

/// A param keeps its value.
pub(crate) async fn write_params(
    tx: &mut WriteTx,
    model_id: &str,
    params: &BTreeMap<String, String>,
) -> Result<(), RegistryError> {
    for (key, value) in params {
        let kept: String = query_scalar(
            "INSERT INTO logged_model_params (model_id, key, value) VALUES ($1, $2, $3) \
             ON CONFLICT (model_id, key) DO UPDATE SET value = logged_model_params.value RETURNING value",
        )
        .bind(model_id)
        .bind(key)
        .bind(value)
        .fetch_one(tx)
        .await?;
        if kept != *value {
            return Err(RegistryError::Invalid(format!(
                "Changing param values is not allowed. Param with key='{key}' was already logged with value='{kept}' \
                 for model ID='{model_id}'. Attempted logging new value '{value}'."
            )));
        }
    }
    Ok(())
}

pub(crate) async fn write_tags(
    tx: &mut WriteTx,
    model_id: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), RegistryError> {
    let rows = tags.iter().map(|(key, value)| [model_id.bound(), key.bound(), value.bound()]);
    let newest = "ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value";
    tx.insert("INSERT INTO logged_model_tags (model_id, key, value)", rows, newest).await?;
    Ok(())
}
