//! Registered models of another server, beside those that Karat trains and never over them.

use std::collections::BTreeMap;

use karat_core::Instant;
use karat_metadata::{MetadataError, WriteTx, generations, query, query_scalar, stored};

use super::{Counts, ImportModel, ImportVersion, LeftOut, Noun};
use crate::models::{trained_here, version_of, write_model_tags, write_version_tags};
use crate::{Answer, ApprovalRule, GENERATION, Lifecycle, ModelVersion, Registry, RegistryError, Stage, VersionStatus};

/// What became of a model: what is here of it now, what of that is new, and what is not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportedModel {
    pub here: Counts,
    pub new: Counts,
    pub left_out: Vec<LeftOut>,
}

/// Who moves the aliases, and in what words.
#[derive(Debug, Clone, Copy)]
pub struct ImportedBy<'a> {
    pub actor: &'a str,
    pub why: &'a str,
    pub now: Instant,
}

/// The tag of what is a prompt, which MLflow keeps among the models.
const PROMPT: &str = "mlflow.prompt.is_prompt";

impl Registry {
    /// Writes what is not here of a model, in one transaction. A model that Karat trains stays as it is, and so does one with
    /// other versions under the same numbers.
    pub fn import_model<'a>(&'a self, theirs: &'a ImportModel, by: ImportedBy<'a>) -> Answer<'a, ImportedModel> {
        Box::pin(async move {
            if theirs.tags.get(PROMPT).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                return Ok(whole_left(theirs, "it is a prompt, and Karat keeps none"));
            }
            let mut tx = self.metadata.begin().await?;
            if governed(&mut tx, &theirs.name).await? {
                return Ok(whole_left(theirs, "Karat trains a model of this name here"));
            }
            let ours = versions_here(&mut tx, &theirs.name).await?;
            if let Some(version) =
                theirs.versions.iter().find(|version| is_another(version, ours.get(&version.version)))
            {
                let why = format!("its version {} is another one here, and stays as it is here", version.version);
                return Ok(whole_left(theirs, &why));
            }
            let mut imported = ImportedModel::default();
            write_model(&mut tx, theirs, &mut imported).await?;
            for version in &theirs.versions {
                let label = format!("{}/{}", theirs.name, version.version);
                if VersionStatus::parse(&version.status).is_none() {
                    let why = format!("its registration ended as {}", version.status);
                    imported.left_out.push(LeftOut { what: label, why, counts: version.counts() });
                } else if !ours.contains_key(&version.version) {
                    write_version(&mut tx, &theirs.name, version).await?;
                    imported.new += &version.counts();
                }
            }
            write_aliases(&mut tx, theirs, by, &mut imported).await?;
            if !imported.new.is_empty() {
                generations::bump(&mut tx, GENERATION).await?;
            }
            let left: Counts = imported.left_out.iter().fold(Counts::default(), |mut all, one| {
                all += &one.counts;
                all
            });
            imported.here = here(&mut tx, theirs, &left).await?;
            tx.commit().await?;
            Ok::<_, RegistryError>(imported)
        })
    }
}

/// Of all that there is to say of a model.
fn whole_left(theirs: &ImportModel, why: &str) -> ImportedModel {
    let mut counts = theirs.counts();
    counts.add(Noun::Aliases, theirs.aliases.len() as u64);
    for version in &theirs.versions {
        counts += &version.counts();
    }
    let left = LeftOut { what: format!("registered model {}", theirs.name), why: why.to_owned(), counts };
    ImportedModel { left_out: vec![left], ..ImportedModel::default() }
}

async fn governed(tx: &mut WriteTx, name: &str) -> Result<bool, RegistryError> {
    let rule: Option<String> =
        query_scalar("SELECT approval FROM registered_models WHERE name = $1").bind(name).fetch_optional(tx).await?;
    Ok(rule.is_some_and(|rule| rule == ApprovalRule::Required.as_str()) || trained_here(tx, name).await?)
}

async fn versions_here(tx: &mut WriteTx, name: &str) -> Result<BTreeMap<u64, ModelVersion>, RegistryError> {
    let rows = query("SELECT * FROM model_versions WHERE model = $1").bind(name).fetch_all(tx).await?;
    let mut versions = BTreeMap::new();
    for row in &rows {
        let version = version_of(tx, row).await?;
        versions.insert(version.version, version);
    }
    Ok(versions)
}

/// Whether what is here under the number came from elsewhere, or was changed.
fn is_another(theirs: &ImportVersion, ours: Option<&ModelVersion>) -> bool {
    let Some(ours) = ours else { return false };
    let run = ours.run_id.as_ref().map_or(ours.source_run_id.as_str(), |run| run.as_str());
    let stage = if theirs.deleted { Stage::None } else { theirs.stage };
    ours.description != theirs.description
        || ours.source != theirs.source
        || ours.storage_location != theirs.storage_location
        || run != theirs.run_id
        || ours.run_link != theirs.run_link
        || ours.stage != stage
        || (ours.lifecycle_stage == Lifecycle::Deleted) != theirs.deleted
        || ours.tags != theirs.tags
        || ours.creation_time_ms != theirs.creation_time_ms
}

async fn write_model(
    tx: &mut WriteTx,
    theirs: &ImportModel,
    imported: &mut ImportedModel,
) -> Result<(), RegistryError> {
    let ours = query("SELECT description FROM registered_models WHERE name = $1")
        .bind(&theirs.name)
        .fetch_optional(tx)
        .await?;
    let Some(ours) = ours else {
        query(
            "INSERT INTO registered_models (name, description, approval, creation_time_ms, last_update_time_ms) \
             VALUES ($1, $2, 'not_required', $3, $4)",
        )
        .bind(&theirs.name)
        .bind(&theirs.description)
        .bind(theirs.creation_time_ms)
        .bind(theirs.last_update_time_ms)
        .execute(tx)
        .await?;
        write_model_tags(tx, &theirs.name, &theirs.tags).await?;
        imported.new += &theirs.counts();
        return Ok(());
    };
    let tags =
        query("SELECT key, value FROM registered_model_tags WHERE model = $1").bind(&theirs.name).fetch_all(tx).await?;
    let tags: BTreeMap<String, String> =
        tags.iter().map(|tag| Ok((tag.get("key")?, tag.get("value")?))).collect::<Result<_, MetadataError>>()?;
    if stored::text(&ours, "description")? != theirs.description || tags != theirs.tags {
        let why = "it is here already with another description or other tags, and stays as it is here".to_owned();
        let what = format!("registered model {}", theirs.name);
        imported.left_out.push(LeftOut { what, why, counts: theirs.counts() });
    }
    Ok(())
}

async fn write_version(tx: &mut WriteTx, model: &str, version: &ImportVersion) -> Result<(), RegistryError> {
    let stage = if version.deleted { Stage::None } else { version.stage };
    let lifecycle = if version.deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    query(
        "INSERT INTO model_versions (model, version, run_id, source_run_id, run_link, source, storage_location, status, \
         stage, lifecycle_stage, description, definitions, gates, creation_time_ms, last_update_time_ms) \
         VALUES ($1, $2, (SELECT run_id FROM runs WHERE run_id = $3), $3, $4, $5, $6, $7, $8, $9, $10, 'null', '[]', \
         $11, $12)",
    )
    .bind(model)
    .bind(stored::signed(version.version))
    .bind(&version.run_id)
    .bind(&version.run_link)
    .bind(&version.source)
    .bind(&version.storage_location)
    .bind(&version.status)
    .bind(stage.as_str())
    .bind(lifecycle.as_str())
    .bind(&version.description)
    .bind(version.creation_time_ms)
    .bind(version.last_update_time_ms)
    .execute(tx)
    .await?;
    write_version_tags(tx, (model, version.version), &version.tags).await
}

/// An alias that is here stays where it points.
async fn write_aliases(
    tx: &mut WriteTx,
    theirs: &ImportModel,
    by: ImportedBy<'_>,
    imported: &mut ImportedModel,
) -> Result<(), RegistryError> {
    let ours = versions_here(tx, &theirs.name).await?;
    let held: BTreeMap<&str, u64> =
        ours.values().flat_map(|one| one.aliases.iter().map(|alias| (alias.as_str(), one.version))).collect();
    for (alias, version) in &theirs.aliases {
        let left = |why: String| LeftOut {
            what: format!("alias {}@{alias}", theirs.name),
            why,
            counts: Counts::of([(Noun::Aliases, 1)]),
        };
        match held.get(alias.as_str()) {
            Some(here) if here == version => {}
            Some(here) => {
                imported.left_out.push(left(format!("it points at version {here} here, and stays as it is here")));
            }
            None if !ours.contains_key(version) => {
                imported.left_out.push(left(format!("version {version}, which it points at, is not here")));
            }
            None => {
                point(tx, (&theirs.name, alias, *version), by).await?;
                imported.new.add(Noun::Aliases, 1);
            }
        }
    }
    Ok(())
}

/// The alias, and the move in its history.
async fn point(
    tx: &mut WriteTx,
    (model, alias, version): (&str, &str, u64),
    by: ImportedBy<'_>,
) -> Result<(), RegistryError> {
    query("INSERT INTO model_aliases (model, alias, version) VALUES ($1, $2, $3)")
        .bind(model)
        .bind(alias)
        .bind(stored::signed(version))
        .execute(tx)
        .await?;
    query(
        "INSERT INTO alias_moves (id, model, alias, action, version, at, actor, why) \
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM alias_moves), $1, $2, 'set', $3, $4, $5, $6)",
    )
    .bind(model)
    .bind(alias)
    .bind(stored::signed(version))
    .bind(by.now.micros())
    .bind(by.actor)
    .bind(by.why)
    .execute(tx)
    .await?;
    Ok(())
}

/// Counts what is here of what is there, without what was left out.
async fn here(tx: &mut WriteTx, theirs: &ImportModel, left: &Counts) -> Result<Counts, RegistryError> {
    let ours = versions_here(tx, &theirs.name).await?;
    let versions: Vec<&ModelVersion> =
        theirs.versions.iter().filter_map(|version| ours.get(&version.version)).collect();
    let aliases = theirs.aliases.iter().filter(|(alias, version)| {
        ours.get(version).is_some_and(|version| version.aliases.iter().any(|held| held == *alias))
    });
    let mut counts = Counts::of([
        (Noun::Versions, versions.len()),
        (Noun::VersionTags, versions.iter().map(|version| version.tags.len()).sum()),
        (Noun::Aliases, aliases.count()),
    ]);
    // A model that is here with other tags was left out as a whole.
    if left.get(Noun::RegisteredModels) == 0 {
        let tags: i64 = query_scalar("SELECT COUNT(*) FROM registered_model_tags WHERE model = $1")
            .bind(&theirs.name)
            .fetch_one(tx)
            .await?;
        counts += &Counts::of([(Noun::RegisteredModels, 1)]);
        counts.add(Noun::RegisteredModelTags, tags.unsigned_abs());
    }
    Ok(counts)
}
