//! Runs of another server, written whole but for their histories.

use std::collections::{BTreeMap, BTreeSet};

use karat_core::RunId;
use karat_metadata::{Bind, WriteTx, query, stored};

use super::{Counts, ImportRun, Noun, Verdict, of_ids};
use crate::runs::{Whose, bound, by_id, number, settle, write_dataset, write_models, write_tags};
use crate::{Answer, DatasetInput, Lifecycle, Metric, Registry, RegistryError, Run};

impl Registry {
    /// Writes those of a page that are not here, in one transaction. Their experiments are here, and their ids are ours.
    pub fn import_runs<'a>(&'a self, runs: &'a [ImportRun]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let mut verdicts = Vec::with_capacity(runs.len());
            let ids: Vec<&str> = runs.iter().map(|theirs| theirs.run.run_id.as_str()).collect();
            settle(&mut tx, Whose::Runs(&ids)).await?;
            for theirs in runs {
                verdicts.push(match by_id(&mut tx, theirs.run.run_id.as_str()).await? {
                    Some(ours) => Verdict::of(differences(&theirs.run, &ours)),
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

    /// What is here of the runs with these ids.
    pub fn import_count<'a>(&'a self, runs: &'a [&'a RunId]) -> Answer<'a, Counts> {
        Box::pin(async move {
            let mut counts = Counts::default();
            if runs.is_empty() {
                return Ok(counts);
            }
            let ids: Vec<&str> = runs.iter().map(|run| run.as_str()).collect();
            let mut reader = self.read_settled(Whose::Runs(&ids)).await?;
            for (noun, table) in [
                (Noun::Runs, "runs"),
                (Noun::Params, "params"),
                (Noun::Tags, "run_tags"),
                (Noun::Metrics, "latest_metrics"),
                (Noun::MetricPoints, "metrics"),
                (Noun::Inputs, "run_inputs"),
                (Noun::ModelLinks, "run_models"),
            ] {
                let sql = format!("SELECT COUNT(*) AS found FROM {table} WHERE run_id IN (IDS)");
                let counted = of_ids(reader.dialect(), &sql, runs.iter().map(|run| run.as_str()));
                for row in counted.fetch_all(&mut reader).await? {
                    counts.add(noun, stored::count(&row, "found")?);
                }
            }
            Ok(counts)
        })
    }
}

impl Registry {
    /// Of these ids those that are runs here.
    pub fn known_runs<'a>(&'a self, ids: &'a BTreeSet<&'a str>) -> Answer<'a, BTreeSet<String>> {
        Box::pin(async move {
            let mut known = BTreeSet::new();
            let mut reader = self.metadata.read().await?;
            for chunk in ids.iter().collect::<Vec<_>>().chunks(ROWS) {
                let sql = "SELECT run_id FROM runs WHERE run_id IN (IDS)";
                let query = of_ids(reader.dialect(), sql, chunk.iter().map(|id| **id));
                for row in query.fetch_all(&mut reader).await? {
                    known.insert(stored::text(&row, "run_id")?);
                }
            }
            Ok::<_, RegistryError>(known)
        })
    }
}

async fn write(tx: &mut WriteTx, theirs: &ImportRun) -> Result<(), RegistryError> {
    let run = &theirs.run;
    let id = run.run_id.as_str();
    // One that was deleted before times of deletion were kept was deleted long ago.
    let deleted = (run.lifecycle_stage == Lifecycle::Deleted).then(|| theirs.deleted_time_ms.unwrap_or_default());
    query(
        "INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_time_ms, end_time_ms, lifecycle_stage, \
         artifact_uri, deleted_time_ms, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(run.experiment_id)
    .bind(&run.name)
    .bind(&run.user)
    .bind(run.status.as_str())
    .bind(run.start_time_ms)
    .bind(run.end_time_ms)
    .bind(run.lifecycle_stage.as_str())
    .bind(&run.artifact_uri)
    .bind(deleted)
    // One of this id may have been here and purged: what was read of that one does not hold.
    .bind(fastrand::i64(0..=i64::MAX / 2))
    .execute(tx)
    .await?;
    write_tags(tx, id, &run.tags).await?;
    write_params(tx, run).await?;
    write_latest(tx, run).await?;
    for input in &run.inputs {
        write_dataset(tx, id, input).await?;
        query(
            "INSERT INTO run_inputs (run_id, dataset_id, context, tags) SELECT $1, d.id, $2, $3 FROM datasets d \
             WHERE d.experiment_id = $4 AND d.name = $5 AND d.digest = $6",
        )
        .bind(id)
        .bind(&input.context)
        .bind(serde_json::json!(input.tags).to_string())
        .bind(run.experiment_id)
        .bind(&input.name)
        .bind(&input.digest)
        .execute(tx)
        .await?;
    }
    write_models(tx, id, "input", &run.model_inputs).await?;
    write_models(tx, id, "output", &run.model_outputs).await
}

async fn write_params(tx: &mut WriteTx, run: &Run) -> Result<(), RegistryError> {
    let rows = run.params.iter().map(|(key, value)| [run.run_id.as_str().bound(), key.bound(), value.bound()]);
    tx.insert("INSERT INTO params (run_id, key, value)", rows, "").await?;
    Ok(())
}

/// As the other server has them: which of several points is the latest is not decided again.
async fn write_latest(tx: &mut WriteTx, run: &Run) -> Result<(), RegistryError> {
    let rows = run.metrics.iter().map(|metric| bound(run.run_id.as_str(), metric));
    tx.insert("INSERT INTO latest_metrics (run_id, key, value, is_nan, timestamp_ms, step)", rows, "").await?;
    Ok(())
}

/// Ids in one statement.
const ROWS: usize = 500;

pub(super) fn same_metric(a: &Metric, b: &Metric) -> bool {
    let told = |metric: &Metric| (metric.key.clone(), metric.value.is_nan(), metric.timestamp_ms, metric.step);
    told(a) == told(b) && number(a) == number(b)
}

fn differences(theirs: &Run, ours: &Run) -> Vec<&'static str> {
    let metrics = theirs.metrics.len() == ours.metrics.len()
        && theirs.metrics.iter().zip(&ours.metrics).all(|(a, b)| same_metric(a, b));
    let differing = [
        ("experiment", theirs.experiment_id != ours.experiment_id),
        ("name", theirs.name != ours.name),
        ("user", theirs.user != ours.user),
        ("status", theirs.status != ours.status),
        ("start", theirs.start_time_ms != ours.start_time_ms),
        ("end", theirs.end_time_ms != ours.end_time_ms),
        ("stage", theirs.lifecycle_stage != ours.lifecycle_stage),
        (PLACE, theirs.artifact_uri != ours.artifact_uri),
        ("params", theirs.params != ours.params),
        ("tags", theirs.tags != ours.tags),
        (LATEST, !metrics),
        ("inputs", inputs(theirs) != inputs(ours)),
        ("models read", sorted(&theirs.model_inputs) != sorted(&ours.model_inputs)),
        ("models made", sorted(&theirs.model_outputs) != sorted(&ours.model_outputs)),
    ];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
}

/// What differs where the files are elsewhere.
pub const PLACE: &str = "artifact location";

/// What differs where the latest values of metrics do: then its history is another one, too.
pub const LATEST: &str = "metrics";

/// What else is said of a data set is kept once for its experiment, by whoever said it first.
fn inputs(run: &Run) -> Vec<(&str, &str, &str, &BTreeMap<String, String>)> {
    let mut keys = Vec::with_capacity(run.inputs.len());
    for DatasetInput { name, digest, context, tags, .. } in &run.inputs {
        keys.push((name.as_str(), digest.as_str(), context.as_str(), tags));
    }
    keys.sort();
    keys
}

fn sorted(models: &[crate::RunModel]) -> Vec<(&str, i64)> {
    let mut models: Vec<(&str, i64)> = models.iter().map(|model| (model.model_id.as_str(), model.step)).collect();
    models.sort_unstable();
    models
}
