use std::collections::BTreeMap;

use super::database::{Cell, Record};
use super::{MlflowDatabase, PAGE, lifecycle, page_of};
use crate::import::{ImportLoggedModel, ImportModel, ImportVersion};
use crate::search::Page;
use crate::{Lifecycle, LoggedModel, LoggedModelStatus, Metric, ModelMetric, RegistryError, Stage};

/// The stage of a version that was deleted.
const DELETED: &str = "Deleted_Internal";
/// What such a version has in place of a run.
const REDACTED: &str = "REDACTED-RUN-ID";
/// Models of a page: all versions come along.
const MODELS: usize = 50;

impl MlflowDatabase {
    pub(super) async fn read_logged_models(
        &self,
        page: Option<&str>,
    ) -> Result<Page<ImportLoggedModel>, RegistryError> {
        if !self.database.has("logged_models") {
            return Ok(page_of(Vec::new(), false, None));
        }
        let sql = format!(
            "SELECT model_id, experiment_id, name, artifact_location, model_type, source_run_id, status, lifecycle_stage, \
             creation_timestamp_ms, last_updated_timestamp_ms FROM logged_models \
             WHERE {} AND model_id > $1 ORDER BY model_id LIMIT {PAGE}",
            self.of_experiments()
        );
        let rows = self.database.rows(&sql, &[Cell::Text(page.unwrap_or_default().to_owned())]).await?;
        let mut models: Vec<ImportLoggedModel> = rows.into_iter().map(logged_model).collect();
        let ids: Vec<String> = models.iter().map(|model| model.model.model_id.clone()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let places: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let sql = "SELECT model_id, param_key, param_value FROM logged_model_params WHERE model_id IN (IDS)";
        for record in self.database.rows_of(sql, &ids).await? {
            let [model, key, value] = record.cells();
            models[places[model.text().as_str()]].model.params.insert(key.text(), value.text());
        }
        let sql = "SELECT model_id, tag_key, tag_value FROM logged_model_tags WHERE model_id IN (IDS)";
        for record in self.database.rows_of(sql, &ids).await? {
            let [model, key, value] = record.cells();
            models[places[model.text().as_str()]].model.tags.insert(key.text(), value.text());
        }
        let sql = "SELECT model_id, run_id, metric_name, metric_value, metric_timestamp_ms, metric_step, dataset_name, \
                   dataset_digest FROM logged_model_metrics WHERE model_id IN (IDS) \
                   ORDER BY metric_name, metric_timestamp_ms, metric_step, run_id";
        for record in self.database.rows_of(sql, &ids).await? {
            let [model, run, key, value, at, step, dataset, digest] = record.cells();
            let value = if value == Cell::Null { f64::NAN } else { value.float() };
            let model_id = model.text();
            let metrics = &mut models[places[model_id.as_str()]].model.metrics;
            metrics.push(ModelMetric {
                metric: Metric { key: key.text(), value, timestamp_ms: at.int(), step: step.int() },
                run_id: run.text(),
                dataset_name: dataset.text(),
                dataset_digest: digest.text(),
                model_id,
            });
        }
        let (full, last) = (models.len() == PAGE, ids.last().map(|id| (*id).to_owned()));
        Ok(page_of(models, full, last))
    }

    pub(super) async fn read_registered_models(&self, page: Option<&str>) -> Result<Page<ImportModel>, RegistryError> {
        if !self.database.has("registered_models") {
            return Ok(page_of(Vec::new(), false, None));
        }
        let sql = format!(
            "SELECT name, description, creation_time, last_updated_time FROM registered_models \
             WHERE {} AND name > $1 ORDER BY name LIMIT {MODELS}",
            self.scope("registered_models")
        );
        let rows = self.database.rows(&sql, &[Cell::Text(page.unwrap_or_default().to_owned())]).await?;
        let mut models = Vec::with_capacity(rows.len());
        for record in rows {
            let [name, description, created, updated] = record.cells();
            let name = name.text();
            models.push(ImportModel {
                tags: self.pairs_of("registered_model_tags", "key, value", &name).await?,
                aliases: self.aliases_of(&name).await?,
                versions: self.versions_of(&name).await?,
                description: description.text(),
                creation_time_ms: created.int(),
                last_update_time_ms: updated.optional_int().unwrap_or(created.int()),
                name,
            });
        }
        let (full, last) = (models.len() == MODELS, models.last().map(|model| model.name.clone()));
        Ok(page_of(models, full, last))
    }

    async fn pairs_of(&self, table: &str, pair: &str, name: &str) -> Result<BTreeMap<String, String>, RegistryError> {
        if !self.database.has(table) {
            return Ok(BTreeMap::new());
        }
        let sql = format!("SELECT {pair} FROM {table} WHERE {} AND name = $1", self.scope(table));
        let rows = self.database.rows(&sql, &[Cell::Text(name.to_owned())]).await?;
        Ok(rows.into_iter().map(Record::cells).map(|[key, value]| (key.text(), value.text())).collect())
    }

    async fn aliases_of(&self, name: &str) -> Result<BTreeMap<String, u64>, RegistryError> {
        let pairs = self.pairs_of("registered_model_aliases", "alias, version", name).await?;
        Ok(pairs.into_iter().map(|(alias, version)| (alias, version.parse().unwrap_or_default())).collect())
    }

    async fn versions_of(&self, name: &str) -> Result<Vec<ImportVersion>, RegistryError> {
        let mut tags: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
        let arguments = [Cell::Text(name.to_owned())];
        if self.database.has("model_version_tags") {
            let scope = self.scope("model_version_tags");
            let sql = format!("SELECT version, key, value FROM model_version_tags WHERE {scope} AND name = $1");
            for record in self.database.rows(&sql, &arguments).await? {
                let [version, key, value] = record.cells();
                tags.entry(version.int().unsigned_abs()).or_default().insert(key.text(), value.text());
            }
        }
        let link = self.database.column("model_versions", "run_link", "NULL");
        let storage = self.database.column("model_versions", "storage_location", "NULL");
        let sql = format!(
            "SELECT version, description, source, {storage}, run_id, {link}, current_stage, status, creation_time, \
             last_updated_time FROM model_versions WHERE {} AND name = $1 ORDER BY version",
            self.scope("model_versions")
        );
        let rows = self.database.rows(&sql, &arguments).await?;
        let version = |record: Record| {
            let [number, description, source, storage, run, link, stage, status, created, updated] = record.cells();
            let (stage, run, number) = (stage.text(), run.text(), number.int().unsigned_abs());
            ImportVersion {
                version: number,
                description: description.text(),
                source: source.text(),
                storage_location: storage.text(),
                run_id: if run == REDACTED { String::new() } else { run },
                run_link: link.text(),
                stage: Stage::parse(&stage).unwrap_or(Stage::None),
                status: status.optional_text().unwrap_or_else(|| "READY".to_owned()),
                deleted: stage == DELETED,
                tags: tags.remove(&number).unwrap_or_default(),
                creation_time_ms: created.int(),
                last_update_time_ms: updated.optional_int().unwrap_or(created.int()),
            }
        };
        Ok(rows.into_iter().map(version).collect())
    }
}

fn logged_model(record: Record) -> ImportLoggedModel {
    let [id, experiment, name, location, kind, run, status, stage, created, updated] = record.cells();
    let model = LoggedModel {
        model_id: id.text(),
        experiment_id: experiment.int(),
        name: name.text(),
        artifact_location: location.text(),
        model_type: kind.text(),
        source_run_id: run.text(),
        // `mlflow/entities/logged_model_status.py`
        status: match status.int() {
            2 => LoggedModelStatus::Ready,
            3 => LoggedModelStatus::UploadFailed,
            _ => LoggedModelStatus::Pending,
        },
        creation_time_ms: created.int(),
        last_update_time_ms: updated.int(),
        params: BTreeMap::new(),
        tags: BTreeMap::new(),
        metrics: Vec::new(),
    };
    ImportLoggedModel { model, deleted: lifecycle(stage) == Lifecycle::Deleted }
}
