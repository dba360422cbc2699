//! What a source's rows look like, against its contract and the label of a model that learns from it.

mod label;
mod page;

use std::sync::Arc;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result, bail};
use karat_core::profile::Profile;
use karat_project::spec::Model;
use karat_query::{ContractReport, NoLabel, TrainingLabel};
use serde::Serialize;

use crate::catalog::PlannedSource;
use crate::observer::Reading;
use crate::{NotFound, Unit, Usage, Workspace, ingest};

pub use page::html;

/// A source looked at; nothing is ingested.
#[derive(Debug, Serialize)]
pub struct Profiled {
    pub profile: Profile,
    pub report: ContractReport,
    /// Why the delivery would be refused, where a rule refuses it.
    pub refused: Option<String>,
    pub seconds: f64,
}

/// Whose label the rates are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelOf<'a> {
    /// The first model of the project whose spine the source is, with the label in a column of it, if any.
    First,
    Model(&'a str),
}

/// What an SQL source reads must have been ingested: it is first, when it was not.
pub async fn run(workspace: &Workspace, name: &str, label: LabelOf<'_>) -> Result<Profiled> {
    let begun = Stopwatch::now();
    let catalog = workspace.catalog()?;
    let Some(planned) = catalog.sources.get(name) else {
        bail!(NotFound::named("source", name, catalog.sources.keys()));
    };
    let model = model_of(workspace, planned, label)?;
    ingest::upstream(workspace, &catalog, planned).await?;
    let tables = ingest::tables(workspace, &catalog, planned).await?;
    let reading = workspace.observer.begin(&format!("reading {name}"), 0, Unit::Bytes);
    let progress = Arc::new(Reading(reading));
    let occasion = ingest::occasion(workspace, planned).await?;
    let profiling = karat_query::profile(&workspace.engine, &planned.plan, &tables, occasion, progress);
    let profiling = profiling.await.with_context(|| format!("source {name}"))?;
    let stage = workspace.observer.begin(&format!("counting {name}"), 0, Unit::Rows);
    let profile = tokio::task::block_in_place(|| {
        let mut label: Box<dyn TrainingLabel + '_> = match model {
            None => Box::new(NoLabel),
            Some(model) => match label::ModelLabel::new(workspace, model, &profiling.staged) {
                Ok(label) => Box::new(label),
                Err(error) => {
                    let model = &model.name;
                    workspace.observer.say(&format!("no rates of the label of {model}: {error:#}"));
                    Box::new(NoLabel)
                }
            },
        };
        profiling.finish(label.as_mut())
    })?;
    drop(stage);
    Ok(Profiled {
        profile,
        refused: profiling.staged.report.refusal(),
        report: profiling.staged.report.clone(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn model_of<'a>(workspace: &'a Workspace, planned: &PlannedSource, label: LabelOf<'_>) -> Result<Option<&'a Model>> {
    let source = &planned.plan.source().name;
    match label {
        LabelOf::First => {
            let has_it = |model: &&Model| model.spine.source == *source && model.spine.label.column().is_some();
            Ok(workspace.project.models().values().find(has_it))
        }
        LabelOf::Model(name) => {
            let model = workspace.model(name)?;
            if model.spine.source != *source {
                bail!(Usage(format!(
                    "model {name} has its label on the rows of {}, not of {source}",
                    model.spine.source
                )));
            }
            if model.spine.label.column().is_none() {
                bail!(Usage(format!(
                    "the label of model {name} is what later events make of it: no column of {source} holds it"
                )));
            }
            Ok(Some(model))
        }
    }
}
