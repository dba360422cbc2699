use std::collections::BTreeMap;

use karat_registry::{AliasChange, ModelSearch, ModelVersion, NewModel, RegisteredModel, Stage};
use serde_json::{Map, Value as Json, json};

use super::error::{Code, MlflowError};
use super::experiments::token;
use super::fields::Fields;
use super::{Answer, Tracking, model_versions, validate, wire};

/// The tag by which MLflow tells prompts from models.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
const MOST: i64 = 1_000;
/// What a page has where nothing is said.
const USUAL: i64 = 100;
/// Why an alias moved, where a client has no words for it.
const WHY: &str = "through MLflow's API";

pub async fn create(tracking: Tracking, mut fields: Fields) -> Answer {
    let name = fields.required("name")?.to_owned();
    let description = fields.text("description")?.unwrap_or_default().to_owned();
    let tags = tags(&mut fields)?;
    no_prompt(&tags)?;
    validate::model_name(&name)?;
    for (key, value) in &tags {
        validate::model_tag(key, value)?;
    }
    let new = NewModel { name, description, tags };
    let made = tracking.registry().create_model(&new, tracking.caller(), tracking.now()).await?;
    answer(&made, &[])
}

pub async fn get(tracking: Tracking, fields: Fields) -> Answer {
    described(&tracking, name(&fields)?).await
}

pub async fn update(tracking: Tracking, fields: Fields) -> Answer {
    let (name, description) = (name(&fields)?, fields.text("description")?.unwrap_or_default());
    tracking.registry().describe_model(name, description, tracking.caller(), tracking.now()).await?;
    described(&tracking, name).await
}

pub async fn rename(tracking: Tracking, fields: Fields) -> Answer {
    let (name, new_name) = (name(&fields)?, fields.required("new_name")?);
    if new_name.trim().is_empty() {
        return Err(MlflowError::invalid("Missing value for required parameter 'new_name'."));
    }
    validate::model_name(new_name)?;
    tracking.registry().rename_model(name, new_name, tracking.caller(), tracking.now()).await?;
    described(&tracking, new_name).await
}

pub async fn delete(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().delete_model(name(&fields)?, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn search(tracking: Tracking, fields: Fields) -> Answer {
    let page = tracking.registry().search_models(&asked(&fields, USUAL, MOST)?).await?;
    let mut answer = Map::new();
    let models = page.items.iter().map(|(found, latest)| model(found, latest));
    wire::put(&mut answer, "registered_models", models.collect());
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.into());
    }
    Ok(Json::Object(answer))
}

/// The newest version of each stage, or of those that are named.
pub async fn latest(tracking: Tracking, fields: Fields) -> Answer {
    let stages = fields.texts("stages")?;
    let stages = stages.iter().map(|stage| validate::stage(stage)).collect::<Result<Vec<Stage>, _>>()?;
    let (_, latest) = tracking.registry().model_with_latest(name(&fields)?).await?;
    let wanted = latest.iter().filter(|version| stages.is_empty() || stages.contains(&version.stage));
    let mut answer = Map::new();
    wire::put(&mut answer, "model_versions", wanted.map(model_versions::version).collect());
    Ok(Json::Object(answer))
}

pub async fn set_tag(tracking: Tracking, fields: Fields) -> Answer {
    let (name, key) = (fields.required("name")?, fields.required("key")?);
    let value = fields.text("value")?.unwrap_or_default();
    validate::model_name(name)?;
    validate::model_tag(key, value)?;
    no_prompt(&BTreeMap::from([(key.to_owned(), value.to_owned())]))?;
    tracking.registry().tag_model(name, (key, value), tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn delete_tag(tracking: Tracking, fields: Fields) -> Answer {
    let (name, key) = (name(&fields)?, fields.required("key")?);
    validate::tag_name(key)?;
    tracking.registry().untag_model(name, key, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn set_alias(tracking: Tracking, fields: Fields) -> Answer {
    let (name, alias) = (fields.required("name")?, fields.required("alias")?);
    let version = fields.required("version")?;
    validate::model_name(name)?;
    validate::alias(alias)?;
    validate::alias_not_reserved(alias)?;
    let number = validate::version(name, version)?;
    // So that what is missing is told in MLflow's words.
    tracking.registry().active_version(name, number).await?;
    let change = AliasChange { model: name, alias, who: tracking.caller(), why: WHY };
    tracking.registry().set_alias(change, number, tracking.now()).await?;
    Ok(json!({}))
}

/// An alias that is not there is none to take away.
pub async fn delete_alias(tracking: Tracking, fields: Fields) -> Answer {
    let (name, alias) = (name(&fields)?, fields.required("alias")?);
    validate::alias(alias)?;
    let (model, _) = tracking.registry().model_with_latest(name).await?;
    if model.aliases.contains_key(alias) {
        let change = AliasChange { model: name, alias, who: tracking.caller(), why: WHY };
        tracking.registry().delete_alias(change, tracking.now()).await?;
    }
    Ok(json!({}))
}

pub async fn by_alias(tracking: Tracking, fields: Fields) -> Answer {
    let (name, alias) = (name(&fields)?, fields.required("alias")?);
    validate::alias(alias)?;
    let found = version_by_alias(&tracking, name, alias).await?;
    Ok(json!({"model_version": model_versions::version(&found)}))
}

/// `latest` is the newest version of all.
pub async fn version_by_alias(tracking: &Tracking, name: &str, alias: &str) -> Result<ModelVersion, MlflowError> {
    let (model, latest) = tracking.registry().model_with_latest(name).await?;
    if alias.eq_ignore_ascii_case("latest") {
        let missing =
            || MlflowError::new(Code::ResourceDoesNotExist, format!("Latest version not found for model {name}."));
        return latest.into_iter().max_by_key(|version| version.version).ok_or_else(missing);
    }
    match model.aliases.get(alias) {
        Some(number) => Ok(tracking.registry().active_version(name, *number).await?),
        None => Err(MlflowError::invalid(format!("Registered model alias {alias} not found."))),
    }
}

/// A page of models or versions, as asked for.
pub fn asked(fields: &Fields, usual: i64, most: i64) -> Result<ModelSearch, MlflowError> {
    let results = fields.int("max_results")?.unwrap_or(usual);
    if results > most {
        return Err(fields.refused("max_results"));
    }
    let positive = u32::try_from(results).ok().filter(|results| *results > 0);
    let wrong = || {
        MlflowError::invalid(format!("Invalid value for max_results. It must be a positive integer, but got {results}"))
    };
    Ok(ModelSearch {
        filter: fields.text("filter")?.unwrap_or_default().to_owned(),
        order_by: fields.texts("order_by")?,
        most: positive.ok_or_else(wrong)?,
        page_token: token(fields)?,
    })
}

pub fn tags(fields: &mut Fields) -> Result<BTreeMap<String, String>, MlflowError> {
    let each = fields.messages("tags")?;
    let pair = |tag: &Fields| {
        Ok((tag.text("key")?.unwrap_or_default().to_owned(), tag.text("value")?.unwrap_or_default().to_owned()))
    };
    each.iter().map(pair).collect()
}

pub fn no_prompt(tags: &BTreeMap<String, String>) -> Result<(), MlflowError> {
    match tags.get(PROMPT_TAG).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        true => Err(MlflowError::new(Code::NotImplemented, "prompts are not kept here: models are")),
        false => Ok(()),
    }
}

fn name(fields: &Fields) -> Result<&str, MlflowError> {
    let name = fields.required("name")?;
    validate::model_name(name)?;
    Ok(name)
}

async fn described(tracking: &Tracking, name: &str) -> Answer {
    let (model, latest) = tracking.registry().model_with_latest(name).await?;
    answer(&model, &latest)
}

fn answer(found: &RegisteredModel, latest: &[ModelVersion]) -> Answer {
    Ok(json!({"registered_model": model(found, latest)}))
}

fn model(model: &RegisteredModel, latest: &[ModelVersion]) -> Json {
    let mut fields = Map::from_iter([
        ("name".to_owned(), Json::from(model.name.as_str())),
        ("creation_timestamp".to_owned(), model.creation_time_ms.into()),
        ("last_updated_timestamp".to_owned(), model.last_update_time_ms.into()),
    ]);
    if !model.description.is_empty() {
        fields.insert("description".to_owned(), model.description.as_str().into());
    }
    // Their aliases stand beside them.
    let latest = latest.iter().map(|one| {
        let mut version = model_versions::version(one);
        version.as_object_mut().map(|fields| fields.remove("aliases"));
        version
    });
    wire::put(&mut fields, "latest_versions", latest.collect());
    wire::put(&mut fields, "tags", wire::pairs(&model.tags));
    let aliases = model.aliases.iter();
    let aliases = aliases.map(|(alias, version)| json!({"alias": alias, "version": version.to_string()}));
    wire::put(&mut fields, "aliases", aliases.collect());
    Json::Object(fields)
}
