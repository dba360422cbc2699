use karat_core::Instant;
use karat_jobs::features_why::{Why, WhyEvent};

use crate::output::{count, dynamic_table, heading, indent, quoted, short_instant, thousands};

use super::how;

pub fn human(why: &Why) -> String {
    let known = if why.known_at == why.as_of { String::new() } else { format!(", as known at {}", why.known_at) };
    let title = format!(
        "{} of {} {} is {}, as of {}{known}",
        why.feature,
        why.view,
        quoted(&why.key),
        quoted(&why.value),
        why.as_of
    );
    let mut lines = vec![heading(&title)];
    let words = why.words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
    lines.push(indent(&format!("{}{words}", how(&why.how))));
    for part in &why.parts {
        let column = if part.is_column { ", of the last event" } else { "" };
        lines.push(indent(&format!("{} = {}{column}", part.name, quoted(&part.value))));
    }
    let counts = why.events.iter().filter(|event| event.counts).collect::<Vec<_>>();
    lines.push(String::new());
    lines.push(match why.counted {
        0 if why.no_history => "no event was visible then".to_owned(),
        0 => "no event counts".to_owned(),
        counted => format!("{} behind it{}", count(counted as usize, "event", "events"), shown(counts.len(), counted)),
    });
    lines.extend(events(&counts));
    let others = why.events.iter().filter(|event| !event.counts).collect::<Vec<_>>();
    if !others.is_empty() {
        let left_out: u64 = why.left_out.values().sum();
        lines.push(String::new());
        lines.push(format!("{} left out{}", thousands(left_out), shown(others.len(), left_out)));
        lines.extend(events(&others));
    }
    lines.push(String::new());
    lines.push(format!("definition {}, {} up to commit {}", why.definition.short(), why.source, why.commit));
    lines.join("\n")
}

fn shown(shown: usize, of: u64) -> String {
    if (shown as u64) < of { format!(", the newest {shown} (--limit 0 shows all)") } else { String::new() }
}

fn events(events: &[&WhyEvent]) -> Option<String> {
    let first = events.first()?;
    let has_file = events.iter().any(|event| event.file.is_some());
    let has_parts = events.iter().any(|event| !event.parts.is_empty());
    let mut header = vec!["happened", "known"];
    let mut numbers = Vec::new();
    for name in first.columns.keys() {
        if first.columns[name].is_number() {
            numbers.push(header.len());
        }
        header.push(name);
    }
    numbers.extend([header.len(), header.len() + 1 + usize::from(has_file)]);
    header.push("commit");
    header.extend(has_file.then_some("file"));
    header.push("row");
    header.extend(has_parts.then_some("counts in"));
    header.extend((!first.counts).then_some("why not"));
    let rows = events.iter().map(|event| {
        let time = |time: Option<Instant>, none: &str| time.map_or_else(|| none.to_owned(), short_instant);
        let mut row = vec![time(event.event_time, ""), time(event.known_time, "always")];
        row.extend(event.columns.values().map(quoted));
        row.push(event.commit.to_string());
        if has_file {
            row.push(event.file.clone().unwrap_or_default());
        }
        row.push(event.row.map(|row| row.to_string()).unwrap_or_default());
        if has_parts {
            row.push(event.parts.join(", "));
        }
        row.extend(event.because.clone());
        row
    });
    Some(indent(&dynamic_table(&header, &numbers, rows)))
}
