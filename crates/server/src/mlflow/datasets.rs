//! Which data sets the runs of experiments have read.

use serde_json::{Map, Value as Json, json};

use super::error::MlflowError;
use super::fields::Fields;
use super::{Answer, Tracking, validate, wire};

const MOST_EXPERIMENTS: usize = 20;

pub async fn search(tracking: Tracking, fields: Fields) -> Answer {
    let ids = fields.texts("experiment_ids")?;
    if ids.is_empty() {
        return Err(MlflowError::invalid("SearchDatasets request must specify at least one experiment_id."));
    }
    if ids.len() > MOST_EXPERIMENTS {
        let given = ids.len();
        return Err(MlflowError::invalid(format!(
            "SearchDatasets request cannot specify more than {MOST_EXPERIMENTS} experiment_ids. Received {given} \
             experiment_ids."
        )));
    }
    let ids = ids.iter().map(|id| validate::experiment_id(id)).collect::<Result<Vec<_>, _>>()?;
    let found = tracking.registry().datasets(&ids).await?;
    let summary = |one: &karat_registry::DatasetSummary| {
        let mut fields = Map::from_iter([
            ("experiment_id".to_owned(), Json::from(one.experiment_id.to_string())),
            ("name".to_owned(), one.name.as_str().into()),
            ("digest".to_owned(), one.digest.as_str().into()),
        ]);
        if !one.context.is_empty() {
            fields.insert("context".to_owned(), one.context.as_str().into());
        }
        Json::Object(fields)
    };
    let mut answer = Map::new();
    wire::put(&mut answer, "dataset_summaries", found.iter().map(summary).collect());
    Ok(json!(answer))
}
