//! What became of a source's rows between two commits: added, changed and removed, told by their keys.
//!
//! Both sides go through the engine, which goes to disk where they do not fit its memory; what is held here are counts and
//! a few rows.

use anyhow::{Context, Result, bail};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use karat_core::{Instant, Name, Schema, Value, hidden};
use karat_history::Snapshot;
use karat_query::{Identity, Shape, Table, Tables};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::training_set::quoted;
use crate::{NotFound, Usage, Workspace, reading, tags};

#[derive(Debug, Serialize)]
pub struct Diff {
    pub source: Name,
    pub from: Side,
    pub to: Side,
    /// What tells rows from each other.
    pub keys: Vec<String>,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub unchanged: u64,
    /// The columns whose values changed, with the rows they changed in; the most first.
    pub columns: Vec<ChangedColumn>,
    /// Columns of one side only, or of another type: their values are not compared.
    pub columns_added: Vec<String>,
    pub columns_removed: Vec<String>,
    pub columns_retyped: Vec<Retyped>,
    pub sample: Sample,
}

#[derive(Debug, Serialize)]
pub struct Side {
    pub commit: u64,
    pub committed: Instant,
    pub rows: u64,
}

#[derive(Debug, Serialize)]
pub struct ChangedColumn {
    pub column: String,
    pub rows: u64,
}

#[derive(Debug, Serialize)]
pub struct Retyped {
    pub column: String,
    pub from: String,
    pub to: String,
}

/// The first of each by their keys.
#[derive(Debug, Default, Serialize)]
pub struct Sample {
    pub added: Vec<Map<String, Json>>,
    pub removed: Vec<Map<String, Json>>,
    pub changed: Vec<ChangedRow>,
}

#[derive(Debug, Serialize)]
pub struct ChangedRow {
    pub key: Map<String, Json>,
    pub columns: Vec<ChangedCell>,
}

#[derive(Debug, Serialize)]
pub struct ChangedCell {
    pub column: String,
    pub from: Json,
    pub to: Json,
}

/// Of the commits `from` and `to`, each a number or a tag; `samples` rows of each kind are shown.
pub async fn run(workspace: &Workspace, source: &str, from: &str, to: &str, samples: usize) -> Result<Diff> {
    let catalog = workspace.catalog()?;
    let Some(planned) = catalog.sources.get(source) else {
        bail!(NotFound::named("source", source, catalog.sources.keys()));
    };
    let name = &planned.plan.source().name;
    if !planned.plan.source().keep {
        bail!(Usage(format!("source {name} keeps no history (`keep: false`): it has no commits to compare")));
    }
    let (before, after) = (at(workspace, name, from).await?, at(workspace, name, to).await?);
    let shapes = (reading::shape(planned, &before)?, reading::shape(planned, &after)?);
    let comparison = Comparison::new(name, &shapes.0, &shapes.1)?;
    let sides = [(before.commit, before.at), (after.commit, after.at)];
    let mut tables = Tables::new();
    tables.insert(BEFORE, table(&shapes.0, before));
    tables.insert(AFTER, table(&shapes.1, after));
    comparison.run(workspace, &tables, sides, samples).await
}

async fn at(workspace: &Workspace, source: &Name, number_or_tag: &str) -> Result<Snapshot> {
    if workspace.history.commits(source).await?.is_empty() {
        bail!(NotFound(format!("source {source} was never ingested: run `karat sources ingest`")));
    }
    let commit = tags::commit_of(workspace, source, number_or_tag).await?;
    workspace.snapshot(source, Some(commit)).await
}

const BEFORE: &str = "before";
const AFTER: &str = "after";

/// Rows of files never change, so each record is a row; and only records show which file they are of.
fn table(shape: &Shape, snapshot: Snapshot) -> Table {
    match shape.identity {
        Identity::FileRow => Table::history(&shape.schema, snapshot),
        Identity::Columns(_) => Table::current(shape, Some(snapshot)),
    }
}

/// What can be compared of two shapes.
struct Comparison<'a> {
    source: &'a Name,
    keys: Vec<String>,
    /// Of both sides, beside the keys.
    columns: Vec<String>,
    before: &'a Schema,
    after: &'a Schema,
}

impl<'a> Comparison<'a> {
    fn new(source: &'a Name, before: &'a Shape, after: &'a Shape) -> Result<Comparison<'a>> {
        if before.identity != after.identity {
            bail!(
                "the rows of {source} are told apart by {} at the one commit and by {} at the other: they cannot be compared",
                before.identity,
                after.identity
            );
        }
        let keys: Vec<String> = after.identity_columns().into_iter().map(str::to_owned).collect();
        let alike = |name: &str| {
            let types = before.schema.column(name).zip(after.schema.column(name));
            types.is_some_and(|(before, after)| before.data_type == after.data_type)
        };
        let declared = keys.iter().filter(|key| !hidden::ALL.contains(&key.as_str()));
        if let Some(key) = declared.into_iter().find(|key| !alike(key)) {
            bail!("the key `{key}` of {source} is of another type at the one commit than at the other");
        }
        let columns = after.schema.names().filter(|name| alike(name) && !keys.iter().any(|key| key == name));
        let columns = columns.map(str::to_owned).collect();
        Ok(Comparison { source, keys, columns, before: &before.schema, after: &after.schema })
    }

    async fn run(
        &self,
        workspace: &Workspace,
        tables: &Tables,
        sides: [(u64, Instant); 2],
        samples: usize,
    ) -> Result<Diff> {
        let stage = workspace.observer.begin(&format!("comparing {}", self.source), 0, crate::Unit::Rows);
        let counted = one_row(&workspace.engine.query(&self.counting(), tables).await?.whole().await?)?;
        let [added, removed, both, changed, in_columns @ ..] = counted.as_slice() else {
            bail!("a comparison has counts");
        };
        let mut columns: Vec<ChangedColumn> = self
            .columns
            .iter()
            .zip(in_columns)
            .filter(|(_, rows)| **rows > 0)
            .map(|(column, rows)| ChangedColumn { column: column.clone(), rows: *rows })
            .collect();
        columns.sort_by_key(|column| std::cmp::Reverse(column.rows));
        let mut sample = Sample::default();
        if *added > 0 && samples > 0 {
            let rows = workspace.engine.query(&self.only(AFTER, BEFORE, samples), tables).await?.whole().await?;
            sample.added = (0..rows.num_rows()).map(|row| cells(&rows, row)).collect();
        }
        if *removed > 0 && samples > 0 {
            let rows = workspace.engine.query(&self.only(BEFORE, AFTER, samples), tables).await?.whole().await?;
            sample.removed = (0..rows.num_rows()).map(|row| cells(&rows, row)).collect();
        }
        if *changed > 0 && samples > 0 {
            let rows = workspace.engine.query(&self.changed(samples), tables).await?.whole().await?;
            sample.changed = (0..rows.num_rows()).map(|row| self.changed_row(&rows, row)).collect();
        }
        drop(stage);
        let [(from, from_at), (to, to_at)] = sides;
        let lacking = |have: &Schema, lack: &Schema| -> Vec<String> {
            have.names().filter(|name| lack.column(name).is_none()).map(str::to_owned).collect()
        };
        let retyped = self.after.columns().iter().filter_map(|after| {
            let before = self.before.column(&after.name).filter(|before| before.data_type != after.data_type)?;
            let (from, to) = (before.data_type.to_string(), after.data_type.to_string());
            Some(Retyped { column: after.name.clone(), from, to })
        });
        Ok(Diff {
            source: self.source.clone(),
            from: Side { commit: from, committed: from_at, rows: removed + both },
            to: Side { commit: to, committed: to_at, rows: added + both },
            keys: self.keys.clone(),
            added: *added,
            removed: *removed,
            changed: *changed,
            unchanged: both - changed,
            columns,
            columns_added: lacking(self.after, self.before),
            columns_removed: lacking(self.before, self.after),
            columns_retyped: retyped.collect(),
            sample,
        })
    }

    /// `a` is before, `b` after.
    fn joined(&self, join: &str) -> String {
        let on: Vec<String> = self.keys.iter().map(|key| format!("a.{0} = b.{0}", quoted(key))).collect();
        let marked = |table: &str| format!("(SELECT *, true AS \"{MARK}\" FROM {table})");
        format!("{} a {join} JOIN {} b ON {}", marked(BEFORE), marked(AFTER), on.join(" AND "))
    }

    fn differs(column: &str) -> String {
        format!("(a.{0} IS DISTINCT FROM b.{0})", quoted(column))
    }

    fn any_differs(&self) -> String {
        match self.columns.as_slice() {
            [] => "false".to_owned(),
            columns => columns.iter().map(|column| Self::differs(column)).collect::<Vec<_>>().join(" OR "),
        }
    }

    /// Added, removed, in both, changed; then by column.
    fn counting(&self) -> String {
        let (before, after) = (format!("a.\"{MARK}\""), format!("b.\"{MARK}\""));
        let both = format!("{before} IS NOT NULL AND {after} IS NOT NULL");
        let mut counts = vec![
            format!("count(*) FILTER (WHERE {before} IS NULL)"),
            format!("count(*) FILTER (WHERE {after} IS NULL)"),
            format!("count(*) FILTER (WHERE {both})"),
            format!("count(*) FILTER (WHERE {both} AND ({}))", self.any_differs()),
        ];
        let by_column = self.columns.iter().map(|column| Self::differs(column));
        counts.extend(by_column.map(|differs| format!("count(*) FILTER (WHERE {both} AND {differs})")));
        let named: Vec<String> =
            counts.iter().enumerate().map(|(place, count)| format!("{count} AS n{place}")).collect();
        format!("SELECT {} FROM {}", named.join(", "), self.joined("FULL"))
    }

    /// Rows of one table whose keys the other does not have.
    fn only(&self, table: &str, other: &str, samples: usize) -> String {
        let schema = if table == AFTER { self.after } else { self.before };
        let shown = self.keys.iter().map(String::as_str).chain(schema.names());
        let mut seen = std::collections::HashSet::new();
        let shown: Vec<String> =
            shown.filter(|name| seen.insert(*name)).map(|name| format!("x.{}", quoted(name))).collect();
        let on: Vec<String> = self.keys.iter().map(|key| format!("x.{0} = y.{0}", quoted(key))).collect();
        format!(
            "SELECT {} FROM {table} x LEFT ANTI JOIN {other} y ON {} ORDER BY {} LIMIT {samples}",
            shown.join(", "),
            on.join(" AND "),
            self.by_key("x")
        )
    }

    /// The keys, then each column before and after.
    fn changed(&self, samples: usize) -> String {
        let keys = self.keys.iter().map(|key| format!("b.{}", quoted(key)));
        let values = self.columns.iter().enumerate().flat_map(|(place, column)| {
            [format!("a.{} AS a{place}", quoted(column)), format!("b.{} AS b{place}", quoted(column))]
        });
        let shown: Vec<String> = keys.chain(values).collect();
        format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {samples}",
            shown.join(", "),
            self.joined("INNER"),
            self.any_differs(),
            self.by_key("b")
        )
    }

    fn by_key(&self, table: &str) -> String {
        self.keys.iter().map(|key| format!("{table}.{}", quoted(key))).collect::<Vec<_>>().join(", ")
    }

    fn changed_row(&self, rows: &RecordBatch, row: usize) -> ChangedRow {
        let cell = |place: usize| Value::from_array(rows.column(place), row).to_json();
        let key = self.keys.iter().enumerate().map(|(place, key)| (key.clone(), cell(place))).collect();
        let columns = self.columns.iter().enumerate().filter_map(|(place, column)| {
            let first = self.keys.len() + 2 * place;
            let (from, to) = (cell(first), cell(first + 1));
            (from != to).then(|| ChangedCell { column: column.clone(), from, to })
        });
        ChangedRow { key, columns: columns.collect() }
    }
}

/// Says that a side of a join has the row; no column of a source begins with `_`.
const MARK: &str = "_there";

fn one_row(counts: &RecordBatch) -> Result<Vec<u64>> {
    let count = |column: &arrow::array::ArrayRef| {
        let count = column.as_primitive_opt::<Int64Type>().context("a count is an int")?;
        Ok(u64::try_from(count.value(0))?)
    };
    counts.columns().iter().map(count).collect()
}

fn cells(rows: &RecordBatch, row: usize) -> Map<String, Json> {
    let schema = rows.schema();
    let fields = schema.fields().iter().zip(rows.columns());
    fields.map(|(field, column)| (field.name().clone(), Value::from_array(column, row).to_json())).collect()
}
