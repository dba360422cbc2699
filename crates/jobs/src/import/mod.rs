//! Moving in: everything that a tracking server recorded, with its files, page by page.
//!
//! What is here already and equal is passed over, so an import that was cut short is run again. What is here and differs stays
//! as it is here, and is told.

mod files;
mod ledger;
mod pages;
mod places;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use anyhow::{Context, Result};
use karat_registry::Experiment;
use karat_registry::import::{
    Counts, ImportRecord, LeftOut, MlflowDatabase, Noun, TrackingSource, Verdict, differs_in,
};
use serde::Serialize;
use serde_json::json;

use crate::{Unit, Usage, Workspace};
use files::{Files, Origin, bytes_below};
use ledger::Ledger;
use places::{Places, is_behind_server, is_the_servers};
use server::MlflowServer;

pub use karat_outbound::Login;
pub use ledger::Side;

/// Where records come from.
#[derive(Clone)]
pub struct Source<'a> {
    /// A database, or the address of a running server.
    pub uri: &'a str,
    /// Who asks a server.
    pub login: Login,
}

/// Where the server's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifacts {
    Unsaid,
    NotTaken,
    At(PathBuf),
}

#[derive(Debug, Serialize)]
pub struct Imported {
    pub source: String,
    pub schema: String,
    pub counts: BTreeMap<Noun, Side>,
    /// Whether all that is there is here, or left out for a reason.
    pub reconciled: bool,
    pub left_out: Vec<LeftOut>,
    /// How many more were left out than are told of.
    pub more_left_out: u64,
    /// What is there and not for us.
    pub remarks: Vec<String>,
    pub seconds: f64,
}

pub async fn mlflow(workspace: &Workspace, source: Source<'_>, artifacts: &Artifacts) -> Result<Imported> {
    let begun = Stopwatch::now();
    let _lock = lock(workspace)?;
    let opened = open(workspace, source).await?;
    let source = opened.records();
    let mut survey = source.survey().await?;
    let experiments = source.experiments().await?;
    let folder = folder(artifacts, &experiments, &opened)?;
    let mut import = Import {
        workspace,
        places: Places::new(folder.as_deref(), &experiments),
        files: open_files(workspace, folder, &opened, artifacts)?,
        counted: survey.counts.is_some(),
        source,
        ledger: Ledger::default(),
        taken: BTreeSet::new(),
    };
    import.ledger.there = survey.counts.take().unwrap_or_default();
    import.all(&experiments).await?;
    if import.files.is_none() && is_with_server(&experiments).is_some() {
        survey.remarks.push("files: they were not asked for (--artifacts none)".to_owned());
    } else if let (Opened::Server(_), Artifacts::Unsaid, Some(experiment)) =
        (&opened, artifacts, experiments.iter().find(|one| is_on_disk(one)))
    {
        survey.remarks.push(format!(
            "files of experiments such as `{}`: they lie on the server's disk ({}), which it does not give; --artifacts DIR \
             takes them from that folder",
            experiment.name, experiment.artifact_location
        ));
    }
    let Import { ledger, source, .. } = import;
    let counts = ledger.sides();
    let kept = |side: &Side| json!({"there": side.there, "here": side.here, "left_out": side.left_out});
    let record = json!(counts.iter().map(|(noun, side)| (noun, kept(side))).collect::<BTreeMap<_, _>>());
    let (actor, now) = (workspace.actor.as_str(), workspace.clock.now());
    workspace.registry.record_import(ImportRecord { source: source.label(), counts: &record, actor, now }).await?;
    Ok(Imported {
        source: source.label().to_owned(),
        schema: survey.schema,
        reconciled: counts.values().all(Side::reconciles),
        counts,
        left_out: ledger.left_out,
        more_left_out: ledger.more,
        remarks: survey.remarks,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// An import under way.
struct Import<'a> {
    workspace: &'a Workspace,
    source: &'a dyn TrackingSource,
    /// Whether the source told its counts before it was read.
    counted: bool,
    places: Places,
    /// `None` where files are not taken.
    files: Option<Files>,
    ledger: Ledger,
    /// Places of versions that were taken already: copies of a version share one.
    taken: BTreeSet<String>,
}

impl Import<'_> {
    async fn all(&mut self, experiments: &[Experiment]) -> Result<()> {
        self.experiments(experiments).await?;
        self.runs().await?;
        self.logged_models().await?;
        self.registered_models().await
    }

    async fn experiments(&mut self, experiments: &[Experiment]) -> Result<()> {
        let places = &self.places;
        let relocate = |uri: &str, ids: &BTreeMap<i64, i64>| places.uri_under(uri, ids);
        let placed = self.workspace.registry.import_experiments(experiments, &relocate).await?;
        for (experiment, placed) in experiments.iter().zip(&placed) {
            let counts = Counts::of([(Noun::Experiments, 1), (Noun::ExperimentTags, experiment.tags.len())]);
            self.seen(&counts);
            match &placed.verdict {
                Verdict::Left(differing) => self.ledger.leave(LeftOut {
                    what: format!("experiment {}", experiment.name),
                    why: differs_in(differing),
                    counts,
                }),
                verdict => {
                    if *verdict == Verdict::New {
                        self.ledger.new += &counts;
                    }
                    let here = self.workspace.registry.experiment_by_id(placed.here).await?;
                    self.ledger.here.add(Noun::Experiments, 1);
                    self.ledger.here.add(Noun::ExperimentTags, here.tags.len() as u64);
                }
            }
        }
        self.places.ids = placed.iter().map(|placed| (placed.there, placed.here)).collect();
        Ok(())
    }

    /// Takes note of what was read, where only reading tells what there is.
    fn seen(&mut self, counts: &Counts) {
        if !self.counted {
            self.ledger.there += counts;
        }
    }
}

/// A source by its scheme.
enum Opened {
    Database(Box<MlflowDatabase>),
    Server(Arc<MlflowServer>),
}

impl Opened {
    fn records(&self) -> &dyn TrackingSource {
        match self {
            Opened::Database(database) => database.as_ref(),
            Opened::Server(server) => server.as_ref(),
        }
    }
}

async fn open(workspace: &Workspace, source: Source<'_>) -> Result<Opened> {
    let Source { uri, login } = source;
    // SQLAlchemy's addresses name a driver, too: `postgresql+psycopg2://`.
    match uri.split_once("://").map(|(scheme, _)| scheme.split('+').next().unwrap_or(scheme)) {
        None | Some("sqlite" | "postgres" | "postgresql") => {
            Ok(Opened::Database(Box::new(MlflowDatabase::open(uri).await?)))
        }
        Some("http" | "https") => {
            let now_ms = workspace.clock.now().micros().div_euclid(1_000);
            Ok(Opened::Server(Arc::new(MlflowServer::new(uri, login, now_ms)?)))
        }
        Some(other) => Err(Usage(format!(
            "`{other}://` is nowhere Karat imports from: give the server's database, sqlite:////PATH/mlflow.db or \
             postgresql://USER:PASSWORD@HOST/DATABASE, or the address of the running server, http://HOST:5000"
        ))
        .into()),
    }
}

/// One import at a time; whoever dies leaves the lock.
fn lock(workspace: &Workspace) -> Result<File> {
    let path = workspace.state().join("import.lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(karat_registry::RegistryError::Conflict("another import into this project is under way".into()).into())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// An experiment whose files only the server has.
fn is_with_server(experiments: &[Experiment]) -> Option<&Experiment> {
    experiments.iter().find(|experiment| is_the_servers(&experiment.artifact_location))
}

fn is_on_disk(experiment: &Experiment) -> bool {
    is_the_servers(&experiment.artifact_location) && !is_behind_server(&experiment.artifact_location)
}

/// The folder to take files from. Whoever forgets to name it would find runs without their files later; a running server
/// gives them itself.
fn folder(artifacts: &Artifacts, experiments: &[Experiment], opened: &Opened) -> Result<Option<PathBuf>> {
    match artifacts {
        Artifacts::NotTaken => Ok(None),
        Artifacts::Unsaid if matches!(opened, Opened::Server(_)) => Ok(None),
        Artifacts::At(folder) if folder.is_dir() => Ok(Some(folder.clone())),
        Artifacts::At(folder) => {
            Err(Usage(format!("--artifacts {}: there is no such folder", folder.display())).into())
        }
        Artifacts::Unsaid => match is_with_server(experiments) {
            None => Ok(None),
            Some(experiment) => Err(Usage(format!(
                "files of experiment `{}` lie with the server ({}): --artifacts DIR says where that folder is (its \
                 --artifacts-destination or default artifact root), --artifacts none leaves files out",
                experiment.name, experiment.artifact_location
            ))
            .into()),
        },
    }
}

fn open_files(
    workspace: &Workspace,
    folder: Option<PathBuf>,
    opened: &Opened,
    artifacts: &Artifacts,
) -> Result<Option<Files>> {
    let (origin, bytes) = match (folder, opened) {
        (Some(folder), _) => {
            let bytes = bytes_below(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
            (Origin::Folder(folder), bytes)
        }
        (None, Opened::Server(server)) if *artifacts == Artifacts::Unsaid => (Origin::Server(server.clone()), 0),
        (None, _) => return Ok(None),
    };
    let stage = workspace.observer.begin("artifacts", bytes, Unit::Bytes);
    Ok(Some(Files::new(origin, workspace.tracked_artifacts().clone(), workspace.temporary()?, stage)))
}
