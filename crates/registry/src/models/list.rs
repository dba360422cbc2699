//! Models and versions as they are read.

use karat_core::{Digest, RunId};
use karat_metadata::{Connection, MetadataError, Row, query, query_scalar, stored};

use super::standing::standing;
use super::{Approval, ApprovalRule, DecisionKind, ModelVersion, NewVersion, RegisteredModel, Stage, VersionStatus};
use crate::Lifecycle;
use crate::gates::GateResult;
use crate::{Answer, Registry, RegistryError};

impl Registry {
    /// By name.
    pub fn models(&self) -> Answer<'_, Vec<RegisteredModel>> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            let names: Vec<String> =
                query_scalar("SELECT name FROM registered_models ORDER BY name").fetch_all(&mut reader).await?;
            let mut models = Vec::with_capacity(names.len());
            for name in names {
                models.push(model(&mut reader, &name).await?);
            }
            Ok(models)
        })
    }

    pub fn model<'a>(&'a self, name: &'a str) -> Answer<'a, RegisteredModel> {
        Box::pin(async move { model(&mut *self.metadata.read().await?, name).await })
    }

    /// The versions of a model that are not deleted, the newest first.
    pub fn versions<'a>(&'a self, model_name: &'a str) -> Answer<'a, Vec<ModelVersion>> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            let held = model(&mut reader, model_name).await?;
            let mut versions = Vec::new();
            for number in (1..=held.versions).rev() {
                versions.push(version(&mut reader, model_name, number).await?);
            }
            versions.retain(|version| version.lifecycle_stage == Lifecycle::Active);
            Ok(versions)
        })
    }

    /// Deleted or not: decisions it made are replayed with it.
    pub fn version<'a>(&'a self, model_name: &'a str, number: u64) -> Answer<'a, ModelVersion> {
        Box::pin(async move { version(&mut *self.metadata.read().await?, model_name, number).await })
    }
}

pub(super) async fn model(connection: &mut Connection, name: &str) -> Result<RegisteredModel, RegistryError> {
    let row = query(
        "SELECT m.*, (SELECT COALESCE(MAX(version), 0) FROM model_versions v WHERE v.model = m.name) AS versions \
         FROM registered_models m WHERE m.name = $1",
    )
    .bind(name)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        let names: Vec<String> = query_scalar("SELECT name FROM registered_models").fetch_all(&mut *connection).await?;
        return Err(RegistryError::no_such("registered model", name, names.iter().map(String::as_str)));
    };
    let tags = query("SELECT key, value FROM registered_model_tags WHERE model = $1")
        .bind(name)
        .fetch_all(&mut *connection)
        .await?;
    let aliases =
        query("SELECT alias, version FROM model_aliases WHERE model = $1").bind(name).fetch_all(connection).await?;
    Ok(RegisteredModel {
        name: stored::text(&row, "name")?,
        description: stored::text(&row, "description")?,
        approval: rule_of(&row)?,
        creation_time_ms: stored::int(&row, "creation_time_ms")?,
        last_update_time_ms: stored::int(&row, "last_update_time_ms")?,
        tags: stored::pairs(&tags)?,
        aliases: aliases
            .iter()
            .map(|row| Ok((stored::text(row, "alias")?, stored::count(row, "version")?)))
            .collect::<Result<_, MetadataError>>()?,
        versions: stored::count(&row, "versions")?,
    })
}

pub(super) async fn version(
    connection: &mut Connection,
    model_name: &str,
    number: u64,
) -> Result<ModelVersion, RegistryError> {
    let row = query("SELECT * FROM model_versions WHERE model = $1 AND version = $2")
        .bind(model_name)
        .bind(stored::signed(number))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        let held = model(connection, model_name).await?;
        return Err(RegistryError::NotFound(match held.versions {
            0 => format!("`{model_name}` has no versions yet: train it first"),
            newest => format!("`{model_name}` has no version {number}; its newest is {newest}"),
        }));
    };
    version_of(connection, &row).await
}

/// With its approvals, aliases and tags.
pub(crate) async fn version_of(connection: &mut Connection, row: &Row) -> Result<ModelVersion, RegistryError> {
    let (model, number) = (stored::text(row, "model")?, stored::count(row, "version")?);
    let approvals = query("SELECT * FROM approvals WHERE model = $1 AND version = $2 ORDER BY id")
        .bind(&model)
        .bind(stored::signed(number))
        .fetch_all(&mut *connection)
        .await?;
    let aliases: Vec<String> =
        query_scalar("SELECT alias FROM model_aliases WHERE model = $1 AND version = $2 ORDER BY alias")
            .bind(&model)
            .bind(stored::signed(number))
            .fetch_all(&mut *connection)
            .await?;
    let tags = query("SELECT key, value FROM model_version_tags WHERE model = $1 AND version = $2")
        .bind(&model)
        .bind(stored::signed(number))
        .fetch_all(connection)
        .await?;
    let approvals = approvals.iter().map(approval_of).collect::<Result<Vec<Approval>, RegistryError>>()?;
    Ok(ModelVersion {
        version: number,
        run_id: parsed(row, "run_id", RunId::parse)?,
        source_run_id: stored::text(row, "source_run_id")?,
        run_link: stored::text(row, "run_link")?,
        digest: parsed(row, "digest", Digest::parse)?,
        source: stored::text(row, "source")?,
        storage_location: stored::text(row, "storage_location")?,
        status: stored::word(row, "status", VersionStatus::parse)?,
        stage: stored::word(row, "stage", Stage::parse)?,
        lifecycle_stage: stored::word(row, "lifecycle_stage", Lifecycle::parse)?,
        description: stored::text(row, "description")?,
        definitions: stored::json(row, "definitions")?,
        gates: gates_of(row)?,
        standing: standing(&approvals),
        approvals,
        aliases,
        tags: stored::pairs(&tags)?,
        model,
        creation_time_ms: stored::int(row, "creation_time_ms")?,
        last_update_time_ms: stored::int(row, "last_update_time_ms")?,
    })
}

/// Four eyes stand in a column of their own.
fn rule_of(row: &Row) -> Result<ApprovalRule, RegistryError> {
    let rule = stored::word(row, "approval", ApprovalRule::parse)?;
    let four_eyes: bool = row.get("four_eyes")?;
    Ok(if rule == ApprovalRule::Required && four_eyes { ApprovalRule::FourEyes } else { rule })
}

/// The number of the version with this digest and these definitions.
pub(super) async fn by_content(connection: &mut Connection, new: &NewVersion) -> Result<Option<u64>, RegistryError> {
    let row = query("SELECT version FROM model_versions WHERE model = $1 AND digest = $2 AND definitions = $3")
        .bind(new.model.as_str())
        .bind(new.digest.as_str())
        .bind(new.definitions.to_string())
        .fetch_optional(connection)
        .await?;
    Ok(row.as_ref().map(|row| stored::count(row, "version")).transpose()?)
}

pub(super) fn approval_of(row: &Row) -> Result<Approval, RegistryError> {
    Ok(Approval {
        id: stored::int(row, "id")?,
        decision: stored::word(row, "decision", DecisionKind::parse)?,
        at: stored::instant(row, "at")?,
        actor: stored::text(row, "actor")?,
        why: stored::text(row, "why")?,
        gates: gates_of(row)?,
    })
}

fn gates_of(row: &Row) -> Result<Vec<GateResult>, RegistryError> {
    serde_json::from_value(stored::json(row, "gates")?)
        .map_err(|error| MetadataError::Corrupt(format!("a gates report: {error}")).into())
}

fn parsed<T>(row: &Row, column: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, RegistryError> {
    match stored::optional_text(row, column)? {
        None => Ok(None),
        Some(text) => match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(MetadataError::Corrupt(format!("column `{column}` is `{text}`")).into()),
        },
    }
}
