use karat_core::Instant;
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::{generations, query, stored};
use serde_json::{Value as Json, json};

use super::{Release, ReleaseDraft, difference, list};
use crate::{Answer, GENERATION, Registry};

impl Registry {
    /// Records the draft as the next release, in one transaction with its audit entry. A draft with the current release's
    /// digest is that release: it is returned and nothing is written.
    pub fn record_release<'a>(&'a self, draft: &'a ReleaseDraft, actor: &'a str, now: Instant) -> Answer<'a, Release> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let current = list::current(&mut tx).await?;
            let (number, before) = match &current {
                Some(current) if current.digest == draft.digest => return Ok(current.clone()),
                Some(current) => (current.number + 1, &current.content),
                None => (1, &Json::Null),
            };
            let release = Release {
                number,
                digest: draft.digest.clone(),
                content: draft.content.clone(),
                at: now,
                actor: actor.to_owned(),
                summary: difference(before, &draft.content),
            };
            let summary = serde_json::to_string(&release.summary).expect("changes serialise");
            query("INSERT INTO releases (number, digest, content, at, actor, summary) VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(stored::signed(number))
                .bind(release.digest.as_str())
                .bind(release.content.to_string())
                .bind(now.micros())
                .bind(actor)
                .bind(summary)
                .execute(&mut tx)
                .await?;
            let entry = NewEntry {
                at: now,
                actor,
                action: "release.record",
                subject: Subject::new("release", &number.to_string()),
                details: json!({ "digest": release.digest, "changes": release.summary }),
            };
            audit::append(&mut tx, entry).await?;
            generations::bump(&mut tx, GENERATION).await?;
            tx.commit().await?;
            Ok(release)
        })
    }
}
