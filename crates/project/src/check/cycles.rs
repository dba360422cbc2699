//! What a source is made of: the tables its SQL reads and the sources its `relation` checks look into. Each must exist,
//! and none may depend on itself, however far round.

use indexmap::IndexMap;
use karat_core::Name;

use super::scope::Scope;
use crate::draft::Draft;
use crate::kind::Kind;
use crate::problem::Problem;
use crate::spec::{Check, Source};
use crate::sql::sql_tables;
use crate::suggest::{did_you_mean, ticked};
use crate::upstream::resolve;

/// The sources one depends on, each with the path that says so.
type Edges<'a> = IndexMap<&'a Name, Vec<(&'a Name, String)>>;

pub(super) fn check(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut edges: Edges<'_> = IndexMap::new();
    for source in draft.sources.values() {
        let mut scope = Scope::new(draft, problems, Kind::Source, &source.name);
        edges.insert(&source.name, depends_on(draft, &mut scope, source));
    }
    for cycle in cycles(&edges) {
        let Some((first, path)) = cycle.first() else { continue };
        let mut names: Vec<&str> = cycle.iter().map(|(name, _)| name.as_str()).collect();
        names.push(first.as_str());
        let message = match names.as_slice() {
            [one, _] => format!("source `{one}` is made of itself"),
            _ => format!("sources are made of one another: {}", names.join(" → ")),
        };
        Scope::new(draft, problems, Kind::Source, first).at_key(path, message);
    }
}

fn depends_on<'a>(draft: &'a Draft, scope: &mut Scope<'_>, source: &'a Source) -> Vec<(&'a Name, String)> {
    let mut edges = Vec::new();
    for table in source.sql.iter().flat_map(|sql| sql_tables(sql)) {
        match resolve(&table, draft.sources.keys()) {
            Some(name) => edges.push((name, "sql".to_owned())),
            None if draft.names(Kind::Source).iter().any(|name| table.means(name)) => {}
            None => unknown_table(draft, scope, &table.name),
        }
    }
    for (index, rule) in source.contract.iter().enumerate() {
        if let Check::Relation { source: other, .. } = &rule.check
            && *other != source.name
            && let Some((name, _)) = draft.sources.get_key_value(other)
        {
            edges.push((name, format!("contract[{index}].source")));
        }
    }
    edges
}

fn unknown_table(draft: &Draft, scope: &mut Scope<'_>, table: &str) {
    let names = draft.names(Kind::Source);
    let help = did_you_mean(table, names.iter().map(String::as_str), || match names {
        [] => "a query reads other sources, by their names".to_owned(),
        _ => format!("there is {}", ticked(names)),
    });
    scope.at_word("sql", table, format!("the query reads `{table}`, and no source is called that"), help);
}

/// Each cycle once: its sources in order, with the path inside each that leads to the next.
fn cycles<'a>(edges: &Edges<'a>) -> Vec<Vec<(&'a Name, String)>> {
    let mut found = Vec::new();
    let mut done: Vec<&Name> = Vec::new();
    for start in edges.keys() {
        visit(edges, start, &mut Vec::new(), &mut done, &mut found);
    }
    found
}

/// Depth first. Chains of sources are as long as people write them, so recursion is shallow; it ends at what is done.
fn visit<'a>(
    edges: &Edges<'a>,
    name: &'a Name,
    trail: &mut Vec<(&'a Name, String)>,
    done: &mut Vec<&'a Name>,
    found: &mut Vec<Vec<(&'a Name, String)>>,
) {
    if let Some(start) = trail.iter().position(|(seen, _)| *seen == name) {
        found.extend(trail.get(start..).map(<[_]>::to_vec));
        return;
    }
    if done.contains(&name) {
        return;
    }
    for (next, path) in edges.get(name).into_iter().flatten() {
        trail.push((name, path.clone()));
        visit(edges, next, trail, done, found);
        trail.pop();
    }
    done.push(name);
}
