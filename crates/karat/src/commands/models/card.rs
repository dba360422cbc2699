use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::card::{self, Shown};
use karat_jobs::{Workspace, pages};

use crate::commands::Context;
use crate::commands::sources::relative;
use crate::output::{indent, measure};

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    model: &str,
    output: Option<&Path>,
    prediction: Option<&str>,
) -> Result<ExitCode> {
    let shown = prediction.map_or(Shown::Newest, Shown::Prediction);
    let card = card::run(workspace, model, shown).await?;
    let name = format!("model-{}-{}", card.model, card.version);
    let place = output.map_or_else(|| pages::place(workspace, &name), Path::to_owned);
    if output.is_some() || !context.output.is_for_programs() {
        pages::write(&place, &card.html()?)?;
    }
    context.output.print(&card, |card| {
        let mut lines = vec![format!("{}: {}", card.label(), card.standing)];
        if let Some(evaluation) = &card.evaluation {
            let test = &evaluation.test.measures;
            lines.push(indent(&format!("AUC {}, KS {} on the test part", measure(test.auc), measure(test.ks))));
        }
        lines.extend(
            card.decision
                .as_ref()
                .map(|decision| indent(&format!("decision {} on {}, replayed", decision.prediction_id, decision.key))),
        );
        lines.extend(card.missing.iter().map(|missing| indent(missing)));
        lines.push(format!("page: {}", relative(&place, workspace.project.root())));
        lines.join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}
