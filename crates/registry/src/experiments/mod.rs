//! An experiment is what runs belong to.

mod datasets;
mod manage;
mod search;

use std::collections::BTreeMap;
use std::fmt;

use karat_core::Instant;
use karat_metadata::{Connection, Row, query, query_scalar, stored};
use serde::Serialize;

pub use datasets::DatasetSummary;
pub use manage::NewExperiment;
pub(crate) use manage::{by_id, require_active, write_tag};
pub(crate) use search::push_experiments;
pub use search::{ExperimentSearch, View};

use crate::{Answer, Registry, RegistryError, millis};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    pub id: i64,
    pub name: String,
    pub artifact_location: String,
    pub lifecycle_stage: Lifecycle,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
    pub tags: BTreeMap<String, String>,
}

/// Of experiments and runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    Active,
    Deleted,
}

impl Lifecycle {
    pub fn parse(word: &str) -> Option<Lifecycle> {
        match word {
            "active" => Some(Lifecycle::Active),
            "deleted" => Some(Lifecycle::Deleted),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Active => "active",
            Lifecycle::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Registry {
    /// The experiment of this name, made where there is none.
    pub fn get_or_create_experiment<'a>(&'a self, name: &'a str, now: Instant) -> Answer<'a, Experiment> {
        Box::pin(async move {
            if name.trim().is_empty() {
                return Err(RegistryError::Invalid("an experiment needs a name".into()));
            }
            if let Some(experiment) = by_name(&mut *self.metadata.read().await?, name).await? {
                return Ok(experiment);
            }
            let new = NewExperiment { name: name.to_owned(), ..NewExperiment::default() };
            match self.create_experiment(&new, now).await {
                // Another was quicker.
                Ok(_) | Err(RegistryError::Conflict(_)) => self.experiment(name).await,
                Err(error) => Err(error),
            }
        })
    }

    pub fn experiment<'a>(&'a self, name: &'a str) -> Answer<'a, Experiment> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            if let Some(experiment) = by_name(&mut reader, name).await? {
                return Ok(experiment);
            }
            let names: Vec<String> = query_scalar("SELECT name FROM experiments").fetch_all(&mut reader).await?;
            Err(RegistryError::no_such("experiment", name, names.iter().map(String::as_str)))
        })
    }

    /// In the order of their making.
    pub fn experiments(&self) -> Answer<'_, Vec<Experiment>> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            let rows = query("SELECT * FROM experiments ORDER BY id").fetch_all(&mut reader).await?;
            let mut experiments = Vec::with_capacity(rows.len());
            for row in &rows {
                experiments.push(experiment_of(&mut reader, row).await?);
            }
            Ok(experiments)
        })
    }

    pub fn tag_experiment<'a>(&'a self, id: i64, tags: &'a BTreeMap<String, String>, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let found = query("UPDATE experiments SET last_update_time_ms = $2 WHERE id = $1")
                .bind(id)
                .bind(millis(now))
                .execute(&mut tx)
                .await?;
            if found == 0 {
                return Err(RegistryError::NotFound(format!("there is no experiment {id}")));
            }
            for (key, value) in tags {
                manage::write_tag(&mut tx, id, key, value).await?;
            }
            Ok(tx.commit().await?)
        })
    }
}

async fn by_name(connection: &mut Connection, name: &str) -> Result<Option<Experiment>, RegistryError> {
    let row = query("SELECT * FROM experiments WHERE name = $1").bind(name).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => Ok(Some(experiment_of(connection, &row).await?)),
        None => Ok(None),
    }
}

async fn experiment_of(connection: &mut Connection, row: &Row) -> Result<Experiment, RegistryError> {
    let id = stored::int(row, "id")?;
    let tags =
        query("SELECT key, value FROM experiment_tags WHERE experiment_id = $1").bind(id).fetch_all(connection).await?;
    Ok(Experiment {
        id,
        name: stored::text(row, "name")?,
        artifact_location: stored::text(row, "artifact_location")?,
        lifecycle_stage: stored::word(row, "lifecycle_stage", Lifecycle::parse)?,
        creation_time_ms: stored::int(row, "creation_time_ms")?,
        last_update_time_ms: stored::int(row, "last_update_time_ms")?,
        tags: stored::pairs(&tags)?,
    })
}
