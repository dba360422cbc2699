use karat_metadata::query_scalar;
use std::collections::BTreeMap;

use super::log::write_metrics;
use super::manage::{NAME_TAG, rename, require_active};
use super::{Metric, write_tags};
use crate::logged_models::{self, ModelMetric};
use crate::{Answer, Registry, RegistryError};

/// What a client logs at once: all of it, or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub metrics: Vec<Metric>,
    /// Of these, those that are of a model.
    pub model_metrics: Vec<ModelMetric>,
    pub params: Vec<(String, String)>,
    /// Of one key the last counts.
    pub tags: Vec<(String, String)>,
}

impl Registry {
    /// Logs to an active run. A param keeps its value: another one is refused, and nothing of the batch is written.
    pub fn log_batch<'a>(&'a self, run_id: &'a str, batch: &'a Batch) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            require_active(&mut tx, run_id).await?;
            let mut changed = Vec::new();
            for (key, value) in &batch.params {
                // The update that changes nothing makes RETURNING give the row that was there.
                let kept: String = query_scalar(
                    "INSERT INTO params (run_id, key, value) VALUES ($1, $2, $3) \
                     ON CONFLICT (run_id, key) DO UPDATE SET value = params.value RETURNING value",
                )
                .bind(run_id)
                .bind(key)
                .bind(value)
                .fetch_one(&mut tx)
                .await?;
                if kept != *value {
                    changed.push((key, kept, value));
                }
            }
            if !changed.is_empty() {
                return Err(param_changed(run_id, &changed, batch.params.len()));
            }
            write_metrics(&mut tx, run_id, &batch.metrics).await?;
            logged_models::write_metrics(&mut tx, run_id, &batch.model_metrics).await?;
            let mut tags: BTreeMap<String, String> = batch.tags.iter().cloned().collect();
            if let Some(name) = tags.remove(NAME_TAG) {
                rename(&mut tx, run_id, &name).await?;
            }
            write_tags(&mut tx, run_id, &tags).await?;
            Ok(tx.commit().await?)
        })
    }
}

fn param_changed(run_id: &str, changed: &[(&String, String, &String)], logged: usize) -> RegistryError {
    RegistryError::Invalid(match changed {
        [(key, kept, value)] if logged == 1 => format!(
            "Changing param values is not allowed. Param with key='{key}' was already logged with value='{kept}' \
             for run ID='{run_id}'. Attempted logging new value '{value}'."
        ),
        _ => {
            let each = changed
                .iter()
                .map(|(key, kept, value)| format!("{{'key': '{key}', 'old_value': '{kept}', 'new_value': '{value}'}}"));
            let all = each.collect::<Vec<_>>().join(", ");
            format!("Changing param values is not allowed. Params were already logged='[{all}]' for run ID='{run_id}'.")
        }
    })
}
