//! The catalogue that a server tells: the jobs' own, behind the server's words for it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;
use karat_core::ErrorKind;
use karat_jobs::catalogue::ReleasedCatalogue;
use karat_jobs::{Workspace, kind_of};
use karat_report::catalogue::ViewEntry;
use karat_report::lineage::Lineage;
use karat_server::{Catalogue, CatalogueError};
use tokio::runtime::Handle;

/// Reads on the process's own threads: those that answer requests have others waiting.
pub struct Told {
    catalogue: Arc<ReleasedCatalogue>,
    threads: Handle,
}

impl Told {
    pub async fn of(workspace: &Workspace) -> Result<Told> {
        Ok(Told { catalogue: Arc::new(ReleasedCatalogue::of(workspace).await?), threads: Handle::current() })
    }

    fn ask<T, F>(&self, read: impl FnOnce(Arc<ReleasedCatalogue>) -> F) -> BoxFuture<'static, Result<T, CatalogueError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let reading = self.threads.spawn(read(self.catalogue.clone()));
        Box::pin(async move {
            let ended = reading.await.map_err(|failed| failed.into());
            ended.and_then(|read| read).map_err(|error: anyhow::Error| CatalogueError {
                kind: match kind_of(&error) {
                    // Who asks names views only: whatever else is missing is not theirs to know.
                    ErrorKind::NotFound if !error.is::<karat_jobs::NotFound>() => ErrorKind::Internal,
                    kind => kind,
                },
                message: format!("{error:#}"),
            })
        })
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Catalogue for Told {
    fn views(&self) -> BoxFuture<'_, Result<Vec<ViewEntry>, CatalogueError>> {
        self.ask(|catalogue| async move { catalogue.views().await })
    }

    fn view<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ViewEntry, CatalogueError>> {
        let name = name.to_owned();
        self.ask(|catalogue| async move { catalogue.view(&name).await })
    }

    fn lineage(&self) -> BoxFuture<'_, Result<Lineage, CatalogueError>> {
        self.ask(|catalogue| async move { catalogue.lineage().await })
    }
}
