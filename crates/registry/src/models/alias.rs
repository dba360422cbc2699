//! Moving aliases: the only thing that deploys.

use karat_core::Instant;
use karat_metadata::{WriteTx, generations, query, stored};
use serde_json::json;

use super::moves::{holder_before, moves};
use super::resolve::no_alias;
use super::standing::may_serve;
use super::write::{audit, require_actor, subject, trained_here};
use super::{AliasAction, AliasChange, ModelVersion, list};
use crate::webhooks::{Happened, tell};
use crate::{Answer, GENERATION, Registry, RegistryError};

impl Registry {
    /// Moves the alias to the version. Refused for a version that may not serve: not approved where its model requires
    /// approval, rejected, with gates not passed, or not stored completely. Moving it where it is changes nothing.
    pub fn set_alias<'a>(&'a self, change: AliasChange<'a>, version: u64, now: Instant) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            set(&mut tx, change, version, now).await?;
            let version = list::version(&mut tx, change.model, version).await?;
            tx.commit().await?;
            Ok(version)
        })
    }

    /// Moves the alias back to the version that held it before, if that may still serve; again, and it goes one further.
    pub fn rollback<'a>(&'a self, change: AliasChange<'a>, now: Instant) -> Answer<'a, ModelVersion> {
        Box::pin(async move {
            require_actor(change.who)?;
            let mut tx = self.metadata.begin().await?;
            let model = list::model(&mut tx, change.model).await?;
            let history = moves(&mut tx, change.model, change.alias).await?;
            if history.is_empty() {
                return Err(no_alias(&model, change.alias));
            }
            let Some(before) = holder_before(&history) else {
                return Err(RegistryError::Refused(format!(
                    "`{}` of `{}` has no holder before the present one to go back to",
                    change.alias, change.model
                )));
            };
            let version = list::version(&mut tx, change.model, before).await?;
            may_serve(&version, model.approval)?;
            let from = model.aliases.get(change.alias).copied();
            hold(&mut tx, change, before).await?;
            record(&mut tx, change, (AliasAction::Rollback, from, Some(before)), now).await?;
            let version = list::version(&mut tx, change.model, before).await?;
            tx.commit().await?;
            Ok(version)
        })
    }

    pub fn delete_alias<'a>(&'a self, change: AliasChange<'a>, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            require_actor(change.who)?;
            let mut tx = self.metadata.begin().await?;
            let model = list::model(&mut tx, change.model).await?;
            let Some(from) = model.aliases.get(change.alias).copied() else {
                return Err(RegistryError::NotFound(format!("`{}` has no alias `{}`", change.model, change.alias)));
            };
            take_away(&mut tx, change, from, now).await?;
            Ok(tx.commit().await?)
        })
    }
}

/// Ends an alias that points at version `from`.
pub(super) async fn take_away(
    tx: &mut WriteTx,
    change: AliasChange<'_>,
    from: u64,
    now: Instant,
) -> Result<(), RegistryError> {
    query("DELETE FROM model_aliases WHERE model = $1 AND alias = $2")
        .bind(change.model)
        .bind(change.alias)
        .execute(tx)
        .await?;
    record(tx, change, (AliasAction::Delete, Some(from), None), now).await
}

pub(super) async fn set(
    tx: &mut WriteTx,
    change: AliasChange<'_>,
    number: u64,
    now: Instant,
) -> Result<(), RegistryError> {
    require_actor(change.who)?;
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if change.alias.strip_prefix(['v', 'V']).is_some_and(numbered) || change.alias.eq_ignore_ascii_case("latest") {
        return Err(RegistryError::Invalid(format!(
            "`{}` cannot be an alias: MLflow's clients read `latest` and `v1`, `v2`… as versions",
            change.alias
        )));
    }
    let model = list::model(tx, change.model).await?;
    let version = list::version(tx, change.model, number).await?;
    may_serve(&version, model.approval)?;
    if version.digest.is_none() && trained_here(tx, change.model).await? {
        return Err(RegistryError::Refused(format!(
            "{} comes from elsewhere and Karat cannot score it: no alias of a model that Karat trains can point at it",
            version.label()
        )));
    }
    let from = model.aliases.get(change.alias).copied();
    if from == Some(number) {
        return Ok(());
    }
    hold(tx, change, number).await?;
    record(tx, change, (AliasAction::Set, from, Some(number)), now).await
}

async fn hold(tx: &mut WriteTx, change: AliasChange<'_>, version: u64) -> Result<(), RegistryError> {
    query(
        "INSERT INTO model_aliases (model, alias, version) VALUES ($1, $2, $3) \
         ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version",
    )
    .bind(change.model)
    .bind(change.alias)
    .bind(stored::signed(version))
    .execute(tx)
    .await?;
    Ok(())
}

/// The move in the alias's history, its audit entry, what webhooks are told, and the generation that tells the servers.
async fn record(
    tx: &mut WriteTx,
    change: AliasChange<'_>,
    (action, from, to): (AliasAction, Option<u64>, Option<u64>),
    now: Instant,
) -> Result<(), RegistryError> {
    query(
        "INSERT INTO alias_moves (id, model, alias, action, version, at, actor, why) \
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM alias_moves), $1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(change.model)
    .bind(change.alias)
    .bind(action.as_str())
    .bind(to.map(stored::signed))
    .bind(now.micros())
    .bind(change.who)
    .bind(change.why)
    .execute(tx)
    .await?;
    let happened = match to {
        Some(version) => Happened::AliasSet { version: (change.model, version), alias: change.alias },
        None => Happened::AliasDeleted { model: change.model, alias: change.alias },
    };
    tell(tx, happened, now).await?;
    let about = to.or(from).unwrap_or_default();
    let action = match action {
        AliasAction::Set => "alias.set",
        AliasAction::Rollback => "alias.rollback",
        AliasAction::Delete => "alias.delete",
    };
    let details = json!({ "alias": change.alias, "from": from, "to": to, "why": change.why });
    audit(tx, (action, change.who, now), subject(change.model, about), details).await?;
    Ok(generations::bump(tx, GENERATION).await?)
}
