use karat_registry::{ModelVersion, Stage, VersionDraft};
use serde_json::{Map, Value as Json, json};

use super::fields::Fields;
use super::registered_models::{asked, no_prompt, tags};
use super::sources::{self, Claim};
use super::{Answer, MlflowError, Tracking, validate, wire};

const MOST: i64 = 200_000;
/// What a page has where nothing is said.
const USUAL: i64 = 10_000;
/// The tag of a logged model that names the versions it became.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

pub async fn create(tracking: Tracking, mut fields: Fields) -> Answer {
    let (model, source) = (fields.required("name")?.to_owned(), fields.required("source")?.to_owned());
    let claim = Claim {
        run_id: fields.text("run_id")?.map(str::to_owned),
        model_id: fields.text("model_id")?.map(str::to_owned),
    };
    let run_link = fields.text("run_link")?.unwrap_or_default().to_owned();
    let description = fields.text("description")?.unwrap_or_default().to_owned();
    let tags = tags(&mut fields)?;
    no_prompt(&tags)?;
    let found = sources::resolve(&tracking, &source, claim).await?;
    validate::model_name(&model)?;
    for (key, value) in &tags {
        validate::model_tag(key, value)?;
    }
    let draft = VersionDraft {
        model,
        description,
        source: found.source,
        storage_location: found.storage_location,
        run_id: found.run_id,
        run_link,
        tags,
    };
    let made = tracking.registry().create_version(&draft, tracking.caller(), tracking.now()).await?;
    if !found.model_id.is_empty() {
        became(&tracking, &found.model_id, &made).await?;
    }
    answer(&made)
}

/// A logged model says which versions it became.
async fn became(tracking: &Tracking, model_id: &str, made: &ModelVersion) -> Result<(), MlflowError> {
    let logged = tracking.registry().logged_model(model_id, false).await?;
    let before = logged.tags.get(VERSIONS_TAG).and_then(|tag| serde_json::from_str::<Vec<Json>>(tag).ok());
    let mut versions = before.unwrap_or_default();
    versions.push(json!({"name": made.model, "version": made.version}));
    let tags = [(VERSIONS_TAG.to_owned(), Json::Array(versions).to_string())].into();
    Ok(tracking.registry().tag_logged_model(model_id, &tags).await?)
}

pub async fn get(tracking: Tracking, fields: Fields) -> Answer {
    let (model, number) = named(&fields)?;
    answer(&tracking.registry().active_version(model, number).await?)
}

pub async fn update(tracking: Tracking, fields: Fields) -> Answer {
    let version = named(&fields)?;
    let description = fields.text("description")?.unwrap_or_default();
    let registry = tracking.registry();
    answer(&registry.describe_version(version, description, tracking.caller(), tracking.now()).await?)
}

pub async fn move_stage(tracking: Tracking, fields: Fields) -> Answer {
    let (version, archive) = (named(&fields)?, fields.flag("archive_existing_versions", false)?);
    let word = fields.required("stage")?;
    let stage = validate::stage(word)?;
    if archive && !matches!(stage, Stage::Staging | Stage::Production) {
        return Err(MlflowError::invalid(format!(
            "Model version transition cannot archive existing model versions because '{word}' is not an Active stage. \
             Valid stages are ['Staging', 'Production']"
        )));
    }
    answer(&tracking.registry().move_stage(version, stage, archive, tracking.caller(), tracking.now()).await?)
}

pub async fn delete(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().delete_version(named(&fields)?, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn download_uri(tracking: Tracking, fields: Fields) -> Answer {
    let (model, number) = named(&fields)?;
    let found = tracking.registry().active_version(model, number).await?;
    Ok(json!({"artifact_uri": location(&found)}))
}

pub async fn search(tracking: Tracking, fields: Fields) -> Answer {
    let page = tracking.registry().search_versions(&asked(&fields, USUAL, MOST)?).await?;
    let mut answer = Map::new();
    let versions = page.items.iter().map(|found| {
        let mut found = version(found);
        // As MLflow answers it.
        found.as_object_mut().map(|fields| fields.remove("aliases"));
        found
    });
    wire::put(&mut answer, "model_versions", versions.collect());
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.into());
    }
    Ok(Json::Object(answer))
}

pub async fn set_tag(tracking: Tracking, fields: Fields) -> Answer {
    let version = named(&fields)?;
    let (key, value) = (fields.required("key")?, fields.text("value")?.unwrap_or_default());
    validate::model_tag(key, value)?;
    tracking.registry().tag_version(version, (key, value), tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn delete_tag(tracking: Tracking, fields: Fields) -> Answer {
    let (version, key) = (named(&fields)?, fields.required("key")?);
    validate::tag_name(key)?;
    tracking.registry().untag_version(version, key, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

fn named(fields: &Fields) -> Result<(&str, u64), MlflowError> {
    let (name, version) = (fields.required("name")?, fields.required("version")?);
    validate::model_name(name)?;
    Ok((name, validate::version(name, version)?))
}

fn answer(found: &ModelVersion) -> Answer {
    Ok(json!({"model_version": version(found)}))
}

pub fn version(version: &ModelVersion) -> Json {
    let run_id = version.run_id.as_ref().map_or(version.source_run_id.as_str(), |run_id| run_id.as_str());
    let mut fields = Map::from_iter([
        ("name".to_owned(), Json::from(version.model.as_str())),
        ("version".to_owned(), version.version.to_string().into()),
        ("creation_timestamp".to_owned(), version.creation_time_ms.into()),
        ("last_updated_timestamp".to_owned(), version.last_update_time_ms.into()),
        ("current_stage".to_owned(), version.stage.as_str().into()),
        ("description".to_owned(), version.description.as_str().into()),
        ("source".to_owned(), version.source_uri().into()),
        ("run_id".to_owned(), run_id.into()),
        ("run_link".to_owned(), version.run_link.as_str().into()),
        ("status".to_owned(), version.status.as_str().into()),
    ]);
    wire::put(&mut fields, "tags", wire::pairs(&version.tags));
    wire::put(&mut fields, "aliases", version.aliases.iter().map(|alias| alias.as_str().into()).collect());
    Json::Object(fields)
}

/// Where its files are.
pub fn location(version: &ModelVersion) -> String {
    match version.storage_location.is_empty() {
        true => version.source_uri(),
        false => version.storage_location.clone(),
    }
}
