//! A source made ready to read: its columns worked out, its expressions and checks compiled against them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karat_core::{Column, DataType, Name, Schema, hidden, nearest};
use karat_features::Expression;
use karat_project::path_key;
use karat_project::spec::{Check, Delivery, Format, Origin, Source};
use serde::{Deserialize, Serialize};

use crate::read::{WantedColumn, columns_of, find};
use crate::sql::plan_query;
use crate::stage::CompiledRule;
use crate::{QueryError, Result};

/// What tells a row of a history from every other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The `keys`, or the `event_id`.
    Columns(Vec<String>),
    /// The delivering file's digest and the row's number in it.
    FileRow,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identity::Columns(columns) => f.write_str(&columns.join(", ")),
            Identity::FileRow => f.write_str("file and row"),
        }
    }
}

/// What it takes to resolve a history to its current rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub schema: Schema,
    pub identity: Identity,
    pub delivery: Delivery,
}

impl Shape {
    /// The names of the columns that identify a row, hidden ones included.
    pub fn identity_columns(&self) -> Vec<&str> {
        match &self.identity {
            Identity::Columns(columns) => columns.iter().map(String::as_str).collect(),
            Identity::FileRow => vec![hidden::FILE, hidden::ROW],
        }
    }
}

/// A source with everything compiled. Cheap to clone.
#[derive(Clone)]
pub struct SourcePlan(pub(crate) Arc<Parts>);

pub(crate) struct Parts {
    pub source: Source,
    pub root: PathBuf,
    pub input: Input,
    /// The columns as read.
    pub read: Schema,
    pub prepare: Vec<Prepared>,
    /// The columns once prepared.
    pub prepared: Schema,
    /// Those kept, by their place in `prepared`.
    pub kept: Vec<usize>,
    pub shape: Shape,
    pub rules: Vec<CompiledRule>,
    pub deleted: Option<Expression>,
}

pub(crate) enum Input {
    Files {
        columns: Vec<WantedColumn>,
    },
    Sql {
        text: String,
        /// The columns it uses, by source.
        reads: BTreeMap<String, Vec<String>>,
    },
}

pub(crate) struct Prepared {
    pub name: String,
    pub expression: Expression,
}

impl SourcePlan {
    /// `upstream` holds the schemas of the sources that this one's `sql` and `relation` checks name. Reads nothing,
    /// except the footer of a Parquet file whose columns are not declared. Fails with the first problem;
    /// [`SourcePlan::check`] tells them all.
    pub fn new(source: &Source, root: &Path, upstream: &BTreeMap<Name, Schema>) -> Result<SourcePlan> {
        SourcePlan::check(source, root, upstream)
            .map_err(|problems| problems.into_iter().next().expect("who fails names a problem"))
    }

    /// As [`SourcePlan::new`], with every problem. What reads a column that does not compile is not looked at.
    pub fn check(
        source: &Source,
        root: &Path,
        upstream: &BTreeMap<Name, Schema>,
    ) -> std::result::Result<SourcePlan, Vec<QueryError>> {
        let (input, read) = input(source, root, upstream).map_err(|problem| vec![problem])?;
        let mut wrong = Wrong::default();
        let mut prepared = read.columns().to_vec();
        let mut prepare = Vec::new();
        for (name, sql) in &source.prepare {
            let at = format!("prepare.{}", path_key(name));
            let compiled = wrong.of_expression(sql, || {
                Expression::compile(sql, &with_row_number(&prepared))
                    .map_err(|error| QueryError::source(&source.name, at, error.to_string()))
            });
            let Some(expression) = compiled else {
                // Some column, so that whatever names it finds one.
                if prepared.iter().all(|existing| &existing.name != name) {
                    prepared.push(Column::new(name, DataType::Text));
                }
                wrong.columns.insert(name.clone());
                continue;
            };
            let column = Column::new(name, expression.data_type());
            match prepared.iter_mut().find(|existing| &existing.name == name) {
                Some(existing) => *existing = column,
                None => prepared.push(column),
            }
            prepare.push(Prepared { name: name.clone(), expression });
        }
        let prepared = Schema::new(prepared);
        for (index, name) in source.drop.iter().enumerate() {
            wrong.of(require(source, &prepared, name, &format!("drop[{index}]")));
        }
        let kept: Vec<usize> = (0..prepared.columns().len())
            .filter(|index| !source.drop.contains(&prepared.columns()[*index].name))
            .collect();
        let schema = Schema::new(kept.iter().map(|index| prepared.columns()[*index].clone()).collect());
        let identity = wrong.of(identity(source, &schema));
        for (at, name) in [("event_time", &source.event_time), ("known_time", &source.known_time)] {
            if let Some(name) = name.as_ref().filter(|name| !wrong.columns.contains(*name)) {
                wrong.of(check_time(source, &schema, at, name));
            }
        }
        let mut rules = Vec::with_capacity(source.contract.len());
        for (index, rule) in source.contract.iter().enumerate() {
            if !wrong.columns.iter().any(|column| reads(&rule.check, column)) {
                rules.extend(wrong.of(CompiledRule::new(&source.name, index, rule, &prepared, upstream)));
            }
        }
        let deleted = source
            .deleted
            .as_ref()
            .and_then(|sql| wrong.of_expression(sql, || compile_condition(&source.name, "deleted", sql, &prepared)));
        let Some(identity) = identity.filter(|_| wrong.problems.is_empty()) else { return Err(wrong.problems) };
        let shape = Shape { identity, delivery: source.delivery(), schema };
        let source = source.clone();
        let root = root.to_owned();
        Ok(SourcePlan(Arc::new(Parts { source, root, input, read, prepare, prepared, kept, shape, rules, deleted })))
    }

    /// What it reads, as it looks now: names, and what changes when their content does. Nothing for an SQL source;
    /// `None` where only reading tells.
    pub fn looks(&self) -> Result<Option<BTreeMap<String, String>>> {
        let Input::Files { columns } = &self.0.input else { return Ok(Some(BTreeMap::new())) };
        let found = find(&self.0.root, &self.0.source, columns)?;
        found.iter().map(|file| file.location.look()).collect()
    }

    /// Whether its pattern finds nothing: of a folder that files come into, none are there yet.
    pub fn finds_no_file(&self) -> bool {
        let Input::Files { columns } = &self.0.input else { return false };
        matches!(find(&self.0.root, &self.0.source, columns), Err(QueryError::NoFile { .. }))
    }

    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// The columns read, before `prepare`.
    pub fn read_schema(&self) -> &Schema {
        &self.0.read
    }

    /// The columns its history has.
    pub fn schema(&self) -> &Schema {
        &self.0.shape.schema
    }

    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The sources whose current rows `relation` checks look at.
    pub fn related(&self) -> Vec<&Name> {
        self.0
            .source
            .contract
            .iter()
            .filter_map(|rule| match &rule.check {
                Check::Relation { source, .. } => Some(source),
                _ => None,
            })
            .collect()
    }
}

fn input(source: &Source, root: &Path, upstream: &BTreeMap<Name, Schema>) -> Result<(Input, Schema)> {
    if let Origin::Sql(sql) = source.origin() {
        let (schema, reads) =
            plan_query(sql, upstream).map_err(|error| QueryError::source(&source.name, "sql", error.to_string()))?;
        return Ok((Input::Sql { text: sql.to_owned(), reads }, schema));
    }
    if !source.columns.is_empty() {
        let columns: Vec<WantedColumn> = source
            .columns
            .iter()
            .map(|(name, spec)| WantedColumn {
                file_name: spec.file_name(name).to_owned(),
                name: name.clone(),
                data_type: spec.data_type(),
                format: spec.format().cloned(),
            })
            .collect();
        let schema = Schema::new(columns.iter().map(|column| Column::new(&column.name, column.data_type)).collect());
        return Ok((Input::Files { columns }, schema));
    }
    let files = find(root, source, &[])?;
    let first = files.first().expect("a pattern without files is an error of its own");
    if first.format != Format::Parquet {
        let problem = "columns are declared, unless of Parquet files: `columns: {id: int, name: text}`";
        return Err(QueryError::source(&source.name, "columns", problem));
    }
    let schema = columns_of(first)?;
    let columns = schema
        .columns()
        .iter()
        .map(|column| WantedColumn {
            file_name: column.name.clone(),
            name: column.name.clone(),
            data_type: column.data_type,
            format: None,
        })
        .collect();
    Ok((Input::Files { columns }, schema))
}

/// What an expression of `prepare` sees: the columns so far, and the row's number in its delivery.
pub(crate) fn with_row_number(columns: &[Column]) -> Schema {
    let number = Column::new(hidden::ROW, DataType::Int);
    Schema::new(columns.iter().cloned().chain([number]).collect())
}

fn identity(source: &Source, schema: &Schema) -> Result<Identity> {
    if source.delivery() == Delivery::Append {
        return match &source.event_id {
            Some(event_id) => {
                require(source, schema, event_id, "event_id")?;
                Ok(Identity::Columns(vec![event_id.clone()]))
            }
            None if source.keep && !matches!(source.origin(), Origin::Path(_) | Origin::Lookup(_) | Origin::Pushed) => {
                let problem = "rows of a query have no identity of their own: name `keys`, or an `event_id`";
                Err(QueryError::source(&source.name, "delivery", problem))
            }
            None => Ok(Identity::FileRow),
        };
    }
    if source.keys.is_empty() {
        let problem = "name the columns that tell its rows apart, or say `delivery: append`";
        return Err(QueryError::source(&source.name, "keys", problem));
    }
    for (index, key) in source.keys.iter().enumerate() {
        require(source, schema, key, &format!("keys[{index}]"))?;
    }
    Ok(Identity::Columns(source.keys.clone()))
}

fn check_time(source: &Source, schema: &Schema, at: &str, name: &str) -> Result<()> {
    let column = require(source, schema, name, at)?;
    if !column.data_type.is_time() {
        let problem = format!("`{name}` is {}, where a date or timestamp is needed", column.data_type);
        return Err(QueryError::source(&source.name, at, problem));
    }
    Ok(())
}

/// What is wrong so far.
#[derive(Default)]
struct Wrong {
    problems: Vec<QueryError>,
    /// Columns whose type nobody knows.
    columns: BTreeSet<String>,
}

impl Wrong {
    fn of<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// `None` without a problem of its own where the expression reads a column that is wrong.
    fn of_expression<T>(&mut self, sql: &str, compile: impl FnOnce() -> Result<T>) -> Option<T> {
        if Expression::names(sql).is_ok_and(|names| names.iter().any(|name| self.columns.contains(name))) {
            return None;
        }
        self.of(compile())
    }
}

/// Whether a check looks at the column.
fn reads(check: &Check, column: &str) -> bool {
    match check {
        Check::Unique { columns } => columns.iter().any(|name| name == column),
        Check::Expression { sql } => Expression::names(sql).is_ok_and(|names| names.iter().any(|name| name == column)),
        other => other.column() == Some(column),
    }
}

fn require<'a>(source: &Source, schema: &'a Schema, name: &str, at: &str) -> Result<&'a Column> {
    find_column(&source.name, schema, name, at)
}

/// The column called `name`, or an error that suggests the nearest.
pub(crate) fn find_column<'a>(source: &Name, schema: &'a Schema, name: &str, at: &str) -> Result<&'a Column> {
    schema.column(name).ok_or_else(|| {
        let hint = match nearest(name, schema.names()) {
            Some(nearest) => format!("; did you mean `{nearest}`?"),
            None => format!("; it has {}", schema.names().collect::<Vec<_>>().join(", ")),
        };
        QueryError::source(source, at, format!("there is no column `{name}`{hint}"))
    })
}

pub(crate) fn compile_condition(source: &Name, at: &str, sql: &str, schema: &Schema) -> Result<Expression> {
    let expression =
        Expression::compile(sql, schema).map_err(|error| QueryError::source(source, at, error.to_string()))?;
    if expression.data_type() != DataType::Bool {
        let problem = format!("`{sql}` is {}, where true or false is needed", expression.data_type());
        return Err(QueryError::source(source, at, problem));
    }
    Ok(expression)
}
