//! Moving aliases by hand.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::{Usage, Workspace};
use karat_registry::{AliasChange, Reference};
use serde_json::json;

use super::{alias_name, version};
use crate::commands::Context;

pub async fn alias(context: &Context, workspace: &Workspace, model: &str, alias: &str, why: &str) -> Result<ExitCode> {
    let alias = alias_name(alias)?;
    let wanted = version(workspace, model).await?;
    if let Reference::Model { model } = model.parse::<Reference>()? {
        let newest = wanted.label();
        let message = format!(
            "which version of {model} is to be {alias}? Name it: `karat models alias {newest} {alias} --why \"...\"` for its newest"
        );
        return Err(Usage(message).into());
    }
    let change = AliasChange { model: &wanted.model, alias: &alias, who: &workspace.actor, why };
    let holder = workspace.registry.set_alias(change, wanted.version, workspace.clock.now()).await?;
    context.output.print(&holder, |holder| {
        format!("{alias} is {}; a running server takes it up within two seconds", holder.label())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Whatever the version is, it is out of service.
pub async fn delete(context: &Context, workspace: &Workspace, model: &str, alias: &str, why: &str) -> Result<ExitCode> {
    let alias = alias_name(alias)?;
    let Reference::Model { model } = model.parse::<Reference>()? else {
        let usage = "an alias is its model's: `karat models alias NAME ALIAS --delete --why \"...\"`";
        return Err(Usage(usage.to_owned()).into());
    };
    let why = why.trim();
    if why.is_empty() {
        return Err(Usage("an alias is taken away with a reason: give it with --why \"...\"".to_owned()).into());
    }
    let change = AliasChange { model: &model, alias: &alias, who: &workspace.actor, why };
    workspace.registry.delete_alias(change, workspace.clock.now()).await?;
    let document = json!({"model": model, "alias": alias, "deleted": true});
    context.output.print(&document, |_| {
        format!("{model} has no {alias} any more; a running server stops answering under it within two seconds")
    })?;
    Ok(ExitCode::SUCCESS)
}

pub async fn rollback(
    context: &Context,
    workspace: &Workspace,
    model: &str,
    alias: &str,
    why: &str,
) -> Result<ExitCode> {
    let alias = alias_name(alias)?;
    let change = AliasChange { model, alias: &alias, who: &workspace.actor, why };
    let holder = workspace.registry.rollback(change, workspace.clock.now()).await?;
    context.output.print(&holder, |holder| {
        format!("{alias} is {} again; a running server takes it up within two seconds", holder.label())
    })?;
    Ok(ExitCode::SUCCESS)
}
