//! One Parquet object: written in a stream with its size and digest, read in a stream of some columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use karat_core::{Digest, DigestWriter, hidden};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::arrow::{AsyncArrowWriter, ParquetRecordBatchStreamBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::HistoryError;
use crate::root::Root;

const ROW_GROUP_ROWS: usize = 128 * 1024;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Of parts that are read together: whoever reads them holds a row group of each.
const SMALL_GROUP_ROWS: usize = 16 * 1024;
const SMALL_GROUP_BYTES: usize = 8 << 20;

/// What a column's dictionary may grow to before its values are written as they are: one that hardly repeats would cost
/// more than it saves.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Hidden columns that count on from row to row, or stay the same.
const STEADY: [&str; 4] = [hidden::EVENT_TIME, hidden::KNOWN_TIME, hidden::COMMIT, hidden::ROW];

pub(crate) fn writer_properties() -> WriterProperties {
    in_groups_of(ROW_GROUP_ROWS, ROW_GROUP_BYTES)
}

fn in_groups_of(rows: usize, bytes: usize) -> WriterProperties {
    let steady = STEADY.into_iter().fold(WriterProperties::builder(), |properties, name| {
        properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED)
    });
    steady
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("zstd has a level 1")))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(rows))
        .set_max_row_group_bytes(Some(bytes))
        .set_created_by(format!("karat {}", karat_core::VERSION))
        .build()
}

/// The object has its name only once [`PartWriter::finish`] returned: the store stages it.
pub(crate) struct PartWriter {
    path: Path,
    writer: AsyncArrowWriter<Sink>,
    described: String,
    rows: u64,
}

pub(crate) struct Written {
    pub path: Path,
    pub rows: u64,
    pub bytes: u64,
    pub digest: Digest,
}

impl PartWriter {
    pub fn create(root: &Root, path: Path, schema: SchemaRef) -> Result<PartWriter, HistoryError> {
        PartWriter::with(root, path, schema, writer_properties())
    }

    /// Of a part that is read together with others.
    pub fn of_several(root: &Root, path: Path, schema: SchemaRef) -> Result<PartWriter, HistoryError> {
        PartWriter::with(root, path, schema, in_groups_of(SMALL_GROUP_ROWS, SMALL_GROUP_BYTES))
    }

    fn with(
        root: &Root,
        path: Path,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<PartWriter, HistoryError> {
        let sink =
            Sink { inner: BufWriter::new(root.store.clone(), path.clone()), digest: DigestWriter::new(), bytes: 0 };
        let described = root.describe(&path);
        let writer = AsyncArrowWriter::try_new(sink, schema, Some(properties));
        let writer = writer.map_err(|source| HistoryError::Parquet { path: described.clone(), source })?;
        Ok(PartWriter { path, writer, described, rows: 0 })
    }

    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), HistoryError> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).await.map_err(|error| self.failed(error))
    }

    pub async fn finish(mut self) -> Result<Written, HistoryError> {
        self.writer.finish().await.map_err(|error| self.failed(error))?;
        let Sink { digest, bytes, .. } = self.writer.into_inner();
        Ok(Written { path: self.path, rows: self.rows, bytes, digest: digest.finish() })
    }

    fn failed(&self, error: ParquetError) -> HistoryError {
        HistoryError::unavailable(&self.described, error)
            .unwrap_or_else(|source| HistoryError::Parquet { path: self.described.clone(), source })
    }
}

struct Sink {
    inner: BufWriter,
    digest: DigestWriter,
    bytes: u64,
}

impl AsyncFileWriter for Sink {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        self.digest.update(&bytes);
        self.bytes += bytes.len() as u64;
        self.inner.put(bytes).map_err(external).boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        AsyncFileWriter::complete(&mut self.inner)
    }
}

/// A finished object as Parquet reads it. The size is known, so nothing is asked of the store but ranges.
pub(crate) struct ObjectReader {
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
    pub bytes: u64,
}

pub(crate) type PartStream = ParquetRecordBatchStreamBuilder<ObjectReader>;

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
