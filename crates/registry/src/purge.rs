//! Removal for good of what was deleted and not restored: runs, experiments and logged models with all that was logged.

use std::collections::BTreeSet;

use karat_core::Instant;
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::{WriteTx, query, query_scalar, stored};
use serde::Serialize;
use serde_json::json;

use crate::{Answer, Registry, RegistryError, millis};

/// What of the deleted to remove.
#[derive(Debug, Clone, Copy)]
pub struct Purge<'a> {
    /// Deleted before this.
    pub before: Instant,
    pub actor: &'a str,
    pub now: Instant,
}

/// What was, or would be, removed. Their files are the caller's to remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Purged {
    pub runs: Vec<Removed>,
    pub logged_models: Vec<Removed>,
    pub experiments: Vec<Removed>,
    /// Deleted runs that stay, since a version of a model that Karat trained comes from them.
    pub kept: Vec<Kept>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Removed {
    pub id: String,
    pub name: String,
    /// Where its files were.
    pub artifact_uri: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    pub run_id: String,
    /// `NAME/VERSION`
    pub version: String,
}

impl Purged {
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.logged_models.is_empty() && self.experiments.is_empty()
    }
}

impl Registry {
    /// What [`Registry::purge`] would remove now.
    pub fn would_purge<'a>(&'a self, purge: Purge<'a>) -> Answer<'a, Purged> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            // Never committed.
            found(&mut tx, purge.before).await
        })
    }

    /// Removes what was deleted before a time, in one transaction with its audit entry. Experiments go with all their runs;
    /// one stays while a run of it stays.
    pub fn purge<'a>(&'a self, purge: Purge<'a>) -> Answer<'a, Purged> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let purged = found(&mut tx, purge.before).await?;
            if purged.is_empty() {
                return Ok(purged);
            }
            for run in &purged.runs {
                remove(&mut tx, &RUN, &run.id).await?;
            }
            for model in &purged.logged_models {
                remove(&mut tx, &LOGGED_MODEL, &model.id).await?;
            }
            for experiment in &purged.experiments {
                remove(&mut tx, &EXPERIMENT, &experiment.id).await?;
            }
            let ids = |of: &[Removed]| of.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
            let details = json!({
                "runs": ids(&purged.runs),
                "logged_models": ids(&purged.logged_models),
                "experiments": ids(&purged.experiments),
            });
            let Purge { actor, now: at, .. } = purge;
            let subject = Subject::new("run", "deleted");
            audit::append(&mut tx, NewEntry { at, actor, action: "run.purge", subject, details }).await?;
            tx.commit().await?;
            Ok(purged)
        })
    }
}

/// A version that a client registered stays, and still says which run it came from.
const RUN: [&str; 10] = [
    "UPDATE model_versions SET source_run_id = run_id, run_id = NULL WHERE run_id = $1",
    "DELETE FROM logged_model_metrics WHERE run_id = $1",
    "DELETE FROM run_models WHERE run_id = $1",
    "DELETE FROM run_inputs WHERE run_id = $1",
    "DELETE FROM metric_batches WHERE run_id = $1",
    "DELETE FROM metrics WHERE run_id = $1",
    "DELETE FROM latest_metrics WHERE run_id = $1",
    "DELETE FROM params WHERE run_id = $1",
    "DELETE FROM run_tags WHERE run_id = $1",
    "DELETE FROM runs WHERE run_id = $1",
];
const LOGGED_MODEL: [&str; 4] = [
    "DELETE FROM logged_model_metrics WHERE model_id = $1",
    "DELETE FROM logged_model_params WHERE model_id = $1",
    "DELETE FROM logged_model_tags WHERE model_id = $1",
    "DELETE FROM logged_models WHERE model_id = $1",
];
const EXPERIMENT: [&str; 3] = [
    "DELETE FROM datasets WHERE CAST(experiment_id AS TEXT) = $1",
    "DELETE FROM experiment_tags WHERE CAST(experiment_id AS TEXT) = $1",
    "DELETE FROM experiments WHERE CAST(id AS TEXT) = $1",
];

async fn remove(tx: &mut WriteTx, steps: &[&'static str], id: &str) -> Result<(), RegistryError> {
    for step in steps {
        query(step).bind(id).execute(tx).await?;
    }
    Ok(())
}

async fn found(tx: &mut WriteTx, before: Instant) -> Result<Purged, RegistryError> {
    let mut purged = Purged::default();
    let rows = query(
        "SELECT r.run_id AS id, r.name, r.artifact_uri, (SELECT v.model || '/' || v.version FROM model_versions v \
         WHERE v.run_id = r.run_id AND v.digest IS NOT NULL LIMIT 1) AS version \
         FROM runs r WHERE r.lifecycle_stage = 'deleted' AND r.deleted_time_ms < $1 ORDER BY r.run_id",
    )
    .bind(millis(before))
    .fetch_all(tx)
    .await?;
    for row in &rows {
        match stored::optional_text(row, "version")? {
            Some(version) => purged.kept.push(Kept { run_id: stored::text(row, "id")?, version }),
            None => purged.runs.push(removed(row)?),
        }
    }
    let going: BTreeSet<&str> = purged.runs.iter().map(|run| run.id.as_str()).collect();
    let rows = query(
        "SELECT CAST(id AS TEXT) AS id, name, artifact_location AS artifact_uri FROM experiments \
         WHERE lifecycle_stage = 'deleted' AND deleted_time_ms < $1 AND id != 0 ORDER BY id",
    )
    .bind(millis(before))
    .fetch_all(tx)
    .await?;
    let mut experiments = Vec::new();
    for row in &rows {
        let experiment = removed(row)?;
        let runs: Vec<String> = query_scalar("SELECT run_id FROM runs WHERE CAST(experiment_id AS TEXT) = $1")
            .bind(&experiment.id)
            .fetch_all(tx)
            .await?;
        if runs.iter().all(|run| going.contains(run.as_str())) {
            experiments.push(experiment);
        }
    }
    // A logged model goes by itself, or with its experiment.
    let with: BTreeSet<&str> = experiments.iter().map(|experiment| experiment.id.as_str()).collect();
    let rows = query(
        "SELECT model_id AS id, name, artifact_location AS artifact_uri, CAST(experiment_id AS TEXT) AS experiment, \
         lifecycle_stage = 'deleted' AND deleted_time_ms < $1 AS deleted FROM logged_models ORDER BY model_id",
    )
    .bind(millis(before))
    .fetch_all(tx)
    .await?;
    for row in &rows {
        let deleted: Option<bool> = row.get("deleted")?;
        if deleted.unwrap_or_default() || with.contains(stored::text(row, "experiment")?.as_str()) {
            purged.logged_models.push(removed(row)?);
        }
    }
    purged.experiments = experiments;
    Ok(purged)
}

fn removed(row: &karat_metadata::Row) -> Result<Removed, RegistryError> {
    Ok(Removed {
        id: stored::text(row, "id")?,
        name: stored::text(row, "name")?,
        artifact_uri: stored::text(row, "artifact_uri")?,
    })
}
