use karat_registry::{Batch, DatasetInput, Lifecycle, NewRun, RunModel, RunSearch, RunStatus, RunUpdate};
use serde_json::{Value as Json, json};

use super::error::MlflowError;
use super::experiments::{most, token, view};
use super::fields::Fields;
use super::{Answer, Tracking, names, validate, wire};

const NAME_TAG: &str = "mlflow.runName";
/// The tag in which clients before 3 keep the models of a run.
const MODELS_TAG: &str = "mlflow.log-model.history";

pub async fn create(tracking: Tracking, mut fields: Fields) -> Answer {
    let experiment = fields.text("experiment_id")?.filter(|id| !id.is_empty()).unwrap_or("0");
    let experiment_id = validate::experiment_id(experiment)?;
    let name = fields.text("run_name")?.unwrap_or_default().to_owned();
    let user = fields.text("user_id")?.unwrap_or_default().to_owned();
    let start_time_ms = fields.int("start_time")?.unwrap_or_default();
    let mut new = NewRun { experiment_id, name, user, start_time_ms, tags: Default::default() };
    for tag in fields.messages("tags")? {
        let (key, value) = (tag.required("key")?, tag.text("value")?.unwrap_or_default());
        let value = validate::tag(key, value, &tag.path(""))?;
        new.tags.insert(key.to_owned(), value);
    }
    let tagged = new.tags.get(NAME_TAG).cloned().unwrap_or_default();
    if !new.name.is_empty() && !tagged.is_empty() && new.name != tagged {
        return Err(MlflowError::invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
             (run_name='{}', mlflow.runName='{tagged}').",
            new.name
        )));
    }
    let name = [std::mem::take(&mut new.name), tagged].into_iter().find(|name| !name.is_empty());
    new.name = name.unwrap_or_else(names::random);
    let run = tracking.registry().create_run(&new).await?;
    Ok(json!({"run": wire::RunMessage::from(&run)}))
}

pub async fn get(tracking: Tracking, fields: Fields) -> Answer {
    let run = tracking.registry().run_by_id(fields.run_id()?).await?;
    Ok(json!({"run": wire::RunMessage::from(&run)}))
}

pub async fn search(tracking: Tracking, fields: Fields) -> Result<wire::Runs, MlflowError> {
    let results = fields.int("max_results")?.unwrap_or(1_000);
    if results > validate::MOST_RUNS {
        return Err(fields.refused("max_results"));
    }
    let ids = fields.texts("experiment_ids")?;
    let asked = RunSearch {
        experiment_ids: ids.iter().map(|id| validate::experiment_id(id)).collect::<Result<_, _>>()?,
        filter: fields.text("filter")?.unwrap_or_default().to_owned(),
        order_by: fields.texts("order_by")?,
        view: view(&fields, "run_view_type")?,
        most: most(results)?,
        page_token: token(&fields)?,
    };
    let page = tracking.registry().find_runs(&asked).await?;
    let runs = tracking.messages().of(tracking.registry(), &page.items).await?;
    Ok(wire::Runs { runs, next_page_token: page.next })
}

pub async fn update(tracking: Tracking, fields: Fields) -> Answer {
    let update = RunUpdate {
        status: status(&fields)?,
        end_time_ms: fields.int("end_time")?,
        name: fields.text("run_name")?.filter(|name| !name.is_empty()).map(str::to_owned),
    };
    let run = tracking.registry().update_run(fields.run_id()?, &update).await?;
    Ok(json!({"run_info": wire::RunInfo::from(&run)}))
}

/// Protobuf's enum, by word or number; words it does not know say nothing.
fn status(fields: &Fields) -> Result<Option<RunStatus>, MlflowError> {
    use RunStatus::*;
    if let Ok(Some(number)) = fields.int("status") {
        let known = [Running, Scheduled, Finished, Failed, Killed];
        return Ok(usize::try_from(number - 1).ok().and_then(|number| known.get(number).copied()));
    }
    Ok(fields.text("status")?.and_then(RunStatus::parse))
}

pub async fn delete(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().move_run(fields.run_id()?, Lifecycle::Deleted, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn restore(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().move_run(fields.run_id()?, Lifecycle::Active, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn log_param(tracking: Tracking, fields: Fields) -> Answer {
    let (run_id, key) = (fields.run_id()?, fields.required("key")?);
    let value = validate::param(key, fields.text("value")?.unwrap_or_default(), "")?;
    let batch = Batch { params: vec![(key.to_owned(), value)], ..Batch::default() };
    tracking.registry().log_batch(run_id, batch).await?;
    Ok(json!({}))
}

pub async fn set_tag(tracking: Tracking, fields: Fields) -> Answer {
    let (run_id, key) = (fields.run_id()?, fields.required("key")?);
    let value = validate::tag(key, fields.text("value")?.unwrap_or_default(), "")?;
    let batch = Batch { tags: vec![(key.to_owned(), value)], ..Batch::default() };
    tracking.registry().log_batch(run_id, batch).await?;
    Ok(json!({}))
}

pub async fn delete_tag(tracking: Tracking, fields: Fields) -> Answer {
    tracking.registry().delete_run_tag(fields.run_id()?, fields.required("key")?).await?;
    Ok(json!({}))
}

pub async fn log_inputs(tracking: Tracking, mut fields: Fields) -> Answer {
    let run_id = fields.run_id()?.to_owned();
    let mut inputs = Vec::new();
    for mut asked in fields.messages("datasets")? {
        let mut input = dataset(&asked.message("dataset")?)?;
        for tag in asked.messages("tags")? {
            let (key, value) = (tag.required("key")?, tag.text("value")?.unwrap_or_default());
            match key {
                wire::CONTEXT_TAG => input.context = value.to_owned(),
                key => drop(input.tags.insert(key.to_owned(), value.to_owned())),
            }
        }
        inputs.push(input);
    }
    let models = models(&mut fields)?;
    validate::run_id(&run_id)?;
    tracking.registry().add_inputs(&run_id, &inputs, &models).await?;
    Ok(json!({}))
}

fn dataset(fields: &Fields) -> Result<DatasetInput, MlflowError> {
    const LIMITS: [(&str, usize); 6] = [
        ("name", 500),
        ("digest", 36),
        ("source_type", usize::MAX),
        ("source", 65_535),
        ("schema", 1_048_575),
        ("profile", 16_777_215),
    ];
    let mut texts = Vec::with_capacity(LIMITS.len());
    for (name, most) in LIMITS {
        let text = fields.text(name)?.unwrap_or_default();
        if text.chars().count() > most {
            let path = fields.path(name);
            return Err(MlflowError::invalid(format!("'{path}' exceeds the maximum length of {most} characters")));
        }
        texts.push(text.to_owned());
    }
    let mut texts = texts.into_iter();
    let mut next = || texts.next().unwrap_or_default();
    Ok(DatasetInput {
        name: next(),
        digest: next(),
        source_type: next(),
        source: next(),
        schema: next(),
        profile: next(),
        context: String::new(),
        tags: Default::default(),
    })
}

pub async fn log_outputs(tracking: Tracking, mut fields: Fields) -> Answer {
    let run_id = fields.run_id()?.to_owned();
    let models = models(&mut fields)?;
    tracking.registry().add_outputs(&run_id, &models).await?;
    Ok(json!({}))
}

fn models(fields: &mut Fields) -> Result<Vec<RunModel>, MlflowError> {
    let each = fields.messages("models")?;
    let read = |model: &Fields| {
        let model_id = model.required("model_id")?.to_owned();
        Ok(RunModel { model_id, step: model.int("step")?.unwrap_or_default() })
    };
    each.iter().map(read).collect()
}

/// What clients before 3 say of the models they log, kept in a tag as MLflow keeps it.
pub async fn log_model(tracking: Tracking, fields: Fields) -> Answer {
    let (run_id, text) = (fields.run_id()?, fields.required("model_json")?);
    let model: Json = serde_json::from_str(text)
        .map_err(|_| MlflowError::invalid(format!("Malformed model info. \n {text} \n is not a valid JSON.")))?;
    let missing: Vec<&str> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
        .into_iter()
        .filter(|name| model.get(name).is_none())
        .collect();
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|name| format!("'{name}'")).collect();
        let missing = missing.join(", ");
        return Err(MlflowError::invalid(format!("Model json is missing mandatory fields: {{{missing}}}")));
    }
    let run = tracking.registry().run_by_id(run_id).await?;
    let before = run.tags.get(MODELS_TAG).and_then(|tag| serde_json::from_str::<Vec<Json>>(tag).ok());
    let mut models = before.unwrap_or_default();
    models.push(model);
    let value = validate::tag(MODELS_TAG, &Json::Array(models).to_string(), "")?;
    let batch = Batch { tags: vec![(MODELS_TAG.to_owned(), value)], ..Batch::default() };
    tracking.registry().log_batch(run_id, batch).await?;
    Ok(json!({}))
}
