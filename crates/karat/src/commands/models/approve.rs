use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::{Usage, Workspace};
use karat_registry::{Decision, ModelVersion};

use super::{alias_name, version};
use crate::commands::{Context, train};
use crate::output::{indent, note};
use crate::prompt;

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    model: &str,
    alias: Option<&str>,
    why: Option<&str>,
) -> Result<ExitCode> {
    let alias = alias.map(alias_name).transpose()?;
    let wanted = version(workspace, model).await?;
    let why = reason(context, &wanted, why)?;
    let decision = Decision { model: &wanted.model, version: wanted.version, who: &workspace.actor, why: &why };
    let approved = workspace.registry.approve(decision, alias.as_ref(), workspace.clock.now()).await?;
    context.output.print(&approved, |approved| {
        let label = approved.label();
        match &alias {
            Some(alias) => format!(
                "{label} approved by {} and {alias} moved to it; a running server takes it up within two seconds",
                workspace.actor
            ),
            None => format!(
                "{label} approved by {}; it serves once an alias moves to it: karat models alias {label} champion",
                workspace.actor
            ),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// An approval without a reason says nothing to who reads it later.
fn reason(context: &Context, version: &ModelVersion, why: Option<&str>) -> Result<String> {
    let given = why.map(str::trim).unwrap_or_default();
    if !given.is_empty() {
        return Ok(given.to_owned());
    }
    let missing = || Usage("an approval is kept with its reason: give it with --why \"...\"".to_owned());
    if !prompt::is_attended() || context.output.is_for_programs() {
        return Err(missing().into());
    }
    note(&format!("{} has these gates:\n{}", version.label(), indent(&train::gates(&version.gates))));
    let answer = prompt::ask(&format!("Why may {} decide?", version.label()))?;
    if answer.is_empty() { Err(missing().into()) } else { Ok(answer) }
}

pub async fn reject(context: &Context, workspace: &Workspace, model: &str, why: &str) -> Result<ExitCode> {
    let why = why.trim();
    if why.is_empty() {
        return Err(Usage("a refusal is kept with its reason: give it with --why \"...\"".to_owned()).into());
    }
    let wanted = version(workspace, model).await?;
    let decision = Decision { model: &wanted.model, version: wanted.version, who: &workspace.actor, why };
    let rejected = workspace.registry.reject(decision, workspace.clock.now()).await?;
    context.output.print(&rejected, |rejected| format!("{} rejected by {}", rejected.label(), workspace.actor))?;
    Ok(ExitCode::SUCCESS)
}
