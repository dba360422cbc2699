//! Who held an alias at a moment, by whose decision, on what evidence.

use std::collections::BTreeMap;

use karat_core::Instant;
use karat_metadata::{query, stored};
use serde::Serialize;

use super::list::approval_of;
use super::moves::{all_moves, holder_at};
use super::{AliasMove, Approval, DecisionKind};
use crate::{Answer, Registry, RegistryError};

/// An alias as it stood.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held {
    pub alias: String,
    pub version: u64,
    /// The move that made it so.
    pub moved: AliasMove,
    /// The decision in force then, with the gates as measured; `None` where nobody had to approve.
    pub approval: Option<Approval>,
}

impl Registry {
    /// The aliases of a model that pointed somewhere at the end of `at`, by name.
    pub fn held_at<'a>(&'a self, model: &'a str, at: Instant) -> Answer<'a, Vec<Held>> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            super::list::model(&mut reader, model).await?;
            let mut by_alias: BTreeMap<String, Vec<AliasMove>> = BTreeMap::new();
            for one in all_moves(&mut reader, model).await?.into_iter().filter(|one| one.at <= at) {
                by_alias.entry(one.alias.clone()).or_default().push(one);
            }
            let mut held = Vec::new();
            for (alias, moves) in by_alias {
                let Some((version, moved)) = holder_at(&moves) else { continue };
                let rows = query(
                    "SELECT * FROM approvals WHERE model = $1 AND version = $2 AND at <= $3 ORDER BY id DESC LIMIT 1",
                )
                .bind(model)
                .bind(stored::signed(version))
                .bind(at.micros())
                .fetch_all(&mut reader)
                .await?;
                let decision = rows.first().map(approval_of).transpose()?;
                let approval = decision.filter(|decision| decision.decision == DecisionKind::Approve);
                held.push(Held { alias, version, moved: moved.clone(), approval });
            }
            Ok::<_, RegistryError>(held)
        })
    }
}
