use anyhow::Result;
use karat_core::VERSION;
use karat_project::spec::{Action, Origin};
use karat_query::{ContractReport, Example, LeftOut, LeftOutBy, RuleReport};
use karat_report::profile::{Contract, FileLine, Page, RuleLine};
use karat_report::words::thousands;

use super::Profiled;
use crate::Workspace;

/// The profile as one HTML file.
pub fn html(workspace: &Workspace, profiled: &Profiled) -> Result<String> {
    let source = &workspace.project.sources()[&profiled.profile.source];
    let from = match source.origin() {
        Origin::Sql(_) => {
            let upstream = workspace.project.upstream(source);
            format!("SQL over {}", upstream.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Origin::Path(paths) => paths.to_string(),
        Origin::Postgres(postgres) => match &postgres.table {
            Some(table) => format!("PostgreSQL table {table}"),
            None => "a PostgreSQL query".to_owned(),
        },
        Origin::Command(command) => format!("the output of {}", command.run.join(" ")),
        Origin::Lookup(lookup) => format!("look-ups at {}", lookup.url),
        Origin::Pushed => "pushes".to_owned(),
    };
    let page = Page {
        project: workspace.project.config().name.to_string(),
        written: workspace.clock.now(),
        karat: VERSION.to_owned(),
        description: source.description.clone().unwrap_or_default().trim().to_owned(),
        profile: &profiled.profile,
        contract: contract(&profiled.report, from, profiled.refused.clone()),
    };
    Ok(page.html()?)
}

fn contract(report: &ContractReport, from: String, refused: Option<String>) -> Contract {
    let outside = [
        ("cannot be read as their columns' types say", report.unreadable),
        ("on which `prepare` fails", report.unprepared),
        ("without a key or a time", report.incomplete),
    ];
    let first = report.examples.first().map(|example| format!("; the first: {}", place(example))).unwrap_or_default();
    Contract {
        read: report.read,
        accepted: report.accepted,
        quarantined: report.quarantined,
        outside_rules: outside.map(|(what, rows)| (format!("{what}{first}"), rows)).to_vec(),
        rules: report.rules.iter().map(rule).collect(),
        left_out: report.left_out.iter().map(left_out).collect(),
        from,
        files: report
            .files
            .iter()
            .map(|file| FileLine {
                path: file.path.clone(),
                rows: file.rows,
                bytes: file.bytes,
                digest: file.digest.to_string(),
            })
            .collect(),
        refused,
    }
}

fn rule(rule: &RuleReport) -> RuleLine {
    let why = rule.description.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    RuleLine {
        check: rule.check.clone(),
        on: rule.column.clone().unwrap_or_default(),
        means: format!("{}{why}", rule.reason),
        action: match rule.action {
            Action::Quarantine => "quarantine",
            Action::SetNull => "set to null",
            Action::Warn => "warn",
            Action::Fail => "fail",
        }
        .to_owned(),
        examined: rule.examined,
        failed: rule.failed,
        share: rule.share,
        fired: rule.fired,
        example: rule.examples.first().map(place).unwrap_or_default(),
    }
}

/// `data/loans.csv:12, value 3021-09-18`
fn place(example: &Example) -> String {
    let value = example.value.as_ref().map(|value| format!(", value {value}")).unwrap_or_default();
    let reason = example.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}:{}{value}{reason}", example.file, example.line)
}

fn left_out(left: &LeftOut) -> String {
    let what = if left.by == LeftOutBy::Pairs { "pairs of rows" } else { "rows" };
    let rows = format!("{} of {} {what} of {} are left out", thousands(left.rows), thousands(left.of_rows), left.side);
    match left.by {
        LeftOutBy::Filter | LeftOutBy::Pairs => format!("{rows}: not {}.", left.condition),
        LeftOutBy::Join => {
            let other = left.without.as_deref().map_or("a match".to_owned(), |other| format!("a match in {other}"));
            format!("{rows}: {} keys ({}) without {other}.", thousands(left.keys), left.key_columns.join(", "))
        }
    }
}
