//! Histories as tables: their current rows, or every record.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType as ArrowType, Int64Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashTable;
use karat_core::{Schema, hidden};
use karat_history::Snapshot;
use karat_project::spec::Delivery;

use super::table::current_schema;
use crate::hash::stable_hash;
use crate::plan::{Identity, Shape};

pub(super) struct HistoryTable {
    snapshot: Snapshot,
    declared: Schema,
    schema: SchemaRef,
    /// What identifies a row, where records must be resolved to current rows.
    resolve: Option<Arc<Shape>>,
}

impl HistoryTable {
    pub(super) fn current(shape: Shape, snapshot: Snapshot) -> HistoryTable {
        // One full delivery, or rows that never change: every record is a current row.
        let first_snapshot = shape.delivery == Delivery::Full && snapshot.commit == snapshot.first;
        let settled = first_snapshot || shape.identity == Identity::FileRow;
        HistoryTable {
            snapshot,
            declared: shape.schema.clone(),
            schema: current_schema(&shape.schema),
            resolve: (!settled).then(|| Arc::new(shape)),
        }
    }

    pub(super) fn records(schema: Schema, snapshot: Snapshot) -> HistoryTable {
        let hidden = hidden::fields().into_iter().map(|field| match field.name().as_str() {
            hidden::FILE => field.with_data_type(ArrowType::Utf8),
            _ => field,
        });
        let fields: Vec<_> = schema.arrow_fields().into_iter().chain(hidden).collect();
        let arrow = Arc::new(arrow::datatypes::Schema::new(fields));
        HistoryTable { snapshot, declared: schema, schema: arrow, resolve: None }
    }
}

impl fmt::Debug for HistoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "history of {} at commit {}", self.snapshot.source, self.snapshot.commit)
    }
}

#[async_trait]
impl TableProvider for HistoryTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let shown = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => self.schema.clone(),
        };
        let identity = self.resolve.as_ref().map(|shape| shape.identity_columns()).unwrap_or_default();
        let needed = |name: &str| shown.column_with_name(name).is_some() || identity.contains(&name);
        let wanted = self.declared.columns().iter().filter(|column| needed(&column.name)).cloned().collect();
        let ranks = |name: &str| self.resolve.is_some() && Ranks::COLUMNS.contains(&name);
        let hidden: Vec<&str> = hidden::ALL.into_iter().filter(|name| needed(name) || ranks(name)).collect();
        let partition = |partition| -> Arc<dyn PartitionStream> {
            Arc::new(HistoryPartition {
                snapshot: self.snapshot.clone(),
                partition,
                wanted: Schema::new(Vec::clone(&wanted)),
                hidden: hidden.clone(),
                shown: shown.clone(),
                resolve: self.resolve.clone(),
            })
        };
        let partitions = (0..self.snapshot.partitions).map(partition).collect();
        Ok(Arc::new(StreamingTableExec::try_new(shown.clone(), partitions, None, [], false, limit)?))
    }
}

/// All records of an identity are in one partition.
struct HistoryPartition {
    snapshot: Snapshot,
    partition: u32,
    wanted: Schema,
    hidden: Vec<&'static str>,
    shown: SchemaRef,
    resolve: Option<Arc<Shape>>,
}

impl fmt::Debug for HistoryPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partition {}", self.snapshot.source, self.partition)
    }
}

impl PartitionStream for HistoryPartition {
    fn schema(&self) -> &SchemaRef {
        &self.shown
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let shown = self.shown.clone();
        let records = self
            .snapshot
            .stream(&self.wanted, &self.hidden, Some(self.partition))
            .map_err(|error| DataFusionError::External(Box::new(error)));
        let rows = match self.resolve.clone() {
            None => records.boxed(),
            Some(shape) => stream::once(async move {
                let records: Vec<RecordBatch> = records.try_collect().await?;
                winners(&shape, records)
            })
            .flat_map(|rows| {
                let rows: Vec<DataFusionResult<RecordBatch>> = match rows {
                    Ok(rows) => rows.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(error)],
                };
                stream::iter(rows)
            })
            .boxed(),
        };
        let schema = shown.clone();
        let rows = rows.map(move |batch| show(&batch?, &schema));
        Box::pin(RecordBatchStreamAdapter::new(shown, rows))
    }
}

pub(super) fn show(batch: &RecordBatch, shown: &SchemaRef) -> DataFusionResult<RecordBatch> {
    let columns = shown.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        // Of all columns `_file` alone is kept in another form than it is shown in.
        Some(column) => Ok(cast(column, field.data_type())?),
        None => Err(DataFusionError::Internal(format!("its column `{}` was not given", field.name()))),
    });
    let columns = columns.collect::<DataFusionResult<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(shown.clone(), columns, &options)?)
}

/// Of the records of a partition, the current rows: per identity the record of the greatest
/// (known_time, commit, event time, not removed), unless it is a removal.
fn winners(shape: &Shape, records: Vec<RecordBatch>) -> DataFusionResult<Vec<RecordBatch>> {
    struct Winner {
        batch: usize,
        row: usize,
        rank: (i64, i64, i64, bool),
    }
    let Some(first) = records.first() else { return Ok(Vec::new()) };
    let identity = shape.identity_columns();
    let fields =
        identity.iter().map(|name| Ok(SortField::new(first.schema().field_with_name(name)?.data_type().clone())));
    let converter = RowConverter::new(fields.collect::<DataFusionResult<_>>()?)?;
    let mut keys: Vec<Rows> = Vec::with_capacity(records.len());
    let mut table: HashTable<Winner> = HashTable::new();
    for (batch, records) in records.iter().enumerate() {
        let columns: Vec<_> =
            identity.iter().map(|name| records.column_by_name(name).expect("identities are read").clone()).collect();
        keys.push(converter.convert_columns(&columns)?);
        let ranks = Ranks::new(records);
        for row in 0..records.num_rows() {
            let key = keys[batch].row(row);
            let hash = stable_hash(key.as_ref(), 1);
            let rank = ranks.of(row);
            match table.find_mut(hash, |winner| keys[winner.batch].row(winner.row) == key) {
                Some(winner) if winner.rank < rank => *winner = Winner { batch, row, rank },
                Some(_) => {}
                None => {
                    let rehash = |winner: &Winner| stable_hash(keys[winner.batch].row(winner.row).as_ref(), 1);
                    table.insert_unique(hash, Winner { batch, row, rank }, rehash);
                }
            }
        }
    }
    let mut keep: Vec<Vec<bool>> = records.iter().map(|records| vec![false; records.num_rows()]).collect();
    for winner in &table {
        keep[winner.batch][winner.row] = winner.rank.3;
    }
    let filtered =
        records.iter().zip(keep).map(|(records, keep)| filter_record_batch(records, &BooleanArray::from(keep)));
    Ok(filtered.collect::<Result<_, _>>()?)
}

struct Ranks<'a> {
    known: &'a [i64],
    commit: &'a [i64],
    event: &'a Int64Array,
    removed: &'a BooleanArray,
}

impl<'a> Ranks<'a> {
    const COLUMNS: [&'static str; 4] = [hidden::KNOWN_TIME, hidden::COMMIT, hidden::EVENT_TIME, hidden::REMOVED];

    fn new(records: &'a RecordBatch) -> Ranks<'a> {
        let column = |name: &str| records.column_by_name(name).expect("histories give their hidden columns");
        Ranks {
            known: column(hidden::KNOWN_TIME).as_primitive::<Int64Type>().values(),
            commit: column(hidden::COMMIT).as_primitive::<Int64Type>().values(),
            event: column(hidden::EVENT_TIME).as_primitive::<Int64Type>(),
            removed: column(hidden::REMOVED).as_boolean(),
        }
    }

    fn of(&self, row: usize) -> (i64, i64, i64, bool) {
        let event = if self.event.is_null(row) { i64::MIN } else { self.event.value(row) };
        (self.known[row], self.commit[row], event, !self.removed.value(row))
    }
}
