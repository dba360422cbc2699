//! The session everything runs in: one memory pool, one place for what does not fit it.

mod current;
mod functions;
mod streamed;
mod table;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use crate::{QueryError, Result};

pub use streamed::Batches;
pub(crate) use table::current_schema;
pub use table::{Table, Tables};

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// What queries and staged rows may hold in memory; beyond it they go to disk.
    pub memory_bytes: usize,
    /// Where they go; made if missing.
    pub temp_dir: PathBuf,
}

/// How many of the largest holders of memory an error names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// Rows a batch where a query is likely to go to disk.
const SPILLING_BATCH_ROWS: usize = 1024;

/// Clones share the memory pool.
#[derive(Clone)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    options: EngineOptions,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Result<Engine> {
        std::fs::create_dir_all(&options.temp_dir).map_err(QueryError::Temporary)?;
        let disk =
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![options.temp_dir.clone()]));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(TrackConsumersPool::new(
                FairSpillPool::new(options.memory_bytes),
                NAMED_CONSUMERS,
            )))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        Ok(Engine { runtime, options })
    }

    pub(crate) fn temp_dir(&self) -> &Path {
        &self.options.temp_dir
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.options.memory_bytes
    }

    /// A session that knows these tables.
    pub(crate) fn session(&self, tables: &Tables) -> Result<SessionContext> {
        let context = session(Some(self.runtime.clone()));
        for (name, table) in tables.iter() {
            context.register_table(TableReference::bare(name), table.provider())?;
        }
        // A hash join holds one side in memory, whatever it takes; a merge join sorts, and sorts go to disk.
        let bytes: u64 = tables.iter().map(|(_, table)| table.bytes()).sum();
        if bytes > self.options.memory_bytes as u64 / 2 {
            let state = context.state_ref();
            let mut state = state.write();
            let options = state.config_mut().options_mut();
            options.optimizer.prefer_hash_join = false;
            // What is spilled is merged a batch of each file at a time.
            options.execution.batch_size = ConfigNonZeroUsize::try_new(SPILLING_BATCH_ROWS)?;
            // Each sort sets this much aside for merging what it spilled, and there are several of them.
            let reservation = &mut options.execution.sort_spill_reservation_bytes;
            *reservation = (*reservation).min(self.options.memory_bytes / 64);
        }
        Ok(context)
    }

    /// The answer to one query; statements that change anything are refused.
    pub fn query<'a>(&'a self, sql: &'a str, tables: &'a Tables) -> BoxFuture<'a, Result<Answer>> {
        async move {
            let context = self.session(tables)?;
            let plan = plan(&context, sql).await?;
            let stream = context.execute_logical_plan(plan).await?.execute_stream().await?;
            let schema = stream.schema();
            Ok(Answer { schema, batches: stream.map(|batch| batch.map_err(QueryError::from)).boxed() })
        }
        .boxed()
    }

    /// Some columns of a table, in this order.
    pub(crate) async fn scan(
        &self,
        table: &Table,
        columns: &[&str],
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let context = session(Some(self.runtime.clone()));
        let frame = context.read_table(table.provider())?.select_columns(columns)?;
        let stream = frame.execute_stream().await?;
        Ok(stream.map(|batch| batch.map_err(QueryError::from)).boxed())
    }
}

/// What a query gives.
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: BoxStream<'static, Result<RecordBatch>>,
}

impl Answer {
    /// All of it, in memory.
    pub fn collect(self) -> BoxFuture<'static, Result<Vec<RecordBatch>>> {
        use futures::TryStreamExt;
        self.batches.try_collect().boxed()
    }

    /// All of it in one batch.
    pub fn whole(self) -> BoxFuture<'static, Result<RecordBatch>> {
        async move {
            let schema = self.schema.clone();
            Ok(concat_batches(&schema, &self.joined().await?)?)
        }
        .boxed()
    }

    /// All of it in a few batches: small buffers by the thousand, freed only at the end, would leave the process as large
    /// as it was.
    pub fn joined(mut self) -> BoxFuture<'static, Result<Vec<RecordBatch>>> {
        async move {
            let (mut joined, mut small) = (Vec::new(), Vec::new());
            while let Some(batch) = self.batches.next().await {
                small.push(batch?);
                if small.len() == JOINED_BATCHES {
                    joined.push(concat_batches(&self.schema, &small)?);
                    small.clear();
                }
            }
            joined.extend(small);
            Ok(joined)
        }
        .boxed()
    }
}

/// How many batches are joined to one.
const JOINED_BATCHES: usize = 64;

pub(crate) fn session(runtime: Option<Arc<RuntimeEnv>>) -> SessionContext {
    let mut config = SessionConfig::new().with_batch_size(crate::read::BATCH_ROWS).with_information_schema(true);
    let options = config.options_mut();
    // Column names are as files write them; text is Utf8 everywhere.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    let mut builder = SessionStateBuilder::new().with_config(config).with_default_features();
    if let Some(runtime) = runtime {
        builder = builder.with_runtime_env(runtime);
    }
    let context = SessionContext::new_with_state(builder.build());
    functions::register(&context);
    context
}

/// Plans one statement that only reads.
pub(crate) async fn plan(context: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let plan = context.state().create_logical_plan(sql).await?;
    let only_reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_reading.verify_plan(&plan)?;
    Ok(plan)
}
