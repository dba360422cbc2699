//! The records of a source, page by page.

use std::collections::BTreeSet;

use anyhow::Result;
use karat_core::RunId;
use karat_registry::import::{
    Counts, History, ImportLoggedModel, ImportModel, ImportRun, ImportedBy, LATEST, LeftOut, Noun, PLACE, Verdict,
    differs_in,
};
use karat_registry::{LoggedModelStatus, Metric};

use super::Import;
use super::files::Missing;
use crate::{Stage, Unit};

/// Points of metrics that are written in one transaction.
const POINTS: usize = 20_000;

impl Import<'_> {
    pub(super) async fn runs(&mut self) -> Result<()> {
        let rows = [Noun::Runs, Noun::MetricPoints].into_iter().map(|noun| self.ledger.there.get(noun)).sum();
        let stage = self.workspace.observer.begin("runs and their metrics", rows, Unit::Rows);
        let mut page = None;
        loop {
            let read = self.source.runs(page.as_deref()).await?;
            let mut runs = Vec::with_capacity(read.items.len());
            for found in read.items {
                match found {
                    Ok(run) => self.run_of_an_experiment(run, &mut runs),
                    Err(left) => {
                        self.seen(&left.counts);
                        self.ledger.leave(left);
                    }
                }
            }
            self.page_of_runs(runs, stage.as_ref()).await?;
            page = read.next;
            if page.is_none() {
                return Ok(());
            }
        }
    }

    /// Its experiment's id is the one here from now on, its files' place is still theirs.
    fn run_of_an_experiment(&mut self, mut run: ImportRun, runs: &mut Vec<ImportRun>) {
        match self.places.ids.get(&run.run.experiment_id) {
            Some(here) => {
                run.run.experiment_id = *here;
                runs.push(run);
            }
            None => {
                let why = format!("its experiment {} is not there", run.run.experiment_id);
                let mut counts = run.counts();
                counts.add(Noun::MetricPoints, run.history.unwrap_or_default().points);
                self.seen(&counts);
                self.ledger.leave(LeftOut { what: what(&run), why, counts });
            }
        }
    }

    async fn page_of_runs(&mut self, mut runs: Vec<ImportRun>, stage: &dyn Stage) -> Result<()> {
        let registry = &self.workspace.registry;
        let places: Vec<String> = runs.iter().map(|run| run.run.artifact_uri.clone()).collect();
        for run in &mut runs {
            run.run.artifact_uri = self.places.uri(&run.run.artifact_uri);
        }
        let verdicts = registry.import_runs(&runs).await?;
        let histories = self.histories(&runs, &verdicts, stage).await?;
        let ids: Vec<&RunId> = runs.iter().map(|run| &run.run.run_id).collect();
        let held = registry.histories(&ids).await?;
        let mut agreed = Vec::with_capacity(runs.len());
        for (place, run) in runs.iter().enumerate() {
            let mut counts = run.counts();
            counts.add(Noun::MetricPoints, histories[place].points);
            self.seen(&counts);
            let why = match &verdicts[place] {
                Verdict::Left(differing) => differs_in(differing),
                _ if histories[place] != held[place] => differs_in(&["points of metrics"]),
                verdict => {
                    if *verdict == Verdict::New {
                        self.ledger.new += &run.counts();
                    }
                    agreed.push(ids[place]);
                    continue;
                }
            };
            self.ledger.leave(LeftOut { what: what(run), why, counts });
        }
        self.ledger.here += &registry.import_count(&agreed).await?;
        for ((run, uri), verdict) in runs.iter().zip(&places).zip(&verdicts) {
            self.files_of(&what(run), uri, Missing::IsUsual, verdict).await?;
        }
        Ok(())
    }

    /// What the source has of the runs' histories; what is missing of them here is written.
    async fn histories(&mut self, runs: &[ImportRun], verdicts: &[Verdict], stage: &dyn Stage) -> Result<Vec<History>> {
        let registry = &self.workspace.registry;
        let ids: Vec<&RunId> = runs.iter().map(|run| &run.run.run_id).collect();
        let held = registry.histories(&ids).await?;
        let mut histories = Vec::with_capacity(runs.len());
        let mut waiting: Vec<(RunId, Metric)> = Vec::new();
        for ((run, verdict), held) in runs.iter().zip(verdicts).zip(held) {
            stage.advance(1);
            let other = matches!(verdict, Verdict::Left(differing) if differing.contains(&LATEST));
            if let Some(history) = run.history.filter(|history| other || *history == held) {
                stage.advance(history.points);
                histories.push(history);
                continue;
            }
            let (mut history, mut page) = (History::default(), None);
            loop {
                let read = self.source.points(&run.run, page.as_deref()).await?;
                stage.advance(read.items.len() as u64);
                for metric in read.items {
                    history.add(&metric);
                    if !other {
                        waiting.push((run.run.run_id.clone(), metric));
                    }
                }
                if waiting.len() >= POINTS {
                    let written = registry.import_points(&waiting).await?;
                    self.ledger.new.add(Noun::MetricPoints, written);
                    waiting.clear();
                }
                page = read.next;
                if page.is_none() {
                    break;
                }
            }
            histories.push(history);
        }
        if !waiting.is_empty() {
            let written = registry.import_points(&waiting).await?;
            self.ledger.new.add(Noun::MetricPoints, written);
        }
        Ok(histories)
    }

    pub(super) async fn logged_models(&mut self) -> Result<()> {
        let _stage = self.workspace.observer.begin("logged models", 0, Unit::Rows);
        let mut page = None;
        loop {
            let read = self.source.logged_models(page.as_deref()).await?;
            self.page_of_logged_models(read.items).await?;
            page = read.next;
            if page.is_none() {
                return Ok(());
            }
        }
    }

    async fn page_of_logged_models(&mut self, mut models: Vec<ImportLoggedModel>) -> Result<()> {
        let registry = &self.workspace.registry;
        let runs: BTreeSet<&str> =
            models.iter().flat_map(|one| one.model.metrics.iter().map(|metric| metric.run_id.as_str())).collect();
        let known = registry.known_runs(&runs).await?;
        let places: Vec<String> = models.iter().map(|one| one.model.artifact_location.clone()).collect();
        for one in &mut models {
            self.seen(&one.counts());
            let model = &mut one.model;
            model.artifact_location = self.places.uri(&model.artifact_location);
            model.experiment_id = self.places.ids.get(&model.experiment_id).copied().unwrap_or_default();
            let all = model.metrics.len();
            model.metrics.retain(|metric| known.contains(&metric.run_id));
            if model.metrics.len() < all {
                self.ledger.leave(LeftOut {
                    what: format!("metrics of logged model {}", model.model_id),
                    why: "the runs that measured them are not here".to_owned(),
                    counts: Counts::of([(Noun::LoggedModelMetrics, all - model.metrics.len())]),
                });
            }
        }
        let verdicts = registry.import_logged_models(&models).await?;
        let mut agreed = Vec::with_capacity(models.len());
        for (one, verdict) in models.iter().zip(&verdicts) {
            match verdict {
                Verdict::Left(differing) => self.ledger.leave(LeftOut {
                    what: format!("logged model {}", one.model.model_id),
                    why: differs_in(differing),
                    counts: one.counts(),
                }),
                verdict => {
                    if *verdict == Verdict::New {
                        self.ledger.new += &one.counts();
                    }
                    agreed.push(one.model.model_id.as_str());
                }
            }
        }
        self.ledger.here += &registry.import_count_of_models(&agreed).await?;
        for ((one, uri), verdict) in models.iter().zip(&places).zip(&verdicts) {
            let missing = match one.model.status {
                LoggedModelStatus::Ready if !one.deleted => Missing::IsTold,
                _ => Missing::IsUsual,
            };
            self.files_of(&format!("logged model {}", one.model.model_id), uri, missing, verdict).await?;
        }
        Ok(())
    }

    pub(super) async fn registered_models(&mut self) -> Result<()> {
        let _stage = self.workspace.observer.begin("registered models", 0, Unit::Rows);
        let mut page = None;
        loop {
            let read = self.source.registered_models(page.as_deref()).await?;
            for model in read.items {
                self.registered_model(model).await?;
            }
            page = read.next;
            if page.is_none() {
                return Ok(());
            }
        }
    }

    async fn registered_model(&mut self, mut model: ImportModel) -> Result<()> {
        let mut counts = model.counts();
        counts.add(Noun::Aliases, model.aliases.len() as u64);
        let mut places = Vec::new();
        for version in &mut model.versions {
            counts += &version.counts();
            let uri = if version.storage_location.is_empty() { &version.source } else { &version.storage_location };
            if !version.deleted {
                places.push((format!("version {}/{}", model.name, version.version), uri.clone()));
            }
            version.source = self.places.uri(&version.source);
            version.storage_location = self.places.uri(&version.storage_location);
        }
        self.seen(&counts);
        let why = format!("imported from {}", self.source.label());
        let by = ImportedBy { actor: &self.workspace.actor, why: &why, now: self.workspace.clock.now() };
        let imported = self.workspace.registry.import_model(&model, by).await?;
        self.ledger.here += &imported.here;
        self.ledger.new += &imported.new;
        let whole = imported.left_out.iter().any(|left| left.counts.get(Noun::Versions) == model.versions.len() as u64);
        for left in imported.left_out {
            self.ledger.leave(left);
        }
        for (what, uri) in places.into_iter().filter(|_| !whole) {
            self.files_of_version(&what, &uri).await?;
        }
        Ok(())
    }

    /// Files that a run or a logged model has came with it.
    async fn files_of_version(&mut self, what: &str, uri: &str) -> Result<()> {
        let Some(place) = self.places.of(uri) else { return Ok(()) };
        if !self.taken.insert(place.there.clone()) {
            return Ok(());
        }
        let owners: BTreeSet<&str> = place.there.split('/').collect();
        if !self.workspace.registry.known_runs(&owners).await?.is_empty() {
            return self.only_look(what, &place.there).await;
        }
        for owner in owners.iter().filter(|owner| owner.starts_with("m-")) {
            if self.workspace.registry.logged_model(owner, true).await.is_ok() {
                return self.only_look(what, &place.there).await;
            }
        }
        self.files_of(what, uri, Missing::IsTold, &Verdict::New).await
    }

    async fn only_look(&mut self, what: &str, there: &str) -> Result<()> {
        if let Some(files) = &self.files {
            files.look(what, there, &mut self.ledger).await?;
        }
        Ok(())
    }

    /// A record that lies elsewhere here has its own files.
    async fn files_of(&mut self, what: &str, uri: &str, missing: Missing, verdict: &Verdict) -> Result<()> {
        if matches!(verdict, Verdict::Left(differing) if differing.contains(&PLACE)) {
            return Ok(());
        }
        match (&self.files, self.places.of(uri)) {
            (Some(files), Some(place)) => files.take(what, &place, missing, &mut self.ledger).await,
            _ => Ok(()),
        }
    }
}

fn what(run: &ImportRun) -> String {
    format!("run {}", run.run.run_id)
}
