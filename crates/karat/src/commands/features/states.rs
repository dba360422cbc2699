use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::states::{self, OnlineState, Unused};

use crate::commands::Context;
use crate::output::{short_instant, table, thousands};

pub async fn run(context: &Context, workspace: &Workspace, drop_unused: bool) -> Result<ExitCode> {
    let unused = if drop_unused { Unused::Dropped } else { Unused::Kept };
    let states = states::run(workspace, unused).await?;
    context.output.print(&states, |states| human(states))?;
    Ok(ExitCode::SUCCESS)
}

fn human(states: &[OnlineState]) -> String {
    if states.is_empty() {
        return "the online store is empty: `karat features materialize` fills it".to_owned();
    }
    let rows = states.iter().map(|state| {
        [
            state.view.as_ref().map_or_else(|| "(nobody knows)".to_owned(), ToString::to_string),
            state.definition.short().to_owned(),
            thousands(state.keys),
            thousands(state.bytes),
            state.commit.to_string(),
            short_instant(state.at),
            match (state.dropped, state.used_by.is_empty()) {
                (true, _) => "dropped: nobody used it".to_owned(),
                (false, true) => "nobody".to_owned(),
                (false, false) => state.used_by.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            },
        ]
    });
    let listed = table(["view", "definition", "keys", "bytes", "commit", "brought up", "used by"], &[2, 3, 4], rows);
    let unused = states.iter().filter(|state| state.used_by.is_empty() && !state.dropped);
    let (number, bytes) = unused.fold((0, 0), |(number, bytes), state| (number + 1, bytes + state.bytes));
    match number {
        0 => listed,
        _ => format!(
            "{listed}\n{number} of {} states are used by nobody ({} bytes): `karat features states --drop-unused`",
            states.len(),
            thousands(bytes)
        ),
    }
}
