//! What MLflow's clients do to runs, under MLflow's rules and in its words.

use std::collections::BTreeMap;

use karat_core::{Instant, RunId};
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::{Connection, WriteTx, query, query_scalar};

use super::log::changed;
use super::{DatasetInput, Run, RunModel, RunStatus, Whose, get, settle, write_tags};
use crate::experiments::require_active as require_active_experiment;
use crate::{Answer, Lifecycle, Registry, RegistryError, millis};

/// The tag that says a run's name again.
pub(super) const NAME_TAG: &str = "mlflow.runName";

#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    pub experiment_id: i64,
    pub name: String,
    pub user: String,
    pub start_time_ms: i64,
    pub tags: BTreeMap<String, String>,
}

/// What becomes of a run; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunUpdate {
    pub status: Option<RunStatus>,
    pub end_time_ms: Option<i64>,
    pub name: Option<String>,
}

impl Registry {
    /// A run under an id of its own; its name becomes a tag, too.
    pub fn create_run<'a>(&'a self, new: &'a NewRun) -> Answer<'a, Run> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let experiment = require_active_experiment(&mut tx, new.experiment_id).await?;
            let run_id = RunId::new();
            query(
                "INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_time_ms, lifecycle_stage, \
                 artifact_uri) VALUES ($1, $2, $3, $4, $5, $6, 'active', $7)",
            )
            .bind(run_id.as_str())
            .bind(experiment.id)
            .bind(&new.name)
            .bind(&new.user)
            .bind(RunStatus::Running.as_str())
            .bind(new.start_time_ms)
            .bind(format!("{}/{run_id}/artifacts", experiment.artifact_location.trim_end_matches('/')))
            .execute(&mut tx)
            .await?;
            let mut tags = new.tags.clone();
            tags.insert(NAME_TAG.to_owned(), new.name.clone());
            write_tags(&mut tx, run_id.as_str(), &tags).await?;
            let run = require(&mut tx, run_id.as_str()).await?;
            tx.commit().await?;
            Ok(run)
        })
    }

    /// The run of this very id, deleted or not.
    pub fn run_by_id<'a>(&'a self, run_id: &'a str) -> Answer<'a, Run> {
        Box::pin(async move { require(&mut *self.read_settled(Whose::Runs(&[run_id])).await?, run_id).await })
    }

    pub fn update_run<'a>(&'a self, run_id: &'a str, update: &'a RunUpdate) -> Answer<'a, Run> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, run_id).await?;
            query(
                "UPDATE runs SET status = COALESCE($2, status), end_time_ms = COALESCE($3, end_time_ms), \
                 revision = revision + 1 WHERE run_id = $1",
            )
            .bind(run_id)
            .bind(update.status.map(RunStatus::as_str))
            .bind(update.end_time_ms)
            .execute(&mut tx)
            .await?;
            if let Some(name) = &update.name {
                rename(&mut tx, run_id, name).await?;
            }
            settle(&mut tx, Whose::Runs(&[run_id])).await?;
            let run = require(&mut tx, run_id).await?;
            tx.commit().await?;
            Ok(run)
        })
    }

    /// Deletes a run or brings it back; what is so already stays.
    pub fn move_run<'a>(&'a self, run_id: &'a str, to: Lifecycle, actor: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require(&mut tx, run_id).await?;
            let moved = query(
                "UPDATE runs SET lifecycle_stage = $2, deleted_time_ms = $3, revision = revision + 1 \
                 WHERE run_id = $1 AND lifecycle_stage != $2",
            )
            .bind(run_id)
            .bind(to.as_str())
            .bind((to == Lifecycle::Deleted).then(|| millis(now)))
            .execute(&mut tx)
            .await?;
            if moved > 0 {
                let action = if to == Lifecycle::Deleted { "run.delete" } else { "run.restore" };
                let (subject, details) = (Subject::new("run", run_id), serde_json::json!({}));
                audit::append(&mut tx, NewEntry { at: now, actor, action, subject, details }).await?;
            }
            Ok(tx.commit().await?)
        })
    }

    pub fn delete_run_tag<'a>(&'a self, run_id: &'a str, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, run_id).await?;
            let deleted = query("DELETE FROM run_tags WHERE run_id = $1 AND key = $2")
                .bind(run_id)
                .bind(key)
                .execute(&mut tx)
                .await?;
            if deleted == 0 {
                return Err(RegistryError::NotFound(format!("No tag with name: {key} in run with id {run_id}")));
            }
            changed(&mut tx, run_id).await?;
            Ok(tx.commit().await?)
        })
    }

    /// Records what a run read: of a data set, the first that is said of it, once a run.
    pub fn add_inputs<'a>(
        &'a self,
        run_id: &'a str,
        datasets: &'a [DatasetInput],
        models: &'a [RunModel],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, run_id).await?;
            for input in datasets {
                super::inputs::write_dataset(&mut tx, run_id, input).await?;
                query(
                    "INSERT INTO run_inputs (run_id, dataset_id, context, tags) \
                     SELECT r.run_id, d.id, $4, $5 FROM runs r JOIN datasets d ON d.experiment_id = r.experiment_id \
                     WHERE r.run_id = $1 AND d.name = $2 AND d.digest = $3 \
                     AND NOT EXISTS (SELECT 1 FROM run_inputs i WHERE i.run_id = $1 AND i.dataset_id = d.id)",
                )
                .bind(run_id)
                .bind(&input.name)
                .bind(&input.digest)
                .bind(&input.context)
                .bind(serde_json::json!(input.tags).to_string())
                .execute(&mut tx)
                .await?;
            }
            changed(&mut tx, run_id).await?;
            write_models(&mut tx, run_id, "input", models).await?;
            Ok(tx.commit().await?)
        })
    }

    /// Records the logged models that a run made.
    pub fn add_outputs<'a>(&'a self, run_id: &'a str, models: &'a [RunModel]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, run_id).await?;
            write_models(&mut tx, run_id, "output", models).await?;
            Ok(tx.commit().await?)
        })
    }
}

pub(super) async fn rename(tx: &mut WriteTx, run_id: &str, name: &str) -> Result<(), RegistryError> {
    query("UPDATE runs SET name = $2, revision = revision + 1 WHERE run_id = $1")
        .bind(run_id)
        .bind(name)
        .execute(tx)
        .await?;
    write_tags(tx, run_id, &BTreeMap::from([(NAME_TAG.to_owned(), name.to_owned())])).await
}

pub(crate) async fn write_models(
    tx: &mut WriteTx,
    run_id: &str,
    direction: &'static str,
    models: &[RunModel],
) -> Result<(), RegistryError> {
    for model in models {
        query(
            "INSERT INTO run_models (run_id, direction, model_id, step) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (run_id, direction, model_id) DO UPDATE SET step = excluded.step",
        )
        .bind(run_id)
        .bind(direction)
        .bind(&model.model_id)
        .bind(model.step)
        .execute(tx)
        .await?;
    }
    match models.is_empty() {
        true => Ok(()),
        false => changed(tx, run_id).await,
    }
}

async fn require(connection: &mut Connection, run_id: &str) -> Result<Run, RegistryError> {
    get::by_id(connection, run_id).await?.ok_or_else(|| no_run(run_id))
}

pub(super) async fn require_active(tx: &mut WriteTx, run_id: &str) -> Result<(), RegistryError> {
    let stage: Option<String> =
        query_scalar("SELECT lifecycle_stage FROM runs WHERE run_id = $1").bind(run_id).fetch_optional(tx).await?;
    match stage.as_deref() {
        None => Err(no_run(run_id)),
        Some("active") => Ok(()),
        Some(stage) => Err(RegistryError::Invalid(format!(
            "The run {run_id} must be in the 'active' state. Current state is {stage}."
        ))),
    }
}

fn no_run(run_id: &str) -> RegistryError {
    RegistryError::NotFound(format!("Run with id={run_id} not found"))
}
