//! Statements that several operations share.

use karat_core::Instant;
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::{WriteTx, query, query_scalar, stored};
use serde_json::Value as Json;

use crate::gates::GateResult;
use crate::{RegistryError, millis};

pub(super) fn gates_text(gates: &[GateResult]) -> String {
    serde_json::to_string(gates).expect("gate results serialise")
}

pub(super) async fn audit(
    tx: &mut WriteTx,
    (action, actor, at): (&str, &str, Instant),
    subject: Subject,
    details: Json,
) -> Result<(), RegistryError> {
    audit::append(tx, NewEntry { at, actor, action, subject, details }).await?;
    Ok(())
}

pub(super) fn subject(model: &str, version: u64) -> Subject {
    Subject::versioned("model", model, version)
}

/// Moves the times of the last update of a version and of its model.
pub(super) async fn touch(tx: &mut WriteTx, model: &str, version: u64, now: Instant) -> Result<(), RegistryError> {
    query("UPDATE model_versions SET last_update_time_ms = $3 WHERE model = $1 AND version = $2")
        .bind(model)
        .bind(stored::signed(version))
        .bind(millis(now))
        .execute(tx)
        .await?;
    query("UPDATE registered_models SET last_update_time_ms = $2 WHERE name = $1")
        .bind(model)
        .bind(millis(now))
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether Karat trained versions of the model: endpoints may serve it, and decisions are replayed with it.
pub(crate) async fn trained_here(tx: &mut WriteTx, model: &str) -> Result<bool, RegistryError> {
    let query = "SELECT EXISTS (SELECT 1 FROM model_versions WHERE model = $1 AND digest IS NOT NULL)";
    Ok(query_scalar(query).bind(model).fetch_one(tx).await?)
}

/// Whoever changes what is deployed has a name.
pub(super) fn require_actor(who: &str) -> Result<(), RegistryError> {
    match who.trim().is_empty() {
        true => Err(RegistryError::Invalid("say who decides".into())),
        false => Ok(()),
    }
}
