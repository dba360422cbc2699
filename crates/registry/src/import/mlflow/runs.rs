use std::collections::BTreeMap;

use karat_core::RunId;
use serde::{Deserialize, Serialize};

use super::database::{Cell, Record};
use super::{MlflowDatabase, PAGE, POINTS, lifecycle, page_of};
use crate::import::points::{self, History};
use crate::import::{ImportRun, LeftOut, Noun};
use crate::search::Page;
use crate::{DatasetInput, Metric, RegistryError, Run, RunModel, RunStatus};

/// The tag of an input that says what the data was for.
const CONTEXT: &str = "mlflow.data.context";

/// A run while it is put together.
struct Draft {
    id: String,
    status: String,
    run: ImportRun,
}

impl MlflowDatabase {
    pub(super) async fn read_runs(
        &self,
        page: Option<&str>,
    ) -> Result<Page<Result<ImportRun, LeftOut>>, RegistryError> {
        let deleted = self.database.column("runs", "deleted_time", "NULL");
        let sql = format!(
            "SELECT run_uuid, experiment_id, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, \
             {deleted} FROM runs WHERE {} AND run_uuid > $1 ORDER BY run_uuid LIMIT {PAGE}",
            self.of_experiments()
        );
        let rows = self.database.rows(&sql, &[Cell::Text(page.unwrap_or_default().to_owned())]).await?;
        let mut drafts: Vec<Draft> = rows.into_iter().map(draft).collect();
        self.add_details(&mut drafts).await?;
        let (full, last) = (drafts.len() == PAGE, drafts.last().map(|draft| draft.id.clone()));
        Ok(page_of(drafts.into_iter().map(finished).collect(), full, last))
    }

    async fn add_details(&self, drafts: &mut [Draft]) -> Result<(), RegistryError> {
        let ids: Vec<String> = drafts.iter().map(|draft| draft.id.clone()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut runs: BTreeMap<String, &mut ImportRun> =
            drafts.iter_mut().map(|draft| (draft.id.clone(), &mut draft.run)).collect();
        let database = &self.database;
        let sql = "SELECT run_uuid, key, value FROM params WHERE run_uuid IN (IDS)";
        for record in database.rows_of(sql, &ids).await? {
            let [run, key, value] = record.cells();
            of(&mut runs, run, |run| drop(run.run.params.insert(key.text(), value.text())));
        }
        let sql = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN (IDS)";
        for record in database.rows_of(sql, &ids).await? {
            let [run, key, value] = record.cells();
            of(&mut runs, run, |run| drop(run.run.tags.insert(key.text(), value.text())));
        }
        let sql = "SELECT run_uuid, key, value, is_nan, timestamp, step FROM latest_metrics WHERE run_uuid IN (IDS)";
        for record in database.rows_of(sql, &ids).await? {
            let [run, key, value, is_nan, at, step] = record.cells();
            of(&mut runs, run, |run| run.run.metrics.push(metric([key, value, is_nan, at, step])));
        }
        for record in database.rows_of(&points::summary("run_uuid", "timestamp"), &ids).await? {
            let [run, count, steps, times, nans, least, greatest] = record.cells();
            let history = History {
                points: count.int().unsigned_abs(),
                steps: steps.int(),
                times: times.int(),
                nans: nans.int(),
                least: least.float(),
                greatest: greatest.float(),
            };
            of(&mut runs, run, |run| run.history = Some(history));
        }
        if database.has("inputs") {
            self.add_inputs(&mut runs, &ids).await?;
        }
        for run in runs.into_values() {
            run.run.metrics.sort_by(|a, b| a.key.cmp(&b.key));
            run.history.get_or_insert_default();
        }
        Ok(())
    }

    async fn add_inputs(&self, runs: &mut BTreeMap<String, &mut ImportRun>, ids: &[&str]) -> Result<(), RegistryError> {
        let sql = "SELECT i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, \
                   d.dataset_schema, d.dataset_profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id \
                   WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id IN (IDS)";
        let mut inputs = Vec::new();
        for record in self.database.rows_of(sql, ids).await? {
            let [run, input, name, digest, source_type, source, schema, profile] = record.cells();
            let dataset = DatasetInput {
                name: name.text(),
                digest: digest.text(),
                source_type: source_type.text(),
                source: source.text(),
                schema: schema.text(),
                profile: profile.text(),
                context: String::new(),
                tags: BTreeMap::new(),
            };
            inputs.push((run, input.text(), dataset));
        }
        let input_ids: Vec<&str> = inputs.iter().map(|(_, input, _)| input.as_str()).collect();
        let mut tags: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let sql = "SELECT input_uuid, name, value FROM input_tags WHERE input_uuid IN (IDS)";
        for record in self.database.rows_of(sql, &input_ids).await? {
            let [input, key, value] = record.cells();
            tags.entry(input.text()).or_default().insert(key.text(), value.text());
        }
        for (run, input, mut dataset) in inputs {
            dataset.tags = tags.remove(&input).unwrap_or_default();
            dataset.context = dataset.tags.remove(CONTEXT).unwrap_or_default();
            of(runs, run, |run| run.run.inputs.push(dataset));
        }
        let step = self.database.column("inputs", "step", "0");
        let sql = format!(
            "SELECT source_id, source_type, destination_id, {step} FROM inputs \
             WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id IN (IDS)"
        );
        for record in self.database.rows_of(&sql, ids).await? {
            let [run, direction, model, step] = record.cells();
            let link = RunModel { model_id: model.text(), step: step.int() };
            of(runs, run, |run| match direction.text().as_str() {
                "RUN_INPUT" => run.run.model_inputs.push(link),
                _ => run.run.model_outputs.push(link),
            });
        }
        Ok(())
    }

    /// In the order of their writing, where the database knows it.
    pub(super) async fn read_points(&self, run: &str, page: Option<&str>) -> Result<Page<Metric>, RegistryError> {
        let (after, from, place) = match self.database.has_row_numbers() {
            true => ("rowid > $2", "metrics", "rowid"),
            false => (
                "(key, timestamp, step, value, nan) > ($2, $3, $4, $5, $6)",
                "(SELECT *, CASE WHEN is_nan THEN 1 ELSE 0 END AS nan FROM metrics) numbered",
                "key, timestamp, step, value, nan",
            ),
        };
        let mut arguments = vec![Cell::Text(run.to_owned())];
        let after = match page {
            None => String::new(),
            Some(page) => {
                arguments.extend(Place::read(page).ok_or_else(|| RegistryError::Invalid(format!("no page: {page}")))?);
                format!("AND {after}")
            }
        };
        let number = if self.database.has_row_numbers() { "rowid" } else { "0" };
        let sql = format!(
            "SELECT {number}, key, value, is_nan, timestamp, step FROM {from} WHERE run_uuid = $1 {after} \
             ORDER BY {place} LIMIT {POINTS}"
        );
        let rows = self.database.rows(&sql, &arguments).await?;
        let mut last = None;
        let mut metrics = Vec::with_capacity(rows.len());
        for record in rows {
            let [row, key, value, is_nan, at, step] = record.cells();
            last = Some(match self.database.has_row_numbers() {
                true => Place::Number(row.int()),
                false => Place::Point(key.clone().text(), at.int(), step.int(), value.float().to_bits(), is_nan.int()),
            });
            metrics.push(metric([key, value, is_nan, at, step]));
        }
        let full = metrics.len() == POINTS;
        Ok(page_of(metrics, full, last.map(|place| place.write())))
    }
}

/// Where a page of points ended.
#[derive(Serialize, Deserialize)]
enum Place {
    Number(i64),
    /// Key, time, step, the value's bits, whether it is NaN.
    Point(String, i64, i64, u64, i64),
}

impl Place {
    fn write(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// As a statement's arguments.
    fn read(page: &str) -> Option<Vec<Cell>> {
        Some(match serde_json::from_str(page).ok()? {
            Place::Number(number) => vec![Cell::Int(number)],
            Place::Point(key, at, step, bits, nan) => {
                let value = Cell::Float(f64::from_bits(bits));
                vec![Cell::Text(key), Cell::Int(at), Cell::Int(step), value, Cell::Int(nan)]
            }
        })
    }
}

fn of(runs: &mut BTreeMap<String, &mut ImportRun>, run: Cell, change: impl FnOnce(&mut ImportRun)) {
    if let Some(run) = runs.get_mut(&run.text()) {
        change(run);
    }
}

fn draft(record: Record) -> Draft {
    let [id, experiment, name, user, status, start, end, stage, uri, deleted] = record.cells();
    let id = id.text();
    let run = Run {
        // Of ids that are none, `finished` says so.
        run_id: RunId::parse(&id).unwrap_or_else(RunId::new),
        experiment_id: experiment.int(),
        name: name.text(),
        user: user.text(),
        status: RunStatus::Scheduled,
        start_time_ms: start.int(),
        end_time_ms: end.optional_int(),
        lifecycle_stage: lifecycle(stage),
        artifact_uri: uri.text(),
        metrics: Vec::new(),
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
        inputs: Vec::new(),
        model_inputs: Vec::new(),
        model_outputs: Vec::new(),
    };
    let run = ImportRun { run, deleted_time_ms: deleted.optional_int(), history: None };
    Draft { id, status: status.optional_text().unwrap_or_else(|| RunStatus::Scheduled.to_string()), run }
}

fn finished(draft: Draft) -> Result<ImportRun, LeftOut> {
    let Draft { id, status, mut run } = draft;
    let why = match RunStatus::parse(&status) {
        Some(status) if run.run.run_id.as_str() == id => {
            run.run.status = status;
            // As MLflow shows it.
            if run.run.name.is_empty() {
                run.run.name = run.run.tags.get("mlflow.runName").cloned().unwrap_or_default();
            }
            return Ok(run);
        }
        Some(_) => "its id is not one of 32 hexadecimal digits".to_owned(),
        None => format!("its status `{status}` is none that MLflow knows"),
    };
    let mut counts = run.counts();
    counts.add(Noun::MetricPoints, run.history.map(|history| history.points).unwrap_or_default());
    Err(LeftOut { what: format!("run {id}"), why, counts })
}

/// Of key, value, whether it is NaN, time and step.
fn metric([key, value, is_nan, at, step]: [Cell; 5]) -> Metric {
    let value = if is_nan.int() == 0 { value.float() } else { f64::NAN };
    Metric { key: key.text(), value, timestamp_ms: at.int(), step: step.int() }
}
