use indexmap::IndexMap;
use karat_core::{DataType, Name};

use super::scope::{Scope, keys_in};
use crate::draft::Draft;
use crate::kind::{Kind, ResourceRef};
use crate::spec::{Format, Lookup, Origin, Source};
use crate::suggest::{did_you_mean, ticked};
use crate::yaml::path_key;

/// What is known of a source's columns without opening data.
pub(super) struct Columns<'a> {
    source: &'a Source,
    /// After `prepare`; the type where it is declared.
    types: IndexMap<&'a str, Option<DataType>>,
    /// Whether there are no others.
    complete: bool,
}

/// Which of a source's columns a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Those that `prepare` and the contract see.
    Delivered,
    /// Those that histories keep: not the dropped ones.
    Kept,
}

impl<'a> Columns<'a> {
    pub(super) fn of(draft: &'a Draft, source: &'a Source) -> Columns<'a> {
        let node = draft.nodes.get(&ResourceRef::new(Kind::Source, source.name.clone()));
        let mut types: IndexMap<&str, Option<DataType>> = IndexMap::new();
        for name in keys_in(node, "columns") {
            types.insert(name, source.columns.get(name).map(|spec| spec.data_type()));
        }
        let declared = !types.is_empty();
        if source.lookup.is_some() {
            types.insert(Lookup::FAILURE, Some(DataType::Text));
        }
        for name in keys_in(node, "prepare") {
            types.insert(name, None);
        }
        let from_file = source.sql.is_none();
        Columns { source, types, complete: from_file && declared }
    }

    pub(super) fn named(draft: &'a Draft, source: &Name) -> Option<Columns<'a>> {
        draft.sources.get(source).map(|source| Columns::of(draft, source))
    }

    /// The declared type of a column that is there.
    pub(super) fn data_type(&self, name: &str) -> Option<DataType> {
        self.types.get(name).copied().flatten()
    }

    /// Reports a column that is not there; says its type where that is known.
    pub(super) fn require(&self, scope: &mut Scope<'_>, name: &str, reading: Reading, path: &str) -> Option<DataType> {
        let source = &self.source.name;
        let dropped = reading == Reading::Kept && self.source.drop.iter().any(|dropped| dropped == name);
        if dropped {
            scope.at(path, format!("source `{source}` drops its column `{name}`"));
            return None;
        }
        if let Some(data_type) = self.types.get(name) {
            return *data_type;
        }
        if self.complete {
            let names = || self.types.keys().copied();
            let help = did_you_mean(name, names(), || format!("it has {}", ticked(&names().collect::<Vec<_>>())));
            scope.at_with_help(path, format!("source `{source}` has no column `{name}`"), help);
        }
        None
    }

    /// As [`Columns::require`], of a column on the time line.
    pub(super) fn require_time(&self, scope: &mut Scope<'_>, name: &str, reading: Reading, path: &str) {
        match self.require(scope, name, reading, path) {
            Some(data_type) if !data_type.is_time() => {
                let last = path.rsplit('.').next().unwrap_or(path);
                scope.at(path, format!("`{last}` is a date or timestamp column, and `{name}` is of type {data_type}"));
            }
            _ => {}
        }
    }
}

/// `columns` and `prepare`: their names.
pub(super) fn check_names(scope: &mut Scope<'_>, source: &Source) {
    let declared = source.columns.keys().map(|name| ("columns", name));
    let prepared = source.prepare.keys().map(|name| ("prepare", name));
    for (section, name) in declared.chain(prepared) {
        let path = format!("{section}.{}", path_key(name));
        if name.starts_with('_') {
            scope.at_key_with_help(
                &path,
                format!("column `{name}` begins with `_`, as only Karat's own columns do"),
                rename_help(section, name),
            );
        } else if name.trim().is_empty() {
            scope.at_key(&path, "a column needs a name");
        } else if name.trim() != name || name.chars().any(char::is_control) {
            scope.at_key(
                &path,
                format!("`{}` is no column name: it has blanks around it or control characters", name.escape_debug()),
            );
        }
    }
}

fn rename_help(section: &str, name: &str) -> String {
    let clean = name.trim_start_matches('_');
    match section {
        "columns" if !clean.is_empty() => format!("write `{clean}: {{type: …, from: {name}}}`"),
        _ => "give it another name".to_owned(),
    }
}

/// A CSV file has no types of its own.
pub(super) fn check_declared(scope: &mut Scope<'_>, source: &Source) {
    let has_none = source.columns.is_empty() && scope.is_sound();
    if has_none && source.push.is_some() && source.origin() == Origin::Pushed {
        let help = "write a line `name: type` for each column to read";
        scope.at_key_with_help(
            "push",
            "a source that only takes pushes declares its columns: missing key `columns`",
            help,
        );
    }
    let format = source.file_format().filter(|_| source.sql.is_none());
    if let (Some(format @ (Format::Csv | Format::Json)), true) = (format, has_none) {
        let (word, key) = match (source.origin(), format) {
            (Origin::Postgres(_), _) => ("PostgreSQL", "postgres"),
            (Origin::Command(_), _) => ("`command`", "command"),
            (_, Format::Csv) => ("CSV", "path"),
            _ => ("JSON", "path"),
        };
        let message = format!("a {word} source declares its columns: missing key `columns`");
        scope.at_key_with_help(key, message, "write a line `name: type` for each column to read");
    }
}

/// Keys that only some origins go with.
pub(super) fn check_origin(scope: &mut Scope<'_>, source: &Source) {
    let given = [
        ("path", source.path.is_some()),
        ("postgres", source.postgres.is_some()),
        ("command", source.command.is_some()),
        ("sql", source.sql.is_some()),
        ("lookup", source.lookup.is_some()),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
    match given.as_slice() {
        [] => {
            if scope.is_sound() && source.push.is_none() {
                let message = "a source needs `path` (files), `postgres`, `command`, `sql` (a query over other sources), \
                               `lookup` (an outside service) or `push: true`";
                scope.at_key("name", message);
            }
            return;
        }
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                scope.at_key(other, format!("a source has `{first}` or `{other}`, not both"));
            }
            return;
        }
    }
    let (foreign, of): (&[&str], &str) = match source.origin() {
        Origin::Path(_) => return,
        Origin::Sql(_) => {
            (&["columns", "csv", "format", "compression", "member"], "a source with `sql` has the query's columns")
        }
        Origin::Postgres(_) => (&["csv", "format", "compression", "member"], "a database has its own"),
        Origin::Command(_) => (&["compression", "member"], "what a command prints is read as it comes"),
        Origin::Lookup(_) => (&["csv", "format", "compression", "member"], "a service answers with JSON objects"),
        Origin::Pushed => (&["csv", "format", "compression", "member"], "rows are pushed as JSON objects"),
    };
    for key in foreign {
        if scope.has_key(key) {
            scope.at_key(key, format!("`{key}` is about files; {of}"));
        }
    }
}
