//! Moving aliases by hand.

use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_registry::AliasChange;

use super::{alias_name, version};
use crate::commands::Context;

pub async fn alias(context: &Context, workspace: &Workspace, model: &str, alias: &str, why: &str) -> Result<ExitCode> {
    let alias = alias_name(alias)?;
    let wanted = version(workspace, model).await?;
    let change = AliasChange { model: &wanted.model, alias: &alias, who: &workspace.actor, why };
    let holder = workspace.registry.set_alias(change, wanted.version, workspace.clock.now()).await?;
    context.output.print(&holder, |holder| {
        format!("{alias} is {}; a running server takes it up within two seconds", holder.label())
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
