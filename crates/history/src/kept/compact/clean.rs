//! What nobody needs any more: files of compactors that were killed, and those that were replaced long ago.

use futures::TryStreamExt;
use karat_core::Instant;
use karat_metadata::compactions;
use object_store::path::Path;

use super::{Compacted, Compactor, PREFIX, Removed, folder_name};
use crate::HistoryError;

/// What a plan of removal is made of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Obsolete {
    folders: Vec<String>,
    /// Rows of compactions that were compacted again: their first and last numbers.
    rows: Vec<(u64, u64)>,
}

impl Compactor {
    /// Removes what was replaced before an instant, and what killed compactors left. A reader whose snapshot is older, and
    /// who comes to a part only now, finds its rows where they lie by now.
    pub async fn remove_replaced(&self, before: Instant) -> Result<Removed, HistoryError> {
        let (root, of_source) = (&self.history.0.root, Path::from(self.source.as_str()));
        let compacted = self.history.compacted(&self.source).await?;
        let found = root.store.list_with_delimiter(Some(&of_source)).await.map_err(root.error(&of_source))?;
        let names = found.common_prefixes.iter().filter_map(|folder| folder.filename());
        let obsolete = obsolete(names, &compacted, before);
        // The rows go first: files without a row are removed another time, a row without files is damage.
        let mut transaction = self.history.0.metadata.begin().await?;
        for (first, last) in &obsolete.rows {
            compactions::remove(&mut transaction, &self.source, *first, *last).await?;
        }
        transaction.commit().await?;
        let mut removed = Removed::default();
        for name in &obsolete.folders {
            let folder = of_source.clone().join(name.as_str());
            let objects = root.store.list(Some(&folder)).try_collect::<Vec<_>>().await.map_err(root.error(&folder))?;
            removed.files += objects.len();
            removed.bytes += objects.iter().map(|object| object.size).sum::<u64>();
            root.remove_tree(&folder).await?;
        }
        Ok(removed)
    }
}

fn obsolete<'a>(folders: impl Iterator<Item = &'a str>, compacted: &[Compacted], before: Instant) -> Obsolete {
    let replaced = |first: u64, last: u64, except: Option<usize>| {
        compacted.iter().enumerate().any(|(place, other)| {
            Some(place) != except && other.at <= before && other.first <= first && last <= other.last
        })
    };
    let again = compacted.iter().enumerate().filter(|(place, one)| replaced(one.first, one.last, Some(*place)));
    let rows: Vec<(u64, u64)> = again.map(|(_, one)| (one.first, one.last)).collect();
    let known: Vec<String> = compacted
        .iter()
        .map(|one| (one.first, one.last))
        .filter(|numbers| !rows.contains(numbers))
        .map(|(first, last)| folder_name(first, last))
        .collect();
    let folders = folders.filter(|name| match name.strip_prefix("commit-").map(str::parse::<u64>) {
        // Named by its number, or, of what was pushed, by its first.
        Some(Ok(number)) => replaced(number, number, None),
        Some(Err(_)) => false,
        None => name.starts_with(PREFIX) && !known.iter().any(|known| known == name),
    });
    Obsolete { folders: folders.map(str::to_owned).collect(), rows }
}
