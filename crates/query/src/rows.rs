//! The definition of a source's rows: what decides their identities, times and values. Histories keep it with every
//! commit, so that rows made by different definitions are never taken for one another.

use std::collections::BTreeMap;

use karat_core::{Digest, Name, Zone};
use karat_history::{HistoryError, Snapshot};
use karat_project::spec::{Action, Check, Delivery};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::Result;
use crate::plan::{Identity, Input, Parts, SourcePlan};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowsDefinition {
    pub identity: Identity,
    pub delivery: Delivery,
    /// What bears on every row, by its name in the source's file.
    pub whole: BTreeMap<String, Json>,
    /// How each column of the history comes about.
    pub columns: BTreeMap<String, Json>,
}

/// Columns that decide what a row is and when; in `whole`, so that whoever depends on any column depends on them.
const BEARING: &str = "columns of keys and times";
const ROWS_OF: &str = "rows of ";

impl RowsDefinition {
    /// `upstream` has the definitions of the sources that this one's `sql` and `relation` checks name.
    pub fn of(plan: &SourcePlan, upstream: &BTreeMap<Name, RowsDefinition>) -> RowsDefinition {
        let parts = &plan.0;
        let source = &parts.source;
        let all = lineages(parts, upstream);
        let digest = |name: &String| all.get(name).map(Digest::of_json);
        let mut whole = BTreeMap::new();
        let mut say = |name: &str, value: Option<Json>| value.map(|value| whole.insert(name.to_owned(), value));
        say("event_time", source.event_time.as_ref().map(|name| json!(name)));
        say("known_time", source.known_time.as_ref().map(|name| json!(name)));
        say("available_after", source.available_after.as_ref().map(|delay| json!(delay)));
        say("time_zone", Some(json!(source.zone())));
        say("deleted", source.deleted.as_ref().map(|sql| json!(sql)));
        say("csv", source.csv.as_ref().map(|csv| json!(csv)));
        if let Input::Sql { text, reads } = &parts.input {
            say("sql", Some(json!(text)));
            for (name, columns) in reads {
                let rows = upstream.get(name.as_str()).map(|rows| rows.narrowed(columns.iter().map(String::as_str)));
                say(&format!("{ROWS_OF}{name}"), Some(json!(rows)));
            }
        }
        let mut bearing: Vec<&String> = source.event_time.iter().chain(&source.known_time).collect();
        if let Identity::Columns(names) = &parts.shape.identity {
            bearing.extend(names);
        }
        bearing.extend(parts.deleted.iter().flat_map(|condition| condition.columns()));
        let bearing: BTreeMap<&String, Option<Digest>> = bearing.into_iter().map(|name| (name, digest(name))).collect();
        say(BEARING, (!bearing.is_empty()).then(|| json!(bearing)));
        let columns = parts.shape.schema.names();
        RowsDefinition {
            identity: parts.shape.identity.clone(),
            delivery: parts.shape.delivery,
            whole,
            columns: columns.map(|name| (name.to_owned(), all[name].clone())).collect(),
        }
    }

    /// What made the rows of a snapshot's newest commit; `None` where an older Karat did not note it.
    pub fn of_commit(snapshot: &Snapshot) -> Result<Option<RowsDefinition>> {
        RowsDefinition::noted(&snapshot.source, snapshot.commit, snapshot.definition.as_ref())
    }

    /// As noted with a commit.
    pub fn noted(source: &Name, commit: u64, definition: Option<&Json>) -> Result<Option<RowsDefinition>> {
        let parsed = definition.map(RowsDefinition::deserialize).transpose();
        parsed.map_err(|error| {
            let path = format!("commit {commit} of `{source}`");
            HistoryError::Corrupt { path, problem: format!("its definition is unreadable: {error}") }.into()
        })
    }

    /// Digests all that can change a value of these columns, a row's identity or its times.
    pub fn narrowed<'a>(&self, columns: impl Iterator<Item = &'a str>) -> Digest {
        let columns: BTreeMap<&str, Option<&Json>> = columns.map(|name| (name, self.columns.get(name))).collect();
        Digest::of_json(&json!({
            "identity": self.identity,
            "delivery": self.delivery,
            "whole": self.whole,
            "columns": columns,
        }))
    }

    /// The zone of naive times and bare dates.
    pub fn zone(&self) -> Option<Zone> {
        serde_json::from_value(self.whole.get("time_zone")?.clone()).ok()
    }

    /// What keeps rows made by `earlier` from standing beside rows made by this, in words; nothing, where they may. Rows
    /// of an earlier definition may have columns more.
    pub fn changes_since(&self, earlier: &RowsDefinition) -> Vec<String> {
        let mut changes = Vec::new();
        if self.identity != earlier.identity {
            changes.push(format!("identity: {} -> {}", earlier.identity, self.identity));
        }
        if self.delivery != earlier.delivery {
            changes.push(format!("delivery: {} -> {}", word(&json!(earlier.delivery)), word(&json!(self.delivery))));
        }
        let names = self.whole.keys().chain(earlier.whole.keys().filter(|name| !self.whole.contains_key(*name)));
        for name in names.filter(|name| *name != BEARING) {
            let (then, now) = (earlier.whole.get(name), self.whole.get(name));
            if then == now {
                continue;
            }
            let said = |value: Option<&Json>| value.map_or_else(|| "none".to_owned(), word);
            changes.push(match name.as_str() {
                "sql" | "csv" => name.clone(),
                rows if rows.starts_with(ROWS_OF) => rows.to_owned(),
                _ => format!("{name}: {} -> {}", said(then), said(now)),
            });
        }
        for (name, now) in &self.columns {
            match earlier.columns.get(name) {
                Some(then) if then == now => {}
                Some(then) => changes.push(column_change(name, then, now)),
                None => changes.push(format!("column {name} is new")),
            }
        }
        // Of columns that `drop` leaves out, as `deleted` may use.
        if changes.is_empty() && self.whole.get(BEARING) != earlier.whole.get(BEARING) {
            changes.push("a column that `deleted` reads".to_owned());
        }
        changes
    }
}

fn column_change(name: &str, then: &Json, now: &Json) -> String {
    match (then.get("prepare"), now.get("prepare")) {
        (then, now) if then != now => {
            let said = |sql: Option<&Json>| sql.map_or_else(|| "as read".to_owned(), |sql| format!("`{}`", word(sql)));
            format!("{name}: {} -> {}", said(then), said(now))
        }
        _ if then.get("set_null") != now.get("set_null") => format!("set_null on {name}"),
        _ => format!("column {name}"),
    }
}

/// A value as a person wrote it, and not endless.
fn word(value: &Json) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// How every prepared column comes about, those that are dropped included.
fn lineages(parts: &Parts, upstream: &BTreeMap<Name, RowsDefinition>) -> BTreeMap<String, Json> {
    let source = &parts.source;
    let mut lineages: BTreeMap<String, Json> = BTreeMap::new();
    for column in parts.read.columns() {
        let read = source.columns.get(&column.name).map_or_else(|| json!(column.data_type), |spec| json!(spec));
        lineages.insert(column.name.clone(), json!({ "read": read }));
    }
    for prepared in &parts.prepare {
        let inputs: BTreeMap<&String, Option<Digest>> =
            prepared.expression.columns().iter().map(|name| (name, lineages.get(name).map(Digest::of_json))).collect();
        let lineage = json!({ "prepare": source.prepare[&prepared.name], "of": inputs });
        lineages.insert(prepared.name.clone(), lineage);
    }
    for rule in source.contract.iter().filter(|rule| rule.action == Action::SetNull) {
        let Some(Json::Object(lineage)) = rule.check.column().and_then(|column| lineages.get_mut(column)) else {
            continue;
        };
        let checks = lineage.entry("set_null").or_insert_with(|| json!([]));
        if let Json::Array(checks) = checks {
            checks.push(check_of(&rule.check, upstream));
        }
    }
    lineages
}

/// A check with what it looks into.
fn check_of(check: &Check, upstream: &BTreeMap<Name, RowsDefinition>) -> Json {
    let mut said = Map::new();
    said.insert("check".to_owned(), json!(check));
    if let Check::Relation { column, source, references, .. } = check {
        let references = references.as_ref().unwrap_or(column);
        let rows = upstream.get(source).map(|rows| rows.narrowed(std::iter::once(references.as_str())));
        said.insert("rows".to_owned(), json!(rows));
    }
    Json::Object(said)
}
