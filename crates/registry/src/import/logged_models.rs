use karat_metadata::{WriteTx, query, query_scalar, stored};

use super::runs::{PLACE, same_metric};
use super::{Counts, ImportLoggedModel, Noun, Verdict, of_ids};
use crate::logged_models::{read_one, write_metrics, write_params, write_tags};
use crate::runs::number;
use crate::{Answer, Lifecycle, LoggedModel, ModelMetric, Registry, RegistryError};

impl Registry {
    /// Writes those of a page that are not here, in one transaction. The runs that measured them are here.
    pub fn import_logged_models<'a>(&'a self, models: &'a [ImportLoggedModel]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let mut verdicts = Vec::with_capacity(models.len());
            for theirs in models {
                let id = &theirs.model.model_id;
                verdicts.push(match read_one(&mut tx, id).await? {
                    Some(ours) => {
                        let deleted: bool =
                            query_scalar("SELECT lifecycle_stage = 'deleted' FROM logged_models WHERE model_id = $1")
                                .bind(id)
                                .fetch_one(&mut tx)
                                .await?;
                        Verdict::of(differences(theirs, &ours, deleted))
                    }
                    None => {
                        write(&mut tx, theirs).await?;
                        Verdict::New
                    }
                });
            }
            tx.commit().await?;
            Ok::<_, RegistryError>(verdicts)
        })
    }

    /// What is here of the logged models with these ids.
    pub fn import_count_of_models<'a>(&'a self, models: &'a [&'a str]) -> Answer<'a, Counts> {
        Box::pin(async move {
            let mut counts = Counts::default();
            let mut reader = self.metadata.read().await?;
            if models.is_empty() {
                return Ok(counts);
            }
            for (noun, table) in [
                (Noun::LoggedModels, "logged_models"),
                (Noun::LoggedModelParams, "logged_model_params"),
                (Noun::LoggedModelTags, "logged_model_tags"),
                (Noun::LoggedModelMetrics, "logged_model_metrics"),
            ] {
                let sql = format!("SELECT COUNT(*) AS found FROM {table} WHERE model_id IN (IDS)");
                let counted = of_ids(reader.dialect(), &sql, models.iter().copied());
                for row in counted.fetch_all(&mut reader).await? {
                    counts.add(noun, stored::count(&row, "found")?);
                }
            }
            Ok(counts)
        })
    }
}

async fn write(tx: &mut WriteTx, theirs: &ImportLoggedModel) -> Result<(), RegistryError> {
    let model = &theirs.model;
    let stage = if theirs.deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    query(
        "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, model_type, source_run_id, status, \
         lifecycle_stage, creation_time_ms, last_update_time_ms, deleted_time_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&model.model_id)
    .bind(model.experiment_id)
    .bind(&model.name)
    .bind(&model.artifact_location)
    .bind(&model.model_type)
    .bind(&model.source_run_id)
    .bind(model.status.as_str())
    .bind(stage.as_str())
    .bind(model.creation_time_ms)
    .bind(model.last_update_time_ms)
    .bind(theirs.deleted.then_some(model.last_update_time_ms))
    .execute(tx)
    .await?;
    write_params(tx, &model.model_id, &model.params).await?;
    write_tags(tx, &model.model_id, &model.tags).await?;
    for metric in &model.metrics {
        write_metrics(tx, &metric.run_id, std::slice::from_ref(metric)).await?;
    }
    Ok(())
}

fn differences(theirs: &ImportLoggedModel, ours: &LoggedModel, deleted: bool) -> Vec<&'static str> {
    let model = &theirs.model;
    let differing = [
        ("experiment", model.experiment_id != ours.experiment_id),
        ("name", model.name != ours.name),
        (PLACE, model.artifact_location != ours.artifact_location),
        ("type", model.model_type != ours.model_type),
        ("run", model.source_run_id != ours.source_run_id),
        ("status", model.status != ours.status),
        ("stage", theirs.deleted != deleted),
        ("times", model.creation_time_ms != ours.creation_time_ms),
        ("params", model.params != ours.params),
        ("tags", model.tags != ours.tags),
        ("metrics", !same_metrics(&model.metrics, &ours.metrics)),
    ];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
}

fn same_metrics(theirs: &[ModelMetric], ours: &[ModelMetric]) -> bool {
    fn in_order(metrics: &[ModelMetric]) -> Vec<&ModelMetric> {
        let mut metrics: Vec<&ModelMetric> = metrics.iter().collect();
        metrics.sort_by(|a, b| {
            let key = |one: &ModelMetric| {
                (one.metric.key.clone(), one.metric.timestamp_ms, one.metric.step, one.run_id.clone())
            };
            key(a).cmp(&key(b)).then(number(&a.metric).total_cmp(&number(&b.metric)))
        });
        metrics
    }
    let (theirs, ours) = (in_order(theirs), in_order(ours));
    let same = |a: &ModelMetric, b: &ModelMetric| {
        same_metric(&a.metric, &b.metric)
            && (&a.run_id, &a.dataset_name, &a.dataset_digest) == (&b.run_id, &b.dataset_name, &b.dataset_digest)
    };
    theirs.len() == ours.len() && theirs.into_iter().zip(ours).all(|(a, b)| same(a, b))
}
