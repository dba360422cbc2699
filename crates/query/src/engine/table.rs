//! What a query can read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use karat_core::{Schema, hidden};
use karat_history::Snapshot;

use super::current::HistoryTable;
use super::streamed::{Batches, StreamedTable};
use crate::plan::Shape;
use crate::stage::Staged;
use crate::{QueryError, Result};

/// Rows that queries can name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    provider: Arc<dyn TableProvider>,
    version: String,
    /// About how much memory the rows would take.
    bytes: u64,
}

/// How many times larger rows are in memory than in a history's compressed Parquet, about.
const COMPRESSION: u64 = 6;

impl Table {
    /// A source's current rows: the winner of each identity. The declared columns, then `_row`.
    pub fn current(shape: &Shape, snapshot: Option<Snapshot>) -> Table {
        match snapshot {
            None => Table::empty(&shape.schema),
            Some(snapshot) => {
                let (version, bytes) = (version_of(&snapshot), bytes_of(&snapshot));
                Table { provider: Arc::new(HistoryTable::current(shape.clone(), snapshot)), version, bytes }
            }
        }
    }

    /// Every record of a history: the declared columns, then all hidden ones.
    pub fn history(schema: &Schema, snapshot: Snapshot) -> Table {
        let (version, bytes) = (version_of(&snapshot), bytes_of(&snapshot));
        Table { provider: Arc::new(HistoryTable::records(schema.clone(), snapshot)), version, bytes }
    }

    /// The accepted rows of a delivery, for sources that are not kept. The declared columns, then `_row`.
    pub fn staged(staged: &Staged) -> Table {
        let (version, bytes) = (staged.delivery.to_string(), staged.accepted.bytes());
        let spool = staged.accepted.clone();
        let places = crate::stage::visible_columns(spool.schema());
        let schema = Arc::new(spool.schema().project(&places).expect("the columns are there"));
        let open = move || Ok(Box::new(spool.batches()?) as Batches);
        Table { provider: Arc::new(StreamedTable { schema, open: Arc::new(open) }), version, bytes }
    }

    /// Rows that `open` goes through from the first on, whenever a query scans them. `bytes` is about what they would take
    /// in memory.
    pub fn streamed(
        schema: SchemaRef,
        bytes: u64,
        open: impl Fn() -> Result<Batches> + Send + Sync + 'static,
    ) -> Table {
        let provider = Arc::new(StreamedTable { schema, open: Arc::new(open) });
        Table { provider, version: "streamed".to_owned(), bytes }
    }

    pub fn batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Table> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let bytes = batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
        let table = MemTable::try_new(schema, vec![batches]).map_err(QueryError::from)?;
        Ok(Table { provider: Arc::new(table), version: format!("{rows} rows"), bytes })
    }

    /// No rows yet. The declared columns, then `_row`.
    pub fn empty(schema: &Schema) -> Table {
        let table =
            MemTable::try_new(current_schema(schema), vec![Vec::new()]).expect("no batch differs from the schema");
        Table { provider: Arc::new(table), version: "empty".to_owned(), bytes: 0 }
    }

    pub(crate) fn provider(&self) -> Arc<dyn TableProvider> {
        self.provider.clone()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Differs whenever the rows may.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

fn version_of(snapshot: &Snapshot) -> String {
    format!("{} commit {}", snapshot.source, snapshot.commit)
}

fn bytes_of(snapshot: &Snapshot) -> u64 {
    snapshot.bytes() * COMPRESSION
}

/// The columns that current rows show.
pub(crate) fn current_schema(schema: &Schema) -> SchemaRef {
    let mut fields = schema.arrow_fields();
    fields.push(Field::new(hidden::ROW, DataType::Int64, true));
    Arc::new(arrow::datatypes::Schema::new(fields))
}

/// Tables by name.
#[derive(Debug, Clone, Default)]
pub struct Tables(BTreeMap<String, Table>);

impl Tables {
    pub fn new() -> Tables {
        Tables::default()
    }

    /// Replaces the table of that name, if there is one.
    pub fn insert(&mut self, name: impl Into<String>, table: Table) {
        self.0.insert(name.into(), table);
    }

    pub fn get(&self, name: &str) -> Option<&Table> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Table)> {
        self.0.iter().map(|(name, table)| (name.as_str(), table))
    }
}
