use std::collections::BTreeMap;

use karat_registry::{LoggedModel, LoggedModelSearch, LoggedModelStatus, NewLoggedModel};
use serde_json::{Map, Value as Json, json};

use super::error::{Code, MlflowError};
use super::experiments::{most, token};
use super::fields::Fields;
use super::{Answer, Tracking, names, validate, wire};

const MOST_PARAMS: usize = 100;
/// What a page has where nothing is said.
const USUAL: i64 = 100;

pub async fn create(tracking: Tracking, mut fields: Fields) -> Answer {
    let text = |name: &str| Ok::<_, MlflowError>(fields.text(name)?.unwrap_or_default().to_owned());
    let name = text("name")?;
    if let Some(bad) = name.chars().find(|character| "/:.%\"'".contains(*character)) {
        return Err(MlflowError::invalid(format!(
            "Invalid model name ({name}) provided. Model name must be a non-empty string and cannot contain the \
             following characters: ('/', ':', '.', '%', '\"', \"'\"); it contains {bad}"
        )));
    }
    let new = NewLoggedModel {
        experiment_id: validate::experiment_id(fields.required("experiment_id")?)?,
        name: if name.is_empty() { names::random() } else { name },
        model_type: text("model_type")?,
        source_run_id: text("source_run_id")?,
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    let new = NewLoggedModel { params: pairs(&mut fields, "params")?, tags: pairs(&mut fields, "tags")?, ..new };
    answer(&tracking.registry().create_logged_model(&new, tracking.now()).await?)
}

pub async fn get(tracking: Tracking, fields: Fields) -> Answer {
    let deleted_too = fields.text("allow_deleted").ok().flatten().is_some_and(|word| word.eq_ignore_ascii_case("true"));
    answer(&tracking.registry().logged_model(fields.required("model_id")?, deleted_too).await?)
}

pub async fn finalize(tracking: Tracking, fields: Fields) -> Answer {
    use LoggedModelStatus::*;
    let word = fields.text("status").ok().flatten().and_then(|word| word.strip_prefix("LOGGED_MODEL_"));
    let status = match (word.and_then(LoggedModelStatus::parse), fields.int("status")) {
        (Some(status), _) => status,
        (None, Ok(Some(number @ 1..=3))) => [Pending, Ready, UploadFailed][number as usize - 1],
        _ => return Err(MlflowError::invalid("Invalid value for parameter 'status' supplied: not a logged model's.")),
    };
    answer(&tracking.registry().finalize_logged_model(fields.required("model_id")?, status, tracking.now()).await?)
}

pub async fn delete(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().delete_logged_model(fields.required("model_id")?, tracking.now()).await?;
    Ok(json!({}))
}

pub async fn set_tags(tracking: Tracking, mut fields: Fields) -> Answer {
    let tags = pairs(&mut fields, "tags")?;
    tracking.registry().tag_logged_model(fields.required("model_id")?, &tags).await?;
    Ok(json!({}))
}

pub async fn delete_tag(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().untag_logged_model(fields.required("model_id")?, fields.required("tag_key")?).await?;
    Ok(json!({}))
}

pub async fn log_params(tracking: Tracking, mut fields: Fields) -> Answer {
    let params = pairs(&mut fields, "params")?;
    tracking.registry().log_model_params(fields.required("model_id")?, &params).await?;
    Ok(json!({}))
}

pub async fn search(tracking: Tracking, mut fields: Fields) -> Answer {
    let ids = fields.texts("experiment_ids")?;
    let mut order_by = Vec::new();
    for clause in fields.messages("order_by")? {
        let name = clause.required("field_name")?;
        if clause.text("dataset_name")?.is_some_and(|name| !name.is_empty()) {
            return Err(not_by_dataset());
        }
        let quoted = name.split_once('.').map_or(name.to_owned(), |(entity, key)| format!("{entity}.`{key}`"));
        order_by.push(format!("{quoted}{}", if clause.flag("ascending", true)? { "" } else { " DESC" }));
    }
    if !fields.messages("datasets")?.is_empty() {
        return Err(not_by_dataset());
    }
    let asked = LoggedModelSearch {
        experiment_ids: ids.iter().map(|id| validate::experiment_id(id)).collect::<Result<_, _>>()?,
        filter: fields.text("filter")?.unwrap_or_default().replace("'LOGGED_MODEL_", "'"),
        order_by,
        most: most(fields.int("max_results")?.filter(|most| *most != 0).unwrap_or(USUAL))?,
        page_token: token(&fields)?,
    };
    let page = tracking.registry().search_logged_models(&asked).await?;
    let mut answer = Map::new();
    wire::put(&mut answer, "models", page.items.iter().map(model).collect());
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.into());
    }
    Ok(Json::Object(answer))
}

fn not_by_dataset() -> MlflowError {
    MlflowError::new(
        Code::NotImplemented,
        "logged models are not searched by data set here: filter by metrics, params or tags",
    )
}

fn pairs(fields: &mut Fields, name: &str) -> Result<BTreeMap<String, String>, MlflowError> {
    let each = fields.messages(name)?;
    if each.len() > MOST_PARAMS && name == "params" {
        return Err(MlflowError::invalid(format!("at most {MOST_PARAMS} params can be logged at once")));
    }
    let mut pairs = BTreeMap::new();
    for pair in each {
        let (key, value) = (pair.required("key")?, pair.text("value")?.unwrap_or_default());
        let value = match name {
            "params" => validate::param(key, value, &pair.path(""))?,
            _ => validate::tag(key, value, &pair.path(""))?,
        };
        pairs.insert(key.to_owned(), value);
    }
    Ok(pairs)
}

fn answer(found: &LoggedModel) -> Answer {
    Ok(json!({"model": model(found)}))
}

fn model(model: &LoggedModel) -> Json {
    let mut info = Map::from_iter([
        ("model_id".to_owned(), Json::from(model.model_id.as_str())),
        ("experiment_id".to_owned(), model.experiment_id.to_string().into()),
        ("name".to_owned(), model.name.as_str().into()),
        ("artifact_uri".to_owned(), model.artifact_location.as_str().into()),
        ("creation_timestamp_ms".to_owned(), model.creation_time_ms.into()),
        ("last_updated_timestamp_ms".to_owned(), model.last_update_time_ms.into()),
        ("model_type".to_owned(), model.model_type.as_str().into()),
        ("source_run_id".to_owned(), model.source_run_id.as_str().into()),
        ("status".to_owned(), format!("LOGGED_MODEL_{}", model.status.as_str()).into()),
    ]);
    wire::put(&mut info, "tags", wire::pairs(&model.tags));
    let mut data = Map::new();
    wire::put(&mut data, "params", wire::pairs(&model.params));
    let metrics = model.metrics.iter().map(|one| {
        let mut fields = json!(wire::MetricMessage::of_run(&one.run_id, &one.metric));
        fields["model_id"] = one.model_id.as_str().into();
        for (name, text) in [("dataset_name", &one.dataset_name), ("dataset_digest", &one.dataset_digest)] {
            if !text.is_empty() {
                fields[name] = text.as_str().into();
            }
        }
        fields
    });
    wire::put(&mut data, "metrics", metrics.collect());
    json!({"info": info, "data": data})
}
