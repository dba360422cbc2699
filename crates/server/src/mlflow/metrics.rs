use karat_registry::{Batch, Metric, ModelMetric};
use serde_json::{Map, Value as Json, json};

use super::error::MlflowError;
use super::experiments::token;
use super::fields::Fields;
use super::{Answer, Tracking, validate, wire};

const MOST_RUNS: usize = 100;
/// Values in an answer about several runs.
const MOST_VALUES: i64 = 25_000;
/// Values of one run in a picture.
const MOST_IN_PICTURE: i64 = 2_500;

/// What is said of the model that a value is of, where it is of one.
pub fn of_model(fields: &Fields, metric: &Metric) -> Result<Option<ModelMetric>, MlflowError> {
    let text = |name: &str| Ok::<_, MlflowError>(fields.text(name)?.unwrap_or_default().to_owned());
    let model_id = text("model_id")?;
    Ok((!model_id.is_empty()).then_some(ModelMetric {
        model_id,
        run_id: String::new(),
        metric: Metric { value: validate::stored(metric.value), ..metric.clone() },
        dataset_name: text("dataset_name")?,
        dataset_digest: text("dataset_digest")?,
    }))
}

/// A metric's value, not looked at yet.
pub fn read(fields: &Fields) -> Result<Metric, MlflowError> {
    Ok(Metric {
        key: fields.required("key")?.to_owned(),
        value: fields.required_float("value")?,
        timestamp_ms: fields.required_int("timestamp")?,
        step: fields.int("step")?.unwrap_or_default(),
    })
}

pub async fn log(tracking: Tracking, fields: Fields) -> Answer {
    let run_id = fields.run_id()?;
    let mut metric = read(&fields)?;
    validate::metric(&metric, "")?;
    let model_metrics = of_model(&fields, &metric)?.into_iter().collect();
    metric.value = validate::stored(metric.value);
    tracking.registry().log_batch(run_id, Batch { metrics: vec![metric], model_metrics, ..Batch::default() }).await?;
    Ok(json!({}))
}

pub async fn history(tracking: Tracking, fields: Fields) -> Result<wire::History, MlflowError> {
    let (run_id, key) = (fields.run_id()?, fields.required("metric_key")?);
    let most = match fields.int("max_results")? {
        None => None,
        Some(asked @ 1..) => Some(u32::try_from(asked).unwrap_or(u32::MAX - 1)),
        Some(asked) => {
            return Err(MlflowError::invalid(format!(
                "Invalid value {asked} for parameter 'max_results' supplied. It must be a positive integer."
            )));
        }
    };
    let token = token(&fields)?;
    let page = tracking.registry().metric_page(run_id, key, most, token.as_deref()).await?;
    Ok(wire::History { metrics: page.items, next_page_token: page.next })
}

pub async fn of_runs(tracking: Tracking, fields: Fields) -> Result<wire::Histories, MlflowError> {
    let run_ids = fields.texts("run_id")?;
    let asked = "GetMetricHistoryBulk request";
    if run_ids.is_empty() {
        return Err(MlflowError::invalid(format!("{asked} must specify at least one run_id.")));
    }
    if run_ids.len() > MOST_RUNS {
        let found = run_ids.len();
        return Err(MlflowError::invalid(format!(
            "{asked} cannot specify more than {MOST_RUNS} run_ids. Received {found} run_ids."
        )));
    }
    let key = fields.text("metric_key")?;
    let key = key.ok_or_else(|| MlflowError::invalid(format!("{asked} must specify a metric_key.")))?;
    let most = fields.int("max_results")?.unwrap_or(MOST_VALUES).clamp(0, MOST_VALUES);
    Ok(wire::Histories { metrics: tracking.registry().metric_of_runs(&run_ids, key, most as u32).await? })
}

pub async fn sampled(tracking: Tracking, fields: Fields) -> Answer {
    let run_ids = fields.texts("run_ids")?;
    if run_ids.is_empty() {
        fields.required("run_ids")?;
    }
    if run_ids.len() > MOST_RUNS {
        return Err(MlflowError::invalid(format!(
            "GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids. Received {} run_ids. See \
             the API docs for more information about request parameters.",
            run_ids.len()
        )));
    }
    let key = fields.required("metric_key")?;
    let most = fields.int("max_results")?.unwrap_or(MOST_IN_PICTURE);
    if !(1..=MOST_IN_PICTURE).contains(&most) {
        return Err(MlflowError::invalid(format!(
            "max_results must be between 1 and {MOST_IN_PICTURE}. See the API docs for more information about request \
             parameters."
        )));
    }
    let steps = match (fields.int("start_step")?, fields.int("end_step")?) {
        (None, None) => None,
        (Some(start), Some(end)) if start <= end => Some(start..=end),
        (Some(start), Some(end)) => {
            return Err(MlflowError::invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            )));
        }
        _ => {
            return Err(MlflowError::invalid(
                "If either start step or end step are specified, both must be specified.",
            ));
        }
    };
    let mut values = Vec::new();
    for run_id in &run_ids {
        let sample = tracking.registry().metric_sample(run_id, key, steps.clone(), most as u32).await?;
        values.extend(sample.iter().map(|value| json!(wire::MetricMessage::of_run(run_id, value))));
    }
    let mut answer = Map::new();
    wire::put(&mut answer, "metrics", values);
    Ok(Json::Object(answer))
}
