//! A project folder, an engine and a history of their own, gone with the test.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use karat_core::{Instant, Name, Schema};
use karat_history::{History, Snapshot};
use karat_metadata::Metadata;
use karat_project::spec::Source;
use karat_query::{
    Delivered, Engine, EngineOptions, NoProgress, Occasion, QueryError, Redefined, RowsDefinition, SourcePlan, Staged,
    Table, Tables, Taking, deliver, stage,
};
use serde_json::Value as Json;
use tempfile::TempDir;

pub struct World {
    pub folder: TempDir,
    pub engine: Engine,
    pub history: History,
    /// What SQL sources and relation checks see.
    pub tables: Tables,
    pub upstream: BTreeMap<Name, Schema>,
}

pub fn source(json: Json) -> Source {
    serde_json::from_value(json).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn day(number: i64) -> Instant {
    Instant::from_micros(number * karat_core::time::MICROS_PER_DAY)
}

impl World {
    pub async fn new() -> World {
        World::with_memory(256 << 20).await
    }

    pub async fn with_memory(memory_bytes: usize) -> World {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&format!("sqlite://{}/metadata.db", folder.path().display())).await.unwrap();
        let history = History::open(folder.path().join("history"), metadata).unwrap();
        let temp_dir = folder.path().join("temp");
        let engine = Engine::new(EngineOptions { memory_bytes, temp_dir }).unwrap();
        World { folder, engine, history, tables: Tables::new(), upstream: BTreeMap::new() }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all(content.as_ref()).unwrap();
        path
    }

    pub fn plan(&self, source: &Source) -> Result<SourcePlan, QueryError> {
        SourcePlan::new(source, self.root(), &self.upstream)
    }

    pub async fn try_stage(&self, source: &Source) -> Result<Staged, QueryError> {
        self.try_stage_on(source, Occasion::first(day(20_000))).await
    }

    pub async fn try_stage_on(&self, source: &Source, occasion: Occasion) -> Result<Staged, QueryError> {
        let plan = self.plan(source)?;
        stage(&self.engine, &plan, &self.tables, occasion, Arc::new(NoProgress)).await
    }

    pub async fn stage(&self, source: &Source) -> Staged {
        let staged = self.try_stage(source).await.unwrap();
        let report = &staged.report;
        assert_eq!(report.read, report.accepted + report.quarantined, "rows reconcile");
        assert_eq!(report.accepted, staged.accepted_rows());
        assert_eq!(report.quarantined, staged.quarantine.rows());
        staged
    }

    pub async fn try_ingest(&self, source: &Source, at: Instant) -> Result<Delivered, QueryError> {
        self.try_take(source, at, Redefined::Settled).await
    }

    pub async fn try_take(&self, source: &Source, at: Instant, redefined: Redefined) -> Result<Delivered, QueryError> {
        let (plan, staged) = (self.plan(source)?, self.try_stage(source).await?);
        let definition = RowsDefinition::of(&plan, &BTreeMap::new());
        let taking = Taking { at, definition, redefined, any_volume: false, quarantine: None };
        deliver(&self.engine, &plan, &staged, &self.history, taking).await
    }

    pub async fn ingest(&self, source: &Source, at: Instant) -> Delivered {
        let delivered = self.try_ingest(source, at).await.unwrap();
        let counts = delivered.counts;
        assert_eq!(counts.read, counts.accepted + counts.unchanged + counts.quarantined, "rows reconcile");
        delivered
    }

    pub async fn snapshot(&self, source: &Source) -> Option<Snapshot> {
        self.history.snapshot(&source.name, None).await.unwrap()
    }

    /// Makes a source's current rows what others see under its name.
    pub async fn publish(&mut self, source: &Source) {
        let plan = self.plan(source).unwrap();
        let table = Table::current(plan.shape(), self.snapshot(source).await);
        self.tables.insert(source.name.as_str(), table);
        self.upstream.insert(source.name.clone(), plan.schema().clone());
    }

    /// The rows of a query, printed; each row's cells joined by `|`.
    pub async fn query(&self, sql: &str, tables: &Tables) -> Vec<String> {
        let batches = self.engine.query(sql, tables).await.unwrap().collect().await.unwrap();
        printed(&batches)
    }

    /// A source's current rows in the order of `columns`.
    pub async fn current(&self, source: &Source, columns: &str) -> Vec<String> {
        let plan = self.plan(source).unwrap();
        let mut tables = Tables::new();
        tables.insert("t", Table::current(plan.shape(), self.snapshot(source).await));
        self.query(&format!("SELECT {columns} FROM t ORDER BY {columns}"), &tables).await
    }
}

pub fn printed(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in batches {
        let cells: Vec<ArrayFormatter> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let row: Vec<String> = cells.iter().map(|cell| cell.value(row).to_string()).collect();
            rows.push(row.join("|"));
        }
    }
    rows
}

pub fn accepted(staged: &Staged) -> Vec<String> {
    printed(&staged.accepted_batches().unwrap().collect::<Result<Vec<_>, _>>().unwrap())
}

/// `file:line column=value check: reason`
pub fn quarantined(staged: &Staged) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in staged.quarantine.batches().unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>();
            if column.is_null(row) { "-".to_owned() } else { column.value(row).to_owned() }
        };
        let lines = batch.column_by_name("line").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
        for row in 0..batch.num_rows() {
            rows.push(format!(
                "{}:{} {}={} {}: {}",
                text("file", row),
                lines.value(row),
                text("column", row),
                text("value", row),
                text("check", row),
                text("reason", row)
            ));
        }
    }
    rows
}

pub fn raw_rows(staged: &Staged) -> Vec<Json> {
    let mut rows = Vec::new();
    for batch in staged.quarantine.batches().unwrap() {
        let batch = batch.unwrap();
        for row in batch.column_by_name("row").unwrap().as_string::<i32>() {
            rows.push(serde_json::from_str(row.unwrap()).unwrap());
        }
    }
    rows
}
