use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::materialize::{self, Materialized, Resumed};

use crate::commands::Context;
use crate::output::{duration, table, thousands};

pub async fn run(context: &Context, workspace: &Workspace, views: &[String]) -> Result<ExitCode> {
    let done = materialize::run(workspace, views).await?;
    context.output.print(&done, |done| table_of(done))?;
    Ok(ExitCode::SUCCESS)
}

pub fn table_of(done: &[Materialized]) -> String {
    if done.is_empty() {
        return "no feature views yet: each is a file in features/".to_owned();
    }
    let rows = done.iter().map(|one| {
        [
            one.view.to_string(),
            one.definition.short().to_owned(),
            thousands(one.keys),
            thousands(one.records),
            one.commit.to_string(),
            if one.built { built(one) } else { "up to date".to_owned() },
        ]
    });
    table(["view", "definition", "keys", "records", "commit", ""], &[2, 3, 4], rows)
}

fn built(one: &Materialized) -> String {
    let seconds = duration(one.seconds);
    match (one.resumed, one.changed) {
        (Some(Resumed { parts, filled_before }), _) => {
            format!("built in {seconds}, {filled_before} of {parts} parts were filled already")
        }
        (None, Some(1)) => format!("1 key made anew in {seconds}"),
        (None, Some(keys)) => format!("{} keys made anew in {seconds}", thousands(keys)),
        (None, None) => format!("built in {seconds}"),
    }
}
