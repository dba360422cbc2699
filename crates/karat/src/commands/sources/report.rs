//! What became of a delivery's rows, in words. The demo tells the same.

use karat_project::spec::Action;
use karat_query::{ContractReport, LeftOut, LeftOutBy, RuleReport};

use crate::output::{count, failed, percent, table, thousands};

/// `438,557 read = 438,510 accepted + 47 quarantined`, and why rows outside every rule were quarantined.
pub fn rows(report: &ContractReport) -> String {
    let mut text = format!(
        "{} read = {} accepted + {} quarantined",
        thousands(report.read),
        thousands(report.accepted),
        thousands(report.quarantined)
    );
    let outside = [
        (report.unreadable, "unreadable"),
        (report.unprepared, "where `prepare` failed"),
        (report.incomplete, "without a key or a time"),
    ];
    let outside: Vec<String> = outside
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", thousands(number)))
        .collect();
    if !outside.is_empty() {
        text.push_str(&format!("; of these {}", outside.join(", ")));
        if let Some(first) = report.examples.first() {
            text.push_str(&format!(", first {first}"));
        }
    }
    text
}

/// The rules that rows failed, and how many rules nothing failed; `None` where there is no contract.
pub fn rules(report: &ContractReport) -> Option<String> {
    if report.rules.is_empty() {
        return None;
    }
    let (broken, kept): (Vec<&RuleReport>, Vec<&RuleReport>) = report.rules.iter().partition(|rule| rule.failed > 0);
    let kept = match (broken.len(), kept.len()) {
        (0, kept) => format!("{}, nothing failed", count(kept, "rule", "rules")),
        (_, 0) => String::new(),
        (_, kept) => format!("{} failed nothing", count(kept, "other rule", "other rules")),
    };
    if broken.is_empty() {
        return Some(kept);
    }
    let lines = table(
        ["rule", "check", "failed", "share", "action", "first"],
        &[2, 3],
        broken.into_iter().map(|rule| {
            [
                (rule.index + 1).to_string(),
                match &rule.column {
                    Some(column) => format!("{} {column} {}", rule.check, rule.reason),
                    None => format!("{} {}", rule.check, rule.reason),
                },
                thousands(rule.failed),
                percent(rule.share),
                if rule.fired {
                    format!("{} {}", action(rule.action), failed())
                } else {
                    action(rule.action).to_owned()
                },
                rule.examples.first().map(ToString::to_string).unwrap_or_default(),
            ]
        }),
    );
    Some(format!("{lines}\n{kept}").trim_end().to_owned())
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Quarantine => "quarantined",
        Action::SetNull => "set to null",
        Action::Warn => "warned",
        Action::Fail => "fail",
    }
}

/// What joins and filters of an SQL source left out, a line each.
pub fn left_out(report: &ContractReport) -> Vec<String> {
    report.left_out.iter().map(left_out_line).collect()
}

fn left_out_line(left: &LeftOut) -> String {
    let what = if left.by == LeftOutBy::Pairs { "pairs of rows" } else { "rows" };
    let rows = format!("left out: {} of {} {what} of {}", thousands(left.rows), thousands(left.of_rows), left.side);
    match left.by {
        LeftOutBy::Filter | LeftOutBy::Pairs => format!("{rows}, not {}", left.condition),
        LeftOutBy::Join => format!(
            "{rows} ({} of {}) without {}",
            count(left.keys as usize, "key", "keys"),
            left.key_columns.join(", "),
            left.without.as_deref().map_or("a match".to_owned(), |other| format!("a match in {other}"))
        ),
    }
}
