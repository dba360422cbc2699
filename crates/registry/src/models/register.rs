use std::collections::BTreeMap;

use karat_core::Instant;
use karat_metadata::{WriteTx, generations, query, stored};
use serde_json::json;

use super::write::{audit, gates_text, subject, touch};
use super::{ApprovalRule, ModelVersion, NewVersion, Registered, Source, VersionStatus, list};
use crate::runs;
use crate::webhooks::{Happened, tell};
use crate::{Answer, GENERATION, Registry, RegistryError, millis};

/// The run tag that names the version a run gave, new or not: `credit_default/3`.
pub const VERSION_TAG: &str = "karat.model_version";

impl Registry {
    /// Registers what a run trained. When the model has a version of the same digest and the same pinned definitions
    /// already, that version is returned and none is added; its gates are then those of the newer training, since gates are no part of the digest and may
    /// have been changed. Either way the run is tagged with the version ([`VERSION_TAG`]).
    pub fn register_version<'a>(
        &'a self,
        new: &'a NewVersion,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, (ModelVersion, Registered)> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            runs::require(&mut tx, &new.run_id).await?;
            register_model(&mut tx, new, actor, now).await?;
            let (number, registered) = match list::by_content(&mut tx, new).await? {
                Some(number) => {
                    refresh_gates(&mut tx, new, number, actor, now).await?;
                    restore(&mut tx, (&new.model, number), actor, now).await?;
                    (number, Registered::Existing)
                }
                None => (insert(&mut tx, new, actor, now).await?, Registered::New),
            };
            let tags = BTreeMap::from([(VERSION_TAG.to_owned(), format!("{}/{number}", new.model))]);
            runs::write_tags(&mut tx, new.run_id.as_str(), &tags).await?;
            let version = list::version(&mut tx, &new.model, number).await?;
            if (registered, version.status) == (Registered::New, VersionStatus::Ready) {
                tell(&mut tx, Happened::VersionCreated(&version), now).await?;
            }
            tx.commit().await?;
            Ok((version, registered))
        })
    }

    /// The version's files are stored: from now on it may be approved and deployed.
    pub fn mark_ready<'a>(&'a self, model: &'a str, number: u64, now: Instant) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let was = list::version(&mut tx, model, number).await?.status;
            if was != VersionStatus::Ready {
                query("UPDATE model_versions SET status = $3 WHERE model = $1 AND version = $2")
                    .bind(model)
                    .bind(stored::signed(number))
                    .bind(VersionStatus::Ready.as_str())
                    .execute(&mut tx)
                    .await?;
                touch(&mut tx, model, number, now).await?;
                generations::bump(&mut tx, GENERATION).await?;
            }
            let version = list::version(&mut tx, model, number).await?;
            if was != VersionStatus::Ready {
                tell(&mut tx, Happened::VersionCreated(&version), now).await?;
            }
            tx.commit().await?;
            Ok(version)
        })
    }
}

async fn register_model(tx: &mut WriteTx, new: &NewVersion, actor: &str, now: Instant) -> Result<(), RegistryError> {
    let before = match list::model(tx, &new.model).await {
        Ok(held) => Some(held.approval),
        Err(RegistryError::NotFound(_)) => None,
        Err(other) => return Err(other),
    };
    let four_eyes = new.approval == ApprovalRule::FourEyes;
    let rule = if four_eyes { ApprovalRule::Required } else { new.approval };
    query(
        "INSERT INTO registered_models \
         (name, description, approval, four_eyes, creation_time_ms, last_update_time_ms) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (name) DO UPDATE SET \
         description = excluded.description, approval = excluded.approval, four_eyes = excluded.four_eyes, \
         last_update_time_ms = excluded.last_update_time_ms",
    )
    .bind(new.model.as_str())
    .bind(&new.description)
    .bind(rule.as_str())
    .bind(four_eyes)
    .bind(millis(now))
    .execute(tx)
    .await?;
    match before {
        // Who no longer needs approval must be seen to have said so.
        Some(before) if before != new.approval => {
            let details = json!({ "approval": new.approval, "before": before });
            let about = karat_metadata::audit::Subject::new("model", &new.model);
            audit(tx, ("model.approval_rule", actor, now), about, details).await
        }
        Some(_) => Ok(()),
        None => {
            let made = list::model(tx, &new.model).await?;
            tell(tx, Happened::ModelCreated(&made), now).await
        }
    }
}

async fn insert(tx: &mut WriteTx, new: &NewVersion, actor: &str, now: Instant) -> Result<u64, RegistryError> {
    let number = list::model(tx, &new.model).await?.versions + 1;
    let (source, status) = match &new.source {
        Source::At(place) => (place.clone(), VersionStatus::Ready),
        Source::Under(folder) => (format!("{folder}/{number}"), VersionStatus::PendingRegistration),
    };
    query(
        "INSERT INTO model_versions (model, version, run_id, digest, source, status, stage, description, definitions, \
         gates, creation_time_ms, last_update_time_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, 'None', $7, $8, $9, $10, $10)",
    )
    .bind(new.model.as_str())
    .bind(stored::signed(number))
    .bind(new.run_id.as_str())
    .bind(new.digest.as_str())
    .bind(source)
    .bind(status.as_str())
    .bind(&new.description)
    .bind(new.definitions.to_string())
    .bind(gates_text(&new.gates))
    .bind(millis(now))
    .execute(tx)
    .await?;
    let details = json!({ "digest": new.digest, "run": new.run_id, "gates": new.gates });
    audit(tx, ("model.register", actor, now), subject(&new.model, number), details).await?;
    generations::bump(tx, GENERATION).await?;
    Ok(number)
}

/// What was deleted and is trained again is there again.
async fn restore(
    tx: &mut WriteTx,
    (model, number): (&str, u64),
    actor: &str,
    now: Instant,
) -> Result<(), RegistryError> {
    let restored = query(
        "UPDATE model_versions SET lifecycle_stage = 'active' \
         WHERE model = $1 AND version = $2 AND lifecycle_stage = 'deleted'",
    )
    .bind(model)
    .bind(stored::signed(number))
    .execute(tx)
    .await?;
    match restored {
        0 => Ok(()),
        _ => audit(tx, ("model.restore", actor, now), subject(model, number), json!({})).await,
    }
}

async fn refresh_gates(
    tx: &mut WriteTx,
    new: &NewVersion,
    number: u64,
    actor: &str,
    now: Instant,
) -> Result<(), RegistryError> {
    let held = list::version(tx, &new.model, number).await?;
    if held.gates == new.gates {
        return Ok(());
    }
    query("UPDATE model_versions SET gates = $3 WHERE model = $1 AND version = $2")
        .bind(new.model.as_str())
        .bind(stored::signed(number))
        .bind(gates_text(&new.gates))
        .execute(tx)
        .await?;
    touch(tx, &new.model, number, now).await?;
    let details = json!({ "gates": new.gates, "before": held.gates, "run": new.run_id });
    audit(tx, ("model.gates", actor, now), subject(&new.model, number), details).await?;
    Ok(generations::bump(tx, GENERATION).await?)
}
