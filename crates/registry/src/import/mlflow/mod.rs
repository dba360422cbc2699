//! MLflow's own database (`mlflow/store/tracking/dbmodels/models.py` and `model_registry/dbmodels/models.py` of 3.17), read
//! only. What older schemas lack is read as absent.

mod database;
mod models;
mod runs;
mod survey;

use std::collections::BTreeMap;

use database::{Cell, Database};

use super::{ImportLoggedModel, ImportModel, ImportRun, LeftOut, Survey, TrackingSource};
use crate::search::Page;
use crate::{Answer, Experiment, Lifecycle, Metric, RegistryError, Run};

/// Runs, or models, that are read together.
const PAGE: usize = 200;
/// Of metrics.
const POINTS: usize = 10_000;

pub struct MlflowDatabase {
    database: Database,
    revision: String,
}

/// Without these it is none of MLflow's; the columns came with 1.0.
const NEEDED: [(&str, &str); 8] = [
    ("alembic_version", "version_num"),
    ("experiments", "experiment_id"),
    ("runs", "run_uuid"),
    ("params", "key"),
    ("tags", "key"),
    ("metrics", "step"),
    ("metrics", "is_nan"),
    ("latest_metrics", "is_nan"),
];

impl MlflowDatabase {
    /// Opens `sqlite:///PATH`, a path alone, or `postgresql://USER:PASSWORD@HOST/DATABASE`.
    pub fn open(uri: &str) -> Answer<'_, MlflowDatabase> {
        Box::pin(async move {
            let database = Database::open(uri).await?;
            let foreign = |what: String| RegistryError::Invalid(format!("{}: {what}", database.label()));
            if !database.has("alembic_version") || !database.has("experiments") {
                return Err(foreign("this is a database, but none of MLflow's (it has no `experiments`)".into()));
            }
            let revision = database.rows("SELECT version_num FROM alembic_version", &[]).await?;
            let revision = revision.into_iter().next().map(|record| record.cells::<1>()[0].clone().text());
            let revision = revision.unwrap_or_default();
            if let Some((table, column)) = NEEDED.iter().find(|(table, column)| !database.has_column(table, column)) {
                return Err(foreign(format!(
                    "its schema (alembic_version {revision}) has no `{table}.{column}`, so it is older than MLflow 1.0: \
                     `mlflow db upgrade` brings a copy up to date"
                )));
            }
            Ok(MlflowDatabase { database, revision })
        })
    }

    /// Which rows of `table` belong to the one workspace that is taken.
    fn scope(&self, table: &str) -> &'static str {
        match self.database.has_column(table, "workspace") {
            true => "workspace = 'default'",
            false => "1 = 1",
        }
    }

    /// Which rows belong to its experiments.
    fn of_experiments(&self) -> String {
        format!("experiment_id IN (SELECT experiment_id FROM experiments WHERE {})", self.scope("experiments"))
    }

    async fn read_experiments(&self) -> Result<Vec<Experiment>, RegistryError> {
        let created = self.database.column("experiments", "creation_time", "0");
        let updated = self.database.column("experiments", "last_update_time", "0");
        let mut tags: BTreeMap<i64, BTreeMap<String, String>> = BTreeMap::new();
        if self.database.has("experiment_tags") {
            let sql = "SELECT experiment_id, key, value FROM experiment_tags";
            for record in self.database.rows(sql, &[]).await? {
                let [id, key, value] = record.cells();
                tags.entry(id.int()).or_default().insert(key.text(), value.text());
            }
        }
        let sql = format!(
            "SELECT experiment_id, name, artifact_location, lifecycle_stage, {created}, {updated} FROM experiments \
             WHERE {} ORDER BY experiment_id",
            self.scope("experiments")
        );
        let rows = self.database.rows(&sql, &[]).await?;
        let experiment = |record: database::Record| {
            let [id, name, location, stage, created, updated] = record.cells();
            Experiment {
                id: id.int(),
                name: name.text(),
                artifact_location: location.text(),
                lifecycle_stage: lifecycle(stage),
                creation_time_ms: created.int(),
                last_update_time_ms: updated.optional_int().unwrap_or(created.int()),
                tags: tags.remove(&id.int()).unwrap_or_default(),
            }
        };
        Ok(rows.into_iter().map(experiment).collect())
    }
}

impl TrackingSource for MlflowDatabase {
    fn label(&self) -> &str {
        self.database.label()
    }

    fn survey(&self) -> Answer<'_, Survey> {
        Box::pin(self.take_survey())
    }

    fn experiments(&self) -> Answer<'_, Vec<Experiment>> {
        Box::pin(self.read_experiments())
    }

    fn runs<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<Result<ImportRun, LeftOut>>> {
        Box::pin(self.read_runs(page))
    }

    fn points<'a>(&'a self, run: &'a Run, page: Option<&'a str>) -> Answer<'a, Page<Metric>> {
        Box::pin(self.read_points(run.run_id.as_str(), page))
    }

    fn logged_models<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<ImportLoggedModel>> {
        Box::pin(self.read_logged_models(page))
    }

    fn registered_models<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<ImportModel>> {
        Box::pin(self.read_registered_models(page))
    }
}

fn lifecycle(cell: Cell) -> Lifecycle {
    match cell.text().as_str() {
        "deleted" => Lifecycle::Deleted,
        _ => Lifecycle::Active,
    }
}

/// A page that was asked for by this many rows, and the token of the next.
fn page_of<T>(items: Vec<T>, full: bool, last: Option<String>) -> Page<T> {
    Page { items, next: last.filter(|_| full) }
}
