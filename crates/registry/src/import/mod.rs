//! Moving in: what another tracking server recorded becomes ours, under its own ids.
//!
//! A source is read page by page ([`TrackingSource`]); each page is written in one transaction. What is here already and
//! equal is passed over, what differs stays as it is here: so an import that was cut short is simply run again.

mod counts;
mod experiments;
mod logged_models;
mod mlflow;
mod models;
mod points;
mod record;
mod runs;

use std::collections::BTreeMap;

use karat_metadata::{Dialect, Query, QueryBuilder};
use serde::Serialize;

pub use counts::{Counts, Noun};
pub use experiments::Placed;
pub use mlflow::MlflowDatabase;
pub use models::{ImportedBy, ImportedModel};
pub use points::History;
pub use record::ImportRecord;
pub use runs::{LATEST, PLACE};

use crate::search::Page;
use crate::{Answer, Experiment, LoggedModel, Metric, Run, Stage};

/// Where records come from. Only reads; pages stay right as long as nobody writes there. A page token belongs to the call
/// that gave it.
pub trait TrackingSource: Send + Sync {
    /// What it is called, without a password.
    fn label(&self) -> &str;

    fn survey(&self) -> Answer<'_, Survey>;

    fn experiments(&self) -> Answer<'_, Vec<Experiment>>;

    /// What cannot be a run of ours says why.
    fn runs<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<Result<ImportRun, LeftOut>>>;

    /// A page of every value that a run's metrics had.
    fn points<'a>(&'a self, run: &'a Run, page: Option<&'a str>) -> Answer<'a, Page<Metric>>;

    fn logged_models<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<ImportLoggedModel>>;

    fn registered_models<'a>(&'a self, page: Option<&'a str>) -> Answer<'a, Page<ImportModel>>;
}

/// What a source says of itself before anything is read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Survey {
    /// The `alembic_version` of a database, the version of a server.
    pub schema: String,
    /// What it has; `None` where only reading tells.
    pub counts: Option<Counts>,
    /// What it has that is not for us, and what of itself is unusual.
    pub remarks: Vec<String>,
}

/// A run of another server, its latest metrics with it and its history by its summary, where that is known before it is read.
#[derive(Debug, Clone)]
pub struct ImportRun {
    pub run: Run,
    pub deleted_time_ms: Option<i64>,
    pub history: Option<History>,
}

#[derive(Debug, Clone)]
pub struct ImportLoggedModel {
    pub model: LoggedModel,
    pub deleted: bool,
}

/// A registered model with all its versions.
#[derive(Debug, Clone)]
pub struct ImportModel {
    pub name: String,
    pub description: String,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
    pub tags: BTreeMap<String, String>,
    pub aliases: BTreeMap<String, u64>,
    pub versions: Vec<ImportVersion>,
}

#[derive(Debug, Clone)]
pub struct ImportVersion {
    pub version: u64,
    pub description: String,
    pub source: String,
    pub storage_location: String,
    pub run_id: String,
    pub run_link: String,
    pub stage: Stage,
    /// As the source's word; only `READY` and `PENDING_REGISTRATION` are ours.
    pub status: String,
    pub deleted: bool,
    pub tags: BTreeMap<String, String>,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    New,
    /// It was here, and equal.
    Same,
    /// It stays as it is here, since it differs in these.
    Left(Vec<&'static str>),
}

/// What is not here as it is there, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    pub what: String,
    pub why: String,
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub counts: Counts,
}

impl ImportRun {
    /// Without its history's points.
    pub fn counts(&self) -> Counts {
        let run = &self.run;
        Counts::of([
            (Noun::Runs, 1),
            (Noun::Params, run.params.len()),
            (Noun::Tags, run.tags.len()),
            (Noun::Metrics, run.metrics.len()),
            (Noun::Inputs, run.inputs.len()),
            (Noun::ModelLinks, run.model_inputs.len() + run.model_outputs.len()),
        ])
    }
}

impl ImportLoggedModel {
    pub fn counts(&self) -> Counts {
        Counts::of([
            (Noun::LoggedModels, 1),
            (Noun::LoggedModelParams, self.model.params.len()),
            (Noun::LoggedModelTags, self.model.tags.len()),
            (Noun::LoggedModelMetrics, self.model.metrics.len()),
        ])
    }
}

impl ImportModel {
    /// Its own, without its versions'.
    pub fn counts(&self) -> Counts {
        Counts::of([(Noun::RegisteredModels, 1), (Noun::RegisteredModelTags, self.tags.len())])
    }
}

impl ImportVersion {
    pub fn counts(&self) -> Counts {
        Counts::of([(Noun::Versions, 1), (Noun::VersionTags, self.tags.len())])
    }
}

impl Verdict {
    fn of(differing: Vec<&'static str>) -> Verdict {
        if differing.is_empty() { Verdict::Same } else { Verdict::Left(differing) }
    }
}

/// Why a record is left as it is here.
pub fn differs_in(differing: &[&str]) -> String {
    format!("it is here already with other {}, and stays as it is here", differing.join(", "))
}

/// A statement with `IN (IDS)`, for so many of them: `$1, $2, …`.
fn with_ids(sql: &str, count: usize) -> String {
    let ids = (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    sql.replace("(IDS)", &format!("({ids})"))
}

/// The same of our own database, with the ids bound.
fn of_ids<'i>(dialect: Dialect, sql: &str, ids: impl Iterator<Item = &'i str>) -> Query {
    let (before, after) = sql.split_once("(IDS)").expect("the statement has a place for ids");
    let mut query = QueryBuilder::new(dialect, before);
    query.push('(');
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id);
    }
    query.push(')').push(after).build()
}
