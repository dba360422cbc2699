//! Rows that are read again for every scan, a batch at a time: a delivery's spool, or whatever a caller can go through.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, stream};

use super::current::show;
use crate::Result;

/// Goes through the rows from the first on.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;
pub(super) type Open = Arc<dyn Fn() -> Result<Batches> + Send + Sync>;

pub(super) struct StreamedTable {
    pub schema: SchemaRef,
    pub open: Open,
}

impl fmt::Debug for StreamedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("streamed rows")
    }
}

#[async_trait]
impl TableProvider for StreamedTable {
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
        let partition: Arc<dyn PartitionStream> =
            Arc::new(StreamedPartition { open: self.open.clone(), shown: shown.clone() });
        Ok(Arc::new(StreamingTableExec::try_new(shown, vec![partition], None, [], false, limit)?))
    }
}

struct StreamedPartition {
    open: Open,
    shown: SchemaRef,
}

impl fmt::Debug for StreamedPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("streamed rows")
    }
}

impl PartitionStream for StreamedPartition {
    fn schema(&self) -> &SchemaRef {
        &self.shown
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let external = |error: crate::QueryError| DataFusionError::External(Box::new(error));
        let shown = self.shown.clone();
        let batches = match (self.open)() {
            Ok(batches) => stream::iter(batches.map(move |batch| show(&batch.map_err(external)?, &shown))).boxed(),
            Err(error) => stream::iter([Err(external(error))]).boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.shown.clone(), batches))
    }
}
