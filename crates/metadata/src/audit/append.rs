use karat_core::Digest;

use super::entry::Stored;
use super::{Entry, NewEntry, head};
use crate::{Answer, WriteTx, query};

/// Appends to the chain; the entry becomes real with the transaction it tells of.
pub fn append<'a>(transaction: &'a mut WriteTx, new: NewEntry<'a>) -> Answer<'a, Entry> {
    Box::pin(async move {
        // Safe against other writers: a write transaction is the only one.
        let last = head(transaction).await?;
        let mut stored = Stored {
            id: last.id + 1,
            at: new.at.micros(),
            actor: new.actor.to_owned(),
            action: new.action.to_owned(),
            subject_kind: new.subject.kind.clone(),
            subject_name: new.subject.name.clone(),
            subject_version: new.subject.version.clone(),
            details: new.details.to_string(),
            previous: last.hash.to_string(),
            hash: String::new(),
        };
        let hash: Digest = stored.hash();
        stored.hash = hash.to_string();
        query(
            "INSERT INTO audit_entries (id, at, actor, action, subject_kind, subject_name, subject_version, details, \
             previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(stored.id)
        .bind(stored.at)
        .bind(stored.actor)
        .bind(stored.action)
        .bind(stored.subject_kind)
        .bind(stored.subject_name)
        .bind(stored.subject_version)
        .bind(stored.details)
        .bind(stored.previous)
        .bind(stored.hash)
        .execute(transaction)
        .await?;
        Ok(Entry {
            id: stored.id,
            at: new.at,
            actor: new.actor.to_owned(),
            action: new.action.to_owned(),
            subject: new.subject,
            details: new.details,
            previous: last.hash,
            hash,
        })
    })
}
