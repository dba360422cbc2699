use karat_registry::{ExperimentSearch, Lifecycle, NewExperiment, View};
use serde_json::{Map, Value as Json, json};

use super::error::{Code, MlflowError};
use super::fields::Fields;
use super::{Answer, Tracking, paths, validate, wire};

pub async fn create(tracking: Tracking, mut fields: Fields) -> Answer {
    let name = fields.required("name")?.to_owned();
    let location = fields.text("artifact_location")?.filter(|location| !location.is_empty()).map(str::to_owned);
    validate::experiment_name(&name)?;
    if let Some(location) = &location {
        paths::location(location)?;
    }
    let mut new = NewExperiment { name, artifact_location: location, tags: Default::default() };
    for tag in fields.messages("tags")? {
        let (key, value) = (tag.required("key")?, tag.text("value")?.unwrap_or_default());
        validate::experiment_tag(key, value)?;
        new.tags.insert(key.to_owned(), value.to_owned());
    }
    let id = tracking.registry().create_experiment(&new, tracking.now()).await?;
    Ok(json!({"experiment_id": id.to_string()}))
}

pub async fn get(tracking: Tracking, fields: Fields) -> Answer {
    let experiment = tracking.registry().experiment_by_id(id(&fields)?).await?;
    Ok(json!({"experiment": wire::experiment(&experiment)}))
}

pub async fn get_by_name(tracking: Tracking, fields: Fields) -> Answer {
    let name = fields.required("experiment_name")?;
    match tracking.registry().find_experiment(name).await? {
        Some(experiment) => Ok(json!({"experiment": wire::experiment(&experiment)})),
        None => {
            Err(MlflowError::new(Code::ResourceDoesNotExist, format!("Could not find experiment with name '{name}'")))
        }
    }
}

pub async fn search(tracking: Tracking, fields: Fields) -> Answer {
    let asked = ExperimentSearch {
        view: view(&fields, "view_type")?,
        most: most(fields.int("max_results")?.unwrap_or_default())?,
        order_by: fields.texts("order_by")?,
        filter: fields.text("filter")?.unwrap_or_default().to_owned(),
        page_token: token(&fields)?,
    };
    let page = tracking.registry().search_experiments(&asked).await?;
    let mut answer = Map::new();
    wire::put(&mut answer, "experiments", page.items.iter().map(wire::experiment).collect());
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.into());
    }
    Ok(Json::Object(answer))
}

pub async fn update(tracking: Tracking, fields: Fields) -> Answer {
    let (id, name) = (id(&fields)?, fields.required("new_name")?);
    validate::experiment_name(name)?;
    tracking.registry().rename_experiment(id, name, tracking.now()).await?;
    Ok(json!({}))
}

pub async fn delete(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().move_experiment(id(&fields)?, Lifecycle::Deleted, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn restore(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().move_experiment(id(&fields)?, Lifecycle::Active, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn set_tag(tracking: Tracking, fields: Fields) -> Answer {
    let (id, key) = (id(&fields)?, fields.required("key")?);
    let value = fields.text("value")?.unwrap_or_default();
    validate::experiment_tag(key, value)?;
    tracking.registry().set_experiment_tag(id, key, value).await?;
    Ok(json!({}))
}

pub async fn delete_tag(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().delete_experiment_tag(id(&fields)?, fields.required("key")?).await?;
    Ok(json!({}))
}

fn id(fields: &Fields) -> Result<i64, MlflowError> {
    validate::experiment_id(fields.required("experiment_id")?)
}

/// Protobuf's enum, by word or number; words it does not know say nothing.
pub fn view(fields: &Fields, name: &str) -> Result<View, MlflowError> {
    if let Ok(Some(number)) = fields.int(name) {
        return Ok(match number {
            2 => View::Deleted,
            3 => View::All,
            _ => View::Active,
        });
    }
    Ok(match fields.text(name)? {
        Some("DELETED_ONLY") => View::Deleted,
        Some("ALL") => View::All,
        _ => View::Active,
    })
}

/// As many as one page may have.
pub fn most(asked: i64) -> Result<u32, MlflowError> {
    let wrong = |why: String| {
        Err(MlflowError::invalid(format!(
            "Invalid value {asked} for parameter 'max_results' supplied. It must be {why}"
        )))
    };
    match u32::try_from(asked) {
        Ok(most) if most > 0 && asked <= validate::MOST_RUNS => Ok(most),
        Ok(1..) => wrong(format!("at most {}", validate::MOST_RUNS)),
        _ if asked > 0 => wrong(format!("at most {}", validate::MOST_RUNS)),
        _ => wrong("a positive integer".to_owned()),
    }
}

pub fn token(fields: &Fields) -> Result<Option<String>, MlflowError> {
    Ok(fields.text("page_token")?.filter(|token| !token.is_empty()).map(str::to_owned))
}
