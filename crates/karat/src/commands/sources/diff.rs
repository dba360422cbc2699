use std::process::ExitCode;

use anyhow::Result;
use karat_jobs::Workspace;
use karat_jobs::diff::{self, Diff};
use serde_json::{Map, Value as Json};

use crate::commands::Context;
use crate::output::{heading, indent, short_instant, table, thousands};

pub async fn run(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    (from, to): (&str, &str),
    samples: usize,
) -> Result<ExitCode> {
    let diff = diff::run(workspace, name, from, to, samples).await?;
    context.output.print(&diff, human)?;
    Ok(ExitCode::SUCCESS)
}

fn human(diff: &Diff) -> String {
    let side = |side: &diff::Side| {
        format!("commit {} of {} ({} rows)", side.commit, short_instant(side.committed), thousands(side.rows))
    };
    let mut text = heading(&format!("{} from {} to {}", diff.source, side(&diff.from), side(&diff.to)));
    let counts =
        [(diff.added, "added"), (diff.changed, "changed"), (diff.removed, "removed"), (diff.unchanged, "the same")];
    let counts: Vec<String> = counts.iter().map(|(rows, what)| format!("{} {what}", thousands(*rows))).collect();
    text.push_str(&format!("\n{}", indent(&counts.join(", "))));
    let shape = [
        ("new columns", diff.columns_added.join(", ")),
        ("columns gone", diff.columns_removed.join(", ")),
        (
            "columns of another type",
            diff.columns_retyped
                .iter()
                .map(|one| format!("{} ({}, was {})", one.column, one.to, one.from))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    ];
    for (what, columns) in shape.iter().filter(|(_, columns)| !columns.is_empty()) {
        text.push_str(&format!("\n{}", indent(&format!("{what}: {columns}"))));
    }
    if !diff.columns.is_empty() {
        let rows = diff.columns.iter().map(|column| [column.column.clone(), thousands(column.rows)]);
        text.push_str(&format!("\n{}", indent(&table(["column", "rows changed"], &[1], rows))));
    }
    for (what, rows) in [("added", &diff.sample.added), ("removed", &diff.sample.removed)] {
        if !rows.is_empty() {
            text.push_str(&format!("\n{}\n{}", heading(what), indent(&shown(rows))));
        }
    }
    if !diff.sample.changed.is_empty() {
        let rows = diff.sample.changed.iter().flat_map(|row| {
            row.columns.iter().map(|cell| {
                let change = format!("{} is now {}", plain(&cell.from), plain(&cell.to));
                [keys(&row.key), cell.column.clone(), change]
            })
        });
        let key = diff.keys.join(", ");
        text.push_str(&format!(
            "\n{}\n{}",
            heading("changed"),
            indent(&table([key.as_str(), "column", ""], &[], rows))
        ));
    }
    text
}

/// One line a row.
fn shown(rows: &[Map<String, Json>]) -> String {
    let line = |row: &Map<String, Json>| {
        row.iter().map(|(column, value)| format!("{column} {}", plain(value))).collect::<Vec<_>>().join(", ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn keys(key: &Map<String, Json>) -> String {
    key.values().map(plain).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => "null".to_owned(),
        other => other.to_string(),
    }
}
