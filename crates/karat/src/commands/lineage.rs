//! `karat lineage`: from files to endpoints.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use karat_core::nearest;
use karat_jobs::{NotFound, catalogue, pages};
use karat_report::lineage::{Lineage, NodeKind};

use super::Context;
use super::sources::relative;
use crate::output::{count, indent, table};

pub async fn run(context: &Context, name: Option<&str>, output: Option<&Path>) -> Result<ExitCode> {
    let workspace = context.workspace().await?;
    let whole = catalogue::lineage(&workspace).await?;
    let lineage = match name {
        Some(name) => whole.around(name).ok_or_else(|| missing(&whole, name))?,
        None => whole,
    };
    let file = match name {
        Some(name) => format!("lineage-{name}"),
        None => "lineage".to_owned(),
    };
    let place = output.map_or_else(|| pages::place(&workspace, &file).with_extension("svg"), Path::to_owned);
    if output.is_some() || !context.output.is_for_programs() {
        pages::write(&place, &lineage.svg())?;
    }
    context.output.print(&lineage, |lineage| {
        format!("{}\npicture: {}", human(lineage), relative(&place, workspace.project.root()))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn missing(lineage: &Lineage, name: &str) -> NotFound {
    let hint = nearest(name, lineage.nodes.iter().map(|node| node.name.as_str()));
    let hint =
        hint.map_or_else(|| "`karat lineage` shows what there is".to_owned(), |like| format!("did you mean `{like}`?"));
    NotFound(format!("no source, view, model or endpoint is called `{name}`: {hint}"))
}

fn human(lineage: &Lineage) -> String {
    let rows = lineage.nodes.iter().filter(|node| node.kind != NodeKind::Origin).map(|node| {
        let from = lineage.edges.iter().filter(|edge| edge.to == node.id);
        let names: Vec<&str> = from.map(|edge| edge.from.split_once(':').map_or("", |(_, name)| name)).collect();
        let mut once: Vec<&str> = Vec::new();
        names.into_iter().for_each(|name| {
            if !once.contains(&name) {
                once.push(name)
            }
        });
        [kind(node.kind).to_owned(), node.name.clone(), once.join(", "), node.flags.join(", ")]
    });
    let title = count(lineage.nodes.len(), "thing", "things");
    let ways = count(lineage.edges.len(), "way", "ways");
    format!(
        "{}: {title}, {ways} between them\n{}",
        lineage.project,
        indent(&table(["", "name", "from", ""], &[], rows))
    )
}

fn kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Origin => "file",
        NodeKind::Source => "source",
        NodeKind::View => "view",
        NodeKind::Model => "model",
        NodeKind::Service => "service",
        NodeKind::Endpoint => "endpoint",
    }
}
