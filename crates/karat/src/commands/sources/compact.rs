use std::process::ExitCode;

use anyhow::Result;
use karat_core::Window;
use karat_jobs::Workspace;
use karat_jobs::compact::{self, Compacted, Extent};

use crate::commands::Context;
use crate::output::{count, duration, heading, indent, thousands};

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    names: &[String],
    retain: Window,
    extent: Extent,
) -> Result<ExitCode> {
    let compacted = compact::run(workspace, names, retain, extent).await?;
    context.output.print(&compacted, |compacted| {
        if compacted.is_empty() {
            return "no source of this project has a history yet: there is nothing to compact".to_owned();
        }
        compacted.iter().map(|one| human(one, retain, extent)).collect::<Vec<_>>().join("\n\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn human(one: &Compacted, retain: Window, extent: Extent) -> String {
    let mut lines = vec![heading(&format!("{} ({})", one.source, duration(one.seconds)))];
    let say = |line: String| indent(&line);
    let commits = count(one.commits, "commit", "commits");
    let (parts, bytes) = (count(one.parts_before, "part", "parts"), thousands(one.bytes_before));
    lines.push(say(match (one.merged.is_empty(), one.bytes_after) {
        (true, _) => format!("{commits} in {parts} of {bytes} bytes: nothing to merge"),
        (false, Some(after)) => format!(
            "{commits}: {parts} of {bytes} bytes -> {} of {} bytes",
            count(one.parts_after, "part", "parts"),
            thousands(after)
        ),
        (false, None) => {
            format!("{commits}: {parts} of {bytes} bytes -> {}", count(one.parts_after, "part", "parts"))
        }
    }));
    let verb = if extent == Extent::Plan { "would be merged" } else { "merged" };
    lines.extend(one.merged.iter().map(|merged| {
        let rows = count(merged.rows as usize, "row", "rows");
        let numbers = numbers(merged.first, merged.last);
        say(format!(
            "{numbers}: {verb}, {rows} in {} -> {}",
            thousands(merged.parts_before as u64),
            count(merged.parts_after, "part", "parts")
        ))
    }));
    if one.commits > 1 {
        lines.extend(one.left.iter().map(|left| {
            let parts = count(left.parts, "part", "parts");
            say(format!(
                "{}: left in {parts} of {} bytes: {}",
                numbers(left.first, left.last),
                thousands(left.bytes),
                left.why
            ))
        }));
    }
    if !one.merged.is_empty() && extent == Extent::Compact && retain.longest_micros() > 0 {
        lines.push(say(format!("the files that were replaced stay for {retain}")));
    }
    if one.files_removed > 0 {
        let files = count(one.files_removed, "file", "files");
        lines.push(say(format!("removed {files} of {} bytes that had been replaced", thousands(one.bytes_removed))));
    }
    lines.join("\n")
}

fn numbers(first: u64, last: u64) -> String {
    match first == last {
        true => format!("commit {first}"),
        false => format!("commits {first} to {last}"),
    }
}
