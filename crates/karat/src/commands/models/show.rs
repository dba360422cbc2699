use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_registry::gates::all_passed;
use karat_registry::{DecisionKind, ModelVersion, Reference, RegisteredModel};
use serde::Serialize;

use super::aliases;
use crate::commands::{Context, train};
use crate::output::{failed, heading, indent, millis, passed, quoted, short_instant, table};

#[derive(Debug, Serialize)]
struct Shown {
    model: RegisteredModel,
    /// The newest first.
    versions: Vec<ModelVersion>,
}

pub async fn run(context: &Context, workspace: &Workspace, text: &str) -> Result<ExitCode> {
    match text.parse::<Reference>()? {
        Reference::Model { model } => {
            let versions = workspace.registry.versions(&model).await?;
            let shown = Shown { model: workspace.registry.model(&model).await?, versions };
            context.output.print(&shown, whole)?;
        }
        Reference::Version { .. } | Reference::Alias { .. } => {
            let version = workspace.registry.resolve(text).await?;
            context.output.print(&version, one)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(shown: &Shown) -> String {
    let model = &shown.model;
    let mut lines = vec![heading(&model.name)];
    if !model.description.is_empty() {
        lines.push(indent(&model.description));
    }
    let aliases = match aliases(model) {
        none if none.is_empty() => "no aliases".to_owned(),
        some => some,
    };
    lines.push(indent(&format!("approval {}, {aliases}", model.approval)));
    let rows = shown.versions.iter().map(|version| {
        [
            version.version.to_string(),
            version.standing.to_string(),
            if all_passed(&version.gates) { passed() } else { failed() }.to_owned(),
            version.aliases.join(", "),
            version.digest.as_ref().map(|digest| digest.short().to_owned()).unwrap_or_default(),
            version.run_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            millis(version.creation_time_ms),
        ]
    });
    lines.push(indent(&table(["version", "standing", "gates", "aliases", "digest", "run", "made"], &[0], rows)));
    lines.join("\n")
}

/// A version with its gates and every decision about it.
fn one(version: &ModelVersion) -> String {
    let held = match version.aliases.is_empty() {
        true => String::new(),
        false => format!(", {}", version.aliases.join(", ")),
    };
    let mut lines = vec![heading(&format!("{}: {}{held}", version.label(), version.standing))];
    let facts = [
        ("digest", version.digest.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("run", version.run_id.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("files", version.source.clone()),
        ("status", version.status.to_string().to_lowercase()),
        ("made", millis(version.creation_time_ms)),
    ];
    let definitions = version.definitions.as_object().into_iter().flatten();
    let definitions = definitions.map(|(of, digest)| match of.as_str() {
        karat_serving::CHECKS | karat_serving::REASONS => [of.clone(), quoted(digest)],
        view => [format!("definition of {view}"), quoted(digest)],
    });
    let facts = facts.map(|(name, value)| [name.to_owned(), value]).into_iter().chain(definitions);
    lines.push(indent(&table(["", ""], &[], facts)));
    if !version.gates.is_empty() {
        lines.push(format!("{}\n{}", heading("gates"), indent(&train::gates(&version.gates))));
    }
    if !version.approvals.is_empty() {
        let rows = version.approvals.iter().map(|approval| {
            let decision = match approval.decision {
                DecisionKind::Approve => "approved",
                DecisionKind::Reject => "rejected",
            };
            [short_instant(approval.at), decision.to_owned(), approval.actor.clone(), approval.why.clone()]
        });
        lines.push(format!("{}\n{}", heading("decisions"), indent(&table(["", "", "", ""], &[], rows))));
    }
    lines.join("\n")
}
