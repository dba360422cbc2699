use std::fmt::Debug;

use futures::future::BoxFuture;
use karat_core::ErrorKind;
use karat_report::catalogue::ViewEntry;
use karat_report::lineage::Lineage;

/// What a server tells of its project besides decisions: the feature catalogue and the lineage of the current release. Who
/// knows the project's stores answers; the server only shows it.
pub trait Catalogue: Send + Sync + Debug {
    fn views(&self) -> BoxFuture<'_, Result<Vec<ViewEntry>, CatalogueError>>;
    /// One view; [`ErrorKind::NotFound`] where there is none of this name.
    fn view<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ViewEntry, CatalogueError>>;
    fn lineage(&self) -> BoxFuture<'_, Result<Lineage, CatalogueError>>;
}

/// Why there is no answer. The message of [`ErrorKind::NotFound`] is for who asked, all others are for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct CatalogueError {
    pub kind: ErrorKind,
    pub message: String,
}
