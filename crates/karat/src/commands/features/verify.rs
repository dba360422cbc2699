use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::verify::{self, Extent, Verified};

use crate::commands::{Context, exit};
use crate::output::{count, duration, failed, indent, passed, quoted, table, thousands};

pub async fn run(context: &Context, workspace: &Workspace, views: &[String], extent: Extent) -> Result<ExitCode> {
    let verified = verify::run(workspace, views, extent).await?;
    context.output.print(&verified, |verified| human(verified))?;
    Ok(exit(verified.iter().all(|view| view.different == 0)))
}

fn human(verified: &[Verified]) -> String {
    let rows = verified.iter().map(|one| {
        [
            one.view.to_string(),
            thousands(one.keys),
            thousands(one.pairs),
            thousands(one.values),
            thousands(one.different),
            if one.different == 0 { passed() } else { failed() }.to_owned(),
            duration(one.seconds),
        ]
    });
    let mut text = table(["view", "keys", "random pairs", "values compared", "different", "", ""], &[1, 2, 3, 4], rows);
    for one in verified.iter().filter(|one| one.before_horizon > 0) {
        text.push_str(&format!(
            "\n{}: {} before the `online_horizon`, which only history answers",
            one.view,
            count(one.before_horizon as usize, "read was", "reads were")
        ));
    }
    for one in verified.iter().filter(|one| !one.differences.is_empty()) {
        let shown = match one.differences.len() as u64 {
            shown if shown < one.different => format!(", the first {shown}"),
            _ => String::new(),
        };
        text.push_str(&format!(
            "\n\n{}: {}{shown}",
            one.view,
            count(one.different as usize, "difference", "differences")
        ));
        let rows = one.differences.iter().map(|difference| {
            [
                quoted(&difference.key),
                difference.as_of.map(|as_of| as_of.to_string()).unwrap_or_default(),
                difference.feature.clone().unwrap_or_default(),
                quoted(&difference.online),
                quoted(&difference.offline),
            ]
        });
        text.push('\n');
        text.push_str(&indent(&table(["key", "as of", "feature", "online", "from history"], &[], rows)));
    }
    if verified.iter().any(|view| view.different > 0) {
        text.push_str("\nhistory is the truth: `karat features materialize` rebuilds what is out of date");
    }
    text
}
