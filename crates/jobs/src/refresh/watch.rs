//! Sources that are watched: what is put among their files is taken in without anybody asking.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant as Stopwatch};

use anyhow::Result;
use karat_core::Name;

use super::Refresher;
use crate::freshness::{self, Look};
use crate::{Catalog, released};

/// After something failed, however often it is looked at.
const RETRY: Duration = Duration::from_secs(60);

/// Sources by what they looked like last.
#[derive(Default)]
pub(super) struct Watch {
    catalog: Option<(u64, Catalog)>,
    looks: BTreeMap<Name, Looked>,
}

struct Looked {
    next: Stopwatch,
    /// What is not in history yet. It is taken in when it looks the same the next time: files are written meanwhile.
    unseen: Option<Look>,
    /// What is wrong, as it was told.
    told: Option<String>,
}

impl Watch {
    /// Takes in what is new in the sources whose time has come.
    pub async fn look(&mut self, refresher: &Refresher) {
        if let Err(error) = self.follow(refresher).await {
            tracing::debug!(error = format!("{error:#}"), "watched sources are as the release before has them");
        }
        let Some((_, catalog)) = &self.catalog else { return };
        let now = Stopwatch::now();
        for (name, planned) in &catalog.sources {
            let Some(every) = planned.plan.source().watch else { continue };
            let first = Looked { next: now, unseen: None, told: None };
            let looked = self.looks.entry(name.clone()).or_insert(first);
            if now < looked.next {
                continue;
            }
            looked.next = now + every.duration();
            match taken_in(refresher, catalog, name, &mut looked.unseen).await {
                Ok(()) => looked.told = None,
                Err(error) => {
                    looked.next = now + every.duration().max(RETRY);
                    let problem = format!("{error:#}");
                    if looked.told.as_ref() != Some(&problem) {
                        tracing::error!(source = %name, error = problem, "what is new could not be taken in");
                    }
                    looked.told = Some(problem);
                }
            }
        }
    }

    async fn follow(&mut self, refresher: &Refresher) -> Result<()> {
        let workspace = &refresher.workspace;
        let generation = workspace.registry.generation().await?;
        if self.catalog.as_ref().is_some_and(|(known, _)| *known == generation) {
            return Ok(());
        }
        let (_, project) = released::current(&workspace.registry, &workspace.project).await?;
        self.catalog = Some((generation, tokio::task::block_in_place(|| Catalog::compile(&project))?));
        Ok(())
    }
}

async fn taken_in(refresher: &Refresher, catalog: &Catalog, name: &Name, unseen: &mut Option<Look>) -> Result<()> {
    let workspace = &refresher.workspace;
    let Some(look) = freshness::unseen(workspace, catalog, &catalog.sources[name]).await? else {
        *unseen = None;
        return Ok(());
    };
    if unseen.as_ref() != Some(&look) {
        *unseen = Some(look);
        return Ok(());
    }
    // Whatever becomes of it is not tried again before something changes, or its time comes.
    *unseen = None;
    let mut sources = BTreeSet::from([name.clone()]);
    for (below, planned) in &catalog.sources {
        if planned.upstream.iter().any(|above| sources.contains(above)) {
            sources.insert(below.clone());
        }
    }
    let of_these = catalog.views.iter().filter(|(_, view)| sources.contains(&view.spec.source));
    let views: Vec<Name> = of_these.map(|(name, _)| name.clone()).collect();
    refresher.refresh(catalog, &sources, &views).await.map(drop)
}
