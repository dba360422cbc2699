use karat_core::Instant;
use karat_metadata::audit::{self, Filter, NewEntry, Subject};
use serde_json::Value as Json;

use crate::{Answer, Registry, RegistryError};

/// An import as the audit log keeps it.
#[derive(Debug, Clone, Copy)]
pub struct ImportRecord<'a> {
    /// Where it came from, without a password.
    pub source: &'a str,
    /// What was there, is here, and was left out.
    pub counts: &'a Json,
    pub actor: &'a str,
    pub now: Instant,
}

const ACTION: &str = "import.mlflow";

impl Registry {
    /// An import's entry in the audit log; one that found all as its forerunner left it makes none.
    pub fn record_import<'a>(&'a self, import: ImportRecord<'a>) -> Answer<'a, ()> {
        Box::pin(async move {
            let ImportRecord { source, counts, actor, now: at } = import;
            let mut tx = self.metadata.begin().await?;
            let filter = Filter {
                subject_kind: Some("import".to_owned()),
                subject_name: Some(source.to_owned()),
                action: Some(ACTION.to_owned()),
                limit: Some(1),
                ..Filter::default()
            };
            let last = audit::list(&mut tx, &filter).await?.pop();
            if last.is_some_and(|entry| entry.details["counts"] == *counts) {
                return Ok(());
            }
            let details = serde_json::json!({ "counts": counts });
            let subject = Subject::new("import", source);
            audit::append(&mut tx, NewEntry { at, actor, action: ACTION, subject, details }).await?;
            tx.commit().await?;
            Ok::<_, RegistryError>(())
        })
    }
}
