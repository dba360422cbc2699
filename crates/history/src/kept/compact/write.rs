//! The rows of consecutive commits once more, a part for each partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use karat_core::{Instant, hidden};
use karat_metadata::compactions::{self, HistoryCompaction};
use object_store::path::Path;

use super::manifest::{Merged, MergedCommit, MergedPart};
use super::{CompactionPlan, Compactor, Merge, folder};
use crate::HistoryError;
use crate::kept::columns::Columns;
use crate::kept::commit::full_schema;
use crate::kept::manifest_of;
use crate::kept::part::Part;
use crate::parts::{PartWriter, Written};

impl Compactor {
    /// What is to be done; it stays true as long as this is held.
    pub async fn plan(&self, sizes: super::Sizes) -> Result<CompactionPlan, HistoryError> {
        self.history.compaction(&self.source, sizes).await
    }

    /// Does one of a plan's merges: all of it, or, after an error, nothing. `progress` is told of rows. Gives the bytes of
    /// the new parts.
    pub fn merge<'a>(
        &'a self,
        plan: &'a CompactionPlan,
        merge: Merge,
        at: Instant,
        progress: &'a (dyn Fn(u64) + Send + Sync),
    ) -> BoxFuture<'a, Result<u64, HistoryError>> {
        Box::pin(async move {
            let Merge { first, last, .. } = merge;
            let changed = || HistoryError::Rows {
                source_name: self.source.to_string(),
                problem: format!("commits {first} to {last} are not what they were when this was planned"),
            };
            let columns = plan.columns.get(&first).ok_or_else(changed)?;
            let snapshot = self.history.sealed(&self.source, Some(last)).await?.ok_or_else(changed)?.since(first - 1);
            let commits = self.commits(first, last).await?;
            // What a killed compactor left.
            self.history.0.root.remove_tree(&folder(&self.source, first, last)).await?;
            let reading = Arc::new(Columns::new(self.source.clone(), columns, &hidden::ALL));
            let mut partitions: BTreeMap<u32, Vec<&Part>> = BTreeMap::new();
            for part in &snapshot.parts {
                partitions.entry(part.partition).or_default().push(part);
            }
            let mut parts = Vec::with_capacity(partitions.len());
            for (partition, of) in partitions {
                let path = folder(&self.source, first, last).join(format!("part-{partition:03}.parquet"));
                let mut writer = PartWriter::of_several(&self.history.0.root, path, full_schema(columns))?;
                let mut batches = snapshot.read(reading.clone(), Some(partition));
                while let Some(batch) = batches.try_next().await? {
                    progress(batch.num_rows() as u64);
                    writer.write(&batch).await?;
                }
                parts.push(part_of(writer.finish().await?, partition, &of, &commits)?);
            }
            let paths: Vec<Path> = parts.iter().map(|part| Path::from(part.path.as_str())).collect();
            self.history.0.root.settle(&paths).await?;
            let bytes = parts.iter().map(|part| part.bytes).sum();
            let manifest = Merged::new(columns.clone(), commits, parts).to_json();
            let compaction = HistoryCompaction { source: self.source.clone(), first, last, at, manifest };
            let mut transaction = self.history.0.metadata.begin().await?;
            compactions::insert(&mut transaction, &compaction).await?;
            transaction.commit().await?;
            Ok(bytes)
        })
    }

    async fn commits(&self, first: u64, last: u64) -> Result<Vec<MergedCommit>, HistoryError> {
        let commits = self.history.rows(&self.source).await?;
        let within = commits.iter().filter(|commit| (first..=last).contains(&commit.number));
        within.map(|commit| Ok(MergedCommit { number: commit.number, first: manifest_of(commit)?.first })).collect()
    }
}

/// What was written holds what each commit has, or it is no part.
fn part_of(
    written: Written,
    partition: u32,
    of: &[&Part],
    commits: &[MergedCommit],
) -> Result<MergedPart, HistoryError> {
    let mut rows = vec![0; commits.len()];
    for run in of.iter().flat_map(|part| part.runs.iter()) {
        match commits.binary_search_by_key(&run.commit, |commit| commit.number) {
            Ok(place) => rows[place] += run.rows,
            Err(_) => return Err(HistoryError::corrupt(&written.path, format!("there is no commit {}", run.commit))),
        }
    }
    if rows.iter().sum::<u64>() != written.rows {
        let problem = format!("{} rows were read for it, {} are known", written.rows, rows.iter().sum::<u64>());
        return Err(HistoryError::corrupt(&written.path, problem));
    }
    Ok(MergedPart { path: written.path.to_string(), partition, rows, bytes: written.bytes, sha256: written.digest })
}
