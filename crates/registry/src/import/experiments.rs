//! Which experiment here is which one there, and the making of those that are not here yet.

use std::collections::{BTreeMap, BTreeSet};

use karat_metadata::{MetadataError, query};

use super::Verdict;
use crate::experiments::{by_id, write_tag};
use crate::{Answer, Experiment, Lifecycle, Registry, RegistryError};

/// An experiment of a source, and what it is here.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub there: i64,
    pub here: i64,
    pub verdict: Verdict,
}

/// An artifact location of a source as it is here, given the ids of experiments there and here.
pub type Relocate<'r> = &'r (dyn Fn(&str, &BTreeMap<i64, i64>) -> String + Send + Sync);

impl Registry {
    /// Makes the experiments that are not here. One of the same name is the same one; of another, the id is kept if it is
    /// free.
    pub fn import_experiments<'a>(
        &'a self,
        experiments: &'a [Experiment],
        relocate: Relocate<'a>,
    ) -> Answer<'a, Vec<Placed>> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let rows = query("SELECT id, name FROM experiments").fetch_all(&mut tx).await?;
            let known: BTreeMap<String, i64> =
                rows.iter().map(|row| Ok((row.get("name")?, row.get("id")?))).collect::<Result<_, MetadataError>>()?;
            let ids = plan(experiments, &known);
            let mut placed = Vec::with_capacity(experiments.len());
            for theirs in experiments {
                let here = ids[&theirs.id];
                let verdict = match by_id(&mut tx, here).await? {
                    Some(ours) => Verdict::of(differences(theirs, &ours)),
                    None => {
                        let deleted = theirs.lifecycle_stage == Lifecycle::Deleted;
                        query(
                            "INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time_ms, \
                             last_update_time_ms, deleted_time_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        )
                        .bind(here)
                        .bind(&theirs.name)
                        .bind(relocate(&theirs.artifact_location, &ids))
                        .bind(theirs.lifecycle_stage.as_str())
                        .bind(theirs.creation_time_ms)
                        .bind(theirs.last_update_time_ms)
                        .bind(deleted.then_some(theirs.last_update_time_ms))
                        .execute(&mut tx)
                        .await?;
                        for (key, value) in &theirs.tags {
                            write_tag(&mut tx, here, key, value).await?;
                        }
                        Verdict::New
                    }
                };
                placed.push(Placed { there: theirs.id, here, verdict });
            }
            tx.commit().await?;
            Ok::<_, RegistryError>(placed)
        })
    }
}

/// The id here of each id there. `known`: the names that are here.
fn plan(experiments: &[Experiment], known: &BTreeMap<String, i64>) -> BTreeMap<i64, i64> {
    let mut taken: BTreeSet<i64> = known.values().copied().collect();
    let mut ids: BTreeMap<i64, i64> = experiments
        .iter()
        .filter_map(|experiment| known.get(&experiment.name).map(|here| (experiment.id, *here)))
        .collect();
    let rest = || experiments.iter().map(|experiment| experiment.id);
    // Those that can keep their ids do, before others are given free ones.
    for id in rest() {
        if !ids.contains_key(&id) && taken.insert(id) {
            ids.insert(id, id);
        }
    }
    let mut next = taken.last().copied().unwrap_or_default();
    for id in rest() {
        ids.entry(id).or_insert_with(|| {
            next += 1;
            next
        });
    }
    ids
}

/// Times and places of an experiment that was here before are its own.
fn differences(theirs: &Experiment, ours: &Experiment) -> Vec<&'static str> {
    let differing = [("stage", theirs.lifecycle_stage != ours.lifecycle_stage), ("tags", theirs.tags != ours.tags)];
    differing.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_where_they_are_free_and_names_are_the_same_experiment() {
        let experiment = |id: i64, name: &str| Experiment {
            id,
            name: name.to_owned(),
            artifact_location: String::new(),
            lifecycle_stage: Lifecycle::Active,
            creation_time_ms: 0,
            last_update_time_ms: 0,
            tags: BTreeMap::new(),
        };
        let theirs = [experiment(0, "Default"), experiment(1, "a"), experiment(2, "b"), experiment(7, "c")];
        let known = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
        let planned = |pairs: &[(&str, i64)]| plan(&theirs, &known(pairs)).into_iter().collect::<Vec<_>>();
        assert_eq!(planned(&[]), [(0, 0), (1, 1), (2, 2), (7, 7)]);
        assert_eq!(planned(&[("Default", 0), ("ours", 1)]), [(0, 0), (1, 8), (2, 2), (7, 7)]);
        assert_eq!(planned(&[("b", 1), ("ours", 2), ("c", 3)]), [(0, 0), (1, 4), (2, 1), (7, 3)]);
        // Their Default under another id is ours; another one under 0 moves.
        let renamed = [experiment(0, "old"), experiment(3, "Default")];
        let ids = plan(&renamed, &known(&[("Default", 0)]));
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), [(0, 1), (3, 0)]);
    }
}
