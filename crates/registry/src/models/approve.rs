use karat_core::{Instant, Name};
use karat_metadata::{WriteTx, generations, query, query_scalar, stored};
use serde_json::json;

use super::standing::may_be_approved;
use super::write::{audit, gates_text, require_actor, subject, touch};
use super::{AliasChange, ApprovalRule, Decision, DecisionKind, ModelVersion, alias, list};
use crate::{Answer, GENERATION, Registry, RegistryError};

impl Registry {
    /// Approves a version and, where an alias is given, moves it there: one transaction, an audit entry each. Refused
    /// while the version's gates are not passed. Approval alone deploys nothing.
    pub fn approve<'a>(
        &'a self,
        decision: Decision<'a>,
        alias: Option<&'a Name>,
        now: Instant,
    ) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            require_actor(decision.who)?;
            let mut tx = self.metadata.begin().await?;
            let version = list::version(&mut tx, decision.model, decision.version).await?;
            may_be_approved(&version)?;
            four_eyes(&mut tx, &version, decision.who).await?;
            decide(&mut tx, &version, decision, DecisionKind::Approve, now).await?;
            if let Some(alias) = alias {
                let Decision { model, who, why, .. } = decision;
                alias::set(&mut tx, AliasChange { model, alias, who, why }, decision.version, now).await?;
            }
            let version = list::version(&mut tx, decision.model, decision.version).await?;
            tx.commit().await?;
            Ok(version)
        })
    }

    /// Takes permission away. A version that holds an alias cannot be rejected: what serves stays what somebody permitted.
    pub fn reject<'a>(&'a self, decision: Decision<'a>, now: Instant) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            require_actor(decision.who)?;
            let mut tx = self.metadata.begin().await?;
            let version = list::version(&mut tx, decision.model, decision.version).await?;
            if !version.aliases.is_empty() {
                let (label, model, alias) = (version.label(), &version.model, &version.aliases[0]);
                return Err(RegistryError::Refused(format!(
                    "{label} is `{}`: first move the alias back (`karat models rollback {model} {alias}`) or take it away \
                     (`karat models alias {model} {alias} --delete --why \"...\"`)",
                    version.aliases.join("`, `")
                )));
            }
            decide(&mut tx, &version, decision, DecisionKind::Reject, now).await?;
            let version = list::version(&mut tx, decision.model, decision.version).await?;
            tx.commit().await?;
            Ok(version)
        })
    }
}

/// Where a model asks for four eyes, who trained a version does not approve it; nor who grew its trees elsewhere.
async fn four_eyes(tx: &mut WriteTx, version: &ModelVersion, who: &str) -> Result<(), RegistryError> {
    let rule = list::model(tx, &version.model).await?.approval;
    let (ApprovalRule::FourEyes, Some(run)) = (rule, &version.run_id) else { return Ok(()) };
    let trained_by: Vec<String> = query_scalar(
        "SELECT user_name FROM runs WHERE run_id = $1 \
         OR run_id = (SELECT value FROM run_tags WHERE run_id = $1 AND key = 'karat.source_run')",
    )
    .bind(run.as_str())
    .fetch_all(tx)
    .await?;
    match trained_by.iter().any(|user| user.trim().eq_ignore_ascii_case(who.trim())) {
        true => Err(RegistryError::Refused(format!(
            "{} was trained by {who}, and its model asks for four eyes: somebody else has to approve it",
            version.label()
        ))),
        false => Ok(()),
    }
}

async fn decide(
    tx: &mut WriteTx,
    version: &ModelVersion,
    decision: Decision<'_>,
    kind: DecisionKind,
    now: Instant,
) -> Result<(), RegistryError> {
    query(
        "INSERT INTO approvals (id, model, version, decision, at, actor, why, gates) \
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM approvals), $1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(decision.model)
    .bind(stored::signed(decision.version))
    .bind(kind.as_str())
    .bind(now.micros())
    .bind(decision.who)
    .bind(decision.why)
    .bind(gates_text(&version.gates))
    .execute(tx)
    .await?;
    touch(tx, decision.model, decision.version, now).await?;
    let action = match kind {
        DecisionKind::Approve => "model.approve",
        DecisionKind::Reject => "model.reject",
    };
    let details = json!({ "why": decision.why, "digest": version.digest, "gates": version.gates });
    audit(tx, (action, decision.who, now), subject(decision.model, decision.version), details).await?;
    Ok(generations::bump(tx, GENERATION).await?)
}
