//! Who takes which features: the newest version of every model and those with an alias, by what they pin; and models
//! whose file takes them, before there is such a version.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use karat_core::{Digest, Name};
use karat_model::FEATURES_FILE;
use karat_project::Project;
use karat_registry::{ModelVersion, VersionStatus};
use karat_report::catalogue::Use;
use karat_serving::{InputOrigin, Pinned};

use super::CatalogueReader;
use crate::Catalog;

/// A version, or a model's file, and what it takes.
pub(super) struct Taken {
    /// For views of today's definition.
    pub used: Use,
    pub views: BTreeMap<Name, TakenView>,
    /// The definitions that the project's views have now.
    today: BTreeMap<Name, Digest>,
}

pub(super) struct TakenView {
    /// The definition pinned, and the source that it is over.
    pub digest: Digest,
    pub source: Name,
    pub features: Vec<String>,
}

impl Taken {
    fn of(used: Use, pinned: &Pinned, today: &BTreeMap<Name, Digest>) -> Taken {
        let mut views: BTreeMap<Name, TakenView> = BTreeMap::new();
        for input in &pinned.inputs {
            let InputOrigin::View { view, .. } = input.origin else { continue };
            let Some(view) = pinned.views.get(view) else { continue };
            let taken = views.entry(view.name.clone()).or_insert_with(|| TakenView {
                digest: view.digest.clone(),
                source: view.definition.source.name.clone(),
                features: Vec::new(),
            });
            taken.features.push(input.name.clone());
        }
        Taken { used, views, today: today.clone() }
    }

    /// What is to be said of one view's features.
    fn use_of(&self, view: &Name) -> Use {
        let pinned = self.views.get(view).map(|taken| &taken.digest);
        Use { current: pinned == self.today.get(view), ..self.used.clone() }
    }
}

/// The newest version of each model first, then those with an alias; models without a version as their files have them.
pub(super) async fn versions(reader: &CatalogueReader, project: &Project, catalog: &Catalog) -> Result<Vec<Taken>> {
    let today = today(catalog);
    let mut all = Vec::new();
    for model in reader.registry.models().await? {
        let mut numbers: Vec<u64> = model.aliases.values().copied().chain([model.versions]).collect();
        numbers.retain(|number| *number > 0);
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers.into_iter().rev() {
            let version = reader.registry.version(&model.name, number).await?;
            // What is not stored yet, or came from elsewhere, pins nothing of ours.
            if version.status != VersionStatus::Ready || version.digest.is_none() {
                continue;
            }
            let Ok(name) = Name::new(&model.name) else { continue };
            let pinned = pinned(reader, &version).await?;
            let used = Use {
                model: name.clone(),
                version: Some(number),
                aliases: version.aliases.clone(),
                current: false,
                endpoints: endpoints(project, &name, &version.aliases),
            };
            all.push(Taken::of(used, &pinned, &today));
        }
    }
    let untrained = files(project, catalog).into_iter();
    let untrained: Vec<Taken> =
        untrained.filter(|file| all.iter().all(|taken| taken.used.model != file.used.model)).collect();
    all.extend(untrained);
    Ok(all)
}

/// What the models' files take, trained or not.
pub(super) fn files(project: &Project, catalog: &Catalog) -> Vec<Taken> {
    let today = today(catalog);
    let taken = project.models().iter().filter_map(|(name, spec)| {
        let pinned = crate::pinned::pin(catalog, project, spec).ok()?;
        let used =
            Use { model: name.clone(), version: None, aliases: Vec::new(), current: false, endpoints: Vec::new() };
        Some(Taken::of(used, &pinned, &today))
    });
    taken.collect()
}

fn today(catalog: &Catalog) -> BTreeMap<Name, Digest> {
    catalog.views.iter().map(|(name, planned)| (name.clone(), planned.digest.clone())).collect()
}

async fn pinned(reader: &CatalogueReader, version: &ModelVersion) -> Result<Pinned> {
    let bytes = reader.artifacts.get(&format!("{}/{FEATURES_FILE}", version.source)).await;
    let bytes = bytes.with_context(|| format!("{} has no {FEATURES_FILE}", version.label()))?;
    Pinned::from_file(&bytes).map_err(anyhow::Error::msg)
}

/// Endpoints that answer with the version of these aliases.
fn endpoints(project: &Project, model: &Name, aliases: &[String]) -> Vec<Name> {
    let answers = project
        .endpoints()
        .values()
        .filter(|endpoint| endpoint.model == *model && aliases.iter().any(|alias| alias == endpoint.alias.as_str()));
    answers.map(|endpoint| endpoint.name.clone()).collect()
}

/// By feature service: the features it has of each view.
pub(super) type Services = BTreeMap<Name, BTreeMap<Name, Vec<String>>>;

pub(super) fn services(project: &Project, catalog: &Catalog) -> Services {
    let mut services = Services::new();
    for (name, service) in project.services() {
        let views = services.entry(name.clone()).or_default();
        for (view, features) in catalog.features_of(service) {
            views.entry(view).or_default().extend(features);
        }
    }
    services
}

/// The services that have this feature of the view, or any of it.
pub(super) fn serving(services: &Services, view: &Name, feature: Option<&str>) -> Vec<Name> {
    let has = |views: &BTreeMap<Name, Vec<String>>| {
        views.get(view).is_some_and(|features| feature.is_none_or(|name| features.iter().any(|other| other == name)))
    };
    services.iter().filter(|(_, views)| has(views)).map(|(name, _)| name.clone()).collect()
}

pub(super) fn of_view(taken: &[Taken], view: &Name) -> Vec<Use> {
    taken.iter().filter(|taken| taken.views.contains_key(view)).map(|taken| taken.use_of(view)).collect()
}

pub(super) fn of_feature(taken: &[Taken], view: &Name, feature: &str) -> Vec<Use> {
    let takes =
        |taken: &&Taken| taken.views.get(view).is_some_and(|taken| taken.features.iter().any(|name| name == feature));
    taken.iter().filter(takes).map(|taken| taken.use_of(view)).collect()
}
