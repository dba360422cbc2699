//! A project over given rows, in a folder that is removed with it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indexmap::IndexMap;
use karat_core::{DataType, Name};
use karat_project::spec::{
    Action, Check, ColumnSpec, Config, Csv, Format, Given, GivenRow, Paths, Rule, Source, Stores, Test,
};
use karat_project::{LocatedTest, Problems, Project};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::Around;
use crate::{Catalog, Workspace};

/// A throw-away project, opened.
pub(super) struct World {
    pub workspace: Workspace,
    /// Removed when this goes; the workspace above closes first.
    _folder: TempDir,
}

/// The number of a sampled row, where nothing else names it.
const GIVEN_ROW: &str = "given_row";

/// What stands for null in written rows: no cell that a person writes.
const NULL: &str = "\\N";

pub(super) async fn world(project: &Project, test: &LocatedTest, around: Around<'_>) -> Result<World> {
    let folder = tempfile::Builder::new().prefix("karat-test-").tempdir().context("a folder for the test")?;
    let config = Config { stores: Stores::default(), ..project.config().clone() };
    let catalog = Catalog::compile(project)?;
    let mut changed = project.clone();
    let has_rows = test.spec.given.values().any(|given| matches!(given, Given::Rows(_)));
    for source in project.sources().values() {
        let read = || -> Vec<(String, DataType)> {
            let plan = &catalog.sources[&source.name].plan;
            plan.read_schema().columns().iter().map(|column| (column.name.clone(), column.data_type)).collect()
        };
        match test.spec.given.get(&source.name) {
            Some(Given::Rows(rows)) => {
                changed = changed.with_source(written(source, rows, read(), &test.spec, folder.path())?);
            }
            Some(Given::Delivered(delivered)) => {
                let replaced = delivered_by(source, delivered.filter.as_deref(), &read(), project.root());
                if delivered.filter.is_some() {
                    try_filter(project, source, &replaced)?;
                }
                for replaced in replaced {
                    changed = changed.with_source(replaced);
                }
            }
            // What a query makes of a few rows is a few rows.
            None if source.sql.is_some() && has_rows => {
                changed = changed.with_source(Source { contract: about_rows(source), ..source.clone() });
            }
            None if source.sql.is_some() => {}
            None => changed = changed.with_source(written(source, &[], read(), &test.spec, folder.path())?),
        }
    }
    let workspace = Box::pin(Workspace::open(changed.located(folder.path(), config), around())).await?;
    Ok(World { workspace, _folder: folder })
}

/// What is given cannot be: the key of the test that says so, and why.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct Misgiven {
    pub key: String,
    problem: String,
}

/// Whether the condition of a sample can be evaluated, told where the test has it.
fn try_filter(project: &Project, source: &Source, sampled: &[Source]) -> Result<()> {
    let trial = sampled.iter().fold(project.clone(), |trial, source| trial.with_source(source.clone()));
    let Err(error) = Catalog::compile(&trial) else { return Ok(()) };
    let problem = match error.downcast_ref::<Problems>().and_then(|problems| problems.iter().next()) {
        // The names of columns are the source's, whatever it is called here.
        Some(problem) => sampled
            .iter()
            .filter(|delivered| delivered.name != source.name)
            .fold(problem.message.clone(), |message, delivered| message.replace(&format!("{}.", delivered.name), "")),
        None => format!("{error:#}"),
    };
    Err(Misgiven { key: format!("given.{}.where", source.name), problem }.into())
}

/// The source reading `rows` from a file written here.
fn written(
    source: &Source,
    rows: &[GivenRow],
    columns: Vec<(String, DataType)>,
    test: &Test,
    folder: &Path,
) -> Result<Source> {
    let path = PathBuf::from("given").join(format!("{}.csv", source.name));
    let mut text = line(columns.iter().map(|(name, _)| quoted(name)));
    for (number, row) in rows.iter().enumerate() {
        if let Some(unknown) = row.0.keys().find(|name| place(source, &columns, name).is_none()) {
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let hint = match karat_core::nearest(unknown, names.iter().copied()) {
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("it has {}", names.join(", ")),
            };
            bail!("given row {} of {}: the source has no column `{unknown}`; {hint}", number + 1, source.name);
        }
        let mut cells = vec![NULL.to_owned(); columns.len()];
        for (name, value) in &row.0 {
            if let Some(place) = place(source, &columns, name) {
                cells[place] = cell(value);
            }
        }
        text.push_str(&line(cells.into_iter()));
    }
    let file = folder.join(&path);
    let parent = file.parent().context("a given file lies in a folder")?;
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(&file, text))
        .with_context(|| format!("the given rows of {} in test `{}`", source.name, test.name))?;
    let columns: IndexMap<String, ColumnSpec> =
        columns.into_iter().map(|(name, data_type)| (name, ColumnSpec::Type(data_type))).collect();
    Ok(Source {
        path: Some(Paths::from(path.display().to_string().as_str())),
        member: None,
        postgres: None,
        command: None,
        lookup: None,
        format: Some(Format::Csv),
        compression: None,
        csv: Some(Csv { null_values: vec![NULL.to_owned()], ..Csv::default() }),
        sql: None,
        columns,
        contract: about_rows(source),
        ..source.clone()
    })
}

/// By the name here, or in the file.
fn place(source: &Source, columns: &[(String, DataType)], wanted: &str) -> Option<usize> {
    let in_file = |name: &str| source.columns.get(name).map(|spec| spec.file_name(name).to_owned());
    let here = columns.iter().position(|(name, _)| name == wanted);
    here.or_else(|| columns.iter().position(|(name, _)| in_file(name).as_deref() == Some(wanted)))
}

/// Whether a check looks at the delivery as a whole, which a few rows or a sample are not.
fn is_about_delivery(rule: &Rule) -> bool {
    matches!(rule.check, Check::RowCount { .. } | Check::Freshness { .. } | Check::Volume { .. })
}

/// The contract without what is about whole deliveries: two of three rows are no share.
fn about_rows(source: &Source) -> Vec<Rule> {
    let few = |rule: &Rule| {
        let fail_above = if rule.action == Action::Fail { rule.fail_above.map(|_| 1.0) } else { None };
        Rule { fail_above, ..rule.clone() }
    };
    source.contract.iter().filter(|rule| !is_about_delivery(rule)).map(few).collect()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = cells.collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

fn cell(value: &Json) -> String {
    match value {
        Json::Null => NULL.to_owned(),
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    let _ = write!(quoted, "\"{}\"", text.replace('"', "\"\""));
    quoted
}

/// The source reading its own files from anywhere. A sample is taken by a query over another source that reads them in
/// place, so that what it leaves out costs nothing more.
fn delivered_by(source: &Source, filter: Option<&str>, columns: &[(String, DataType)], root: &Path) -> Vec<Source> {
    let mut whole = source.clone();
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let anywhere =
        |path: &String| if path.contains("://") { path.clone() } else { root.join(path).display().to_string() };
    whole.path = source.path.as_ref().and_then(|paths| Paths::new(paths.iter().map(anywhere).collect()));
    let Some(filter) = filter else { return vec![whole] };
    let name = format!("{}_delivered", &source.name[..source.name.len().min(50)]);
    let Ok(name) = Name::new(&name) else { return vec![whole] };
    let contract = source.contract.iter().filter(|rule| !is_about_delivery(rule)).cloned().collect();
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    // Rows of a query are told apart by keys; those that have none by their number.
    let (mut keys, mut prepare) = (source.keys.clone(), source.prepare.clone());
    if keys.is_empty() {
        keys = vec![GIVEN_ROW.to_owned()];
        prepare.insert(GIVEN_ROW.to_owned(), karat_core::hidden::ROW.to_owned());
    }
    let sampled = Source {
        keys,
        prepare,
        delivery: None,
        event_id: None,
        deleted: None,
        path: None,
        member: None,
        postgres: None,
        command: None,
        lookup: None,
        format: None,
        compression: None,
        csv: None,
        columns: IndexMap::new(),
        // What rests on the order of rows rests on that of the files.
        sql: Some(format!(
            "SELECT {} FROM \"{name}\" WHERE {filter} ORDER BY \"{row}\"",
            names.join(", "),
            row = karat_core::hidden::ROW
        )),
        contract,
        ..source.clone()
    };
    let delivered = Source {
        name,
        // Keys may be columns that are prepared, which this one has not; it is read in place and needs none.
        keys: Vec::new(),
        prepare: IndexMap::new(),
        drop: Vec::new(),
        event_time: None,
        known_time: None,
        available_after: None,
        include_as_of: false,
        sequence: None,
        deleted: None,
        delivery: None,
        event_id: None,
        keep: false,
        contract: Vec::new(),
        ..whole
    };
    vec![delivered, sampled]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_written_so_that_they_read_back() {
        assert_eq!(cell(&Json::Null), "\\N");
        assert_eq!(cell(&Json::from("a \"b\", c")), "\"a \"\"b\"\", c\"");
        assert_eq!(cell(&Json::from(1.5)), "1.5");
        assert_eq!(cell(&Json::from(true)), "true");
    }
}
