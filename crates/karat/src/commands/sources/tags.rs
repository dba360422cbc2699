use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::tags::{self, Snapshot, Tagged};
use karat_metadata::tags::SourceTag;

use crate::commands::Context;
use crate::output::{Sheet, short_instant, table};

pub async fn snapshot(context: &Context, workspace: &Workspace, asked: &Snapshot<'_>) -> Result<ExitCode> {
    let tagged = tags::snapshot(workspace, asked).await?;
    context.output.print(&tagged, |tagged| tagged.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn line(tagged: &Tagged) -> String {
    let SourceTag { source, tag, commit, .. } = &tagged.tag;
    match (tagged.new, tagged.moved_from) {
        (false, _) => format!("{source}: commit {commit} is {tag} already"),
        (true, Some(from)) => format!("{source}: {tag} moved from commit {from} to commit {commit}"),
        (true, None) => format!("{source}: commit {commit} is {tag}"),
    }
}

pub async fn list(context: &Context, workspace: &Workspace, names: &[String]) -> Result<ExitCode> {
    let all = tags::list(workspace, names).await?;
    context.output.print_list(&all, |all| human(all), |all| sheet(all))?;
    Ok(ExitCode::SUCCESS)
}

fn sheet(all: &[SourceTag]) -> Sheet {
    let rows = all.iter().map(|tag| {
        let (source, commit, at) = (tag.source.to_string(), tag.commit.to_string(), tag.at.to_string());
        vec![source, tag.tag.clone(), commit, at, tag.actor.clone(), tag.why.clone()]
    });
    Sheet {
        header: ["source", "tag", "commit", "at", "actor", "why"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

fn human(all: &[SourceTag]) -> String {
    if all.is_empty() {
        return "no tags yet: `karat sources snapshot --tag TAG` gives one to every source".to_owned();
    }
    let rows = all.iter().map(|tag| {
        [
            tag.source.to_string(),
            tag.tag.clone(),
            tag.commit.to_string(),
            short_instant(tag.at),
            tag.actor.clone(),
            tag.why.clone(),
        ]
    });
    table(["source", "tag", "commit", "given", "by", "why"], &[2], rows)
}
