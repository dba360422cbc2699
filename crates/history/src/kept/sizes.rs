//! How large what is read will be, as far as the footers of parts tell.

use std::sync::Arc;

use object_store::path::Path;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::part::Part;
use super::{Inner, Snapshot};
use crate::parts::ObjectReader;

/// So many parts stand for all.
const ASKED: usize = 8;
/// What compression makes smaller than by this is the same values again for the most part.
const COMPRESSED: u64 = 4;

impl Snapshot {
    /// About how many bytes the values of some columns take in a row, of a text that comes again and again only a little: a
    /// guess by what they take in some of the parts. Of a part that cannot be read, who reads it says what is wrong.
    pub async fn value_bytes(&self, columns: &[&str]) -> u64 {
        let size = |chunk: &ColumnChunkMetaData| {
            size(chunk.uncompressed_size()).min(COMPRESSED * size(chunk.compressed_size()))
        };
        self.bytes_of(columns, size).await.iter().sum::<f64>().ceil() as u64
    }

    /// About how many bytes the values of each of some columns of texts take in a row, however often a text comes: a guess as
    /// [`Snapshot::value_bytes`].
    pub async fn text_bytes(&self, columns: &[&str]) -> Vec<u64> {
        let size = |chunk: &ColumnChunkMetaData| {
            size(chunk.unencoded_byte_array_data_bytes().unwrap_or_else(|| chunk.uncompressed_size()))
        };
        self.bytes_of(columns, size).await.iter().map(|bytes| bytes.ceil() as u64).collect()
    }

    /// By columns, bytes in a row on average. What was pushed is told for a whole record: columns have equal shares of it.
    async fn bytes_of(&self, columns: &[&str], size: impl Fn(&ColumnChunkMetaData) -> u64) -> Vec<f64> {
        let mut bytes = vec![0; columns.len()];
        if columns.is_empty() {
            return Vec::new();
        }
        let mut rows = 0;
        let mut pushed = 0;
        for group in &self.pushed {
            rows += group.rows;
            pushed += group.bytes();
        }
        for part in self.parts.iter().step_by(self.parts.len().div_ceil(ASKED).max(1)) {
            let Ok(chunks) = self.history.0.chunks(part).await else { continue };
            rows += part.whole;
            for chunk in chunks {
                if let Some(place) = columns.iter().position(|column| *column == chunk.column_path().string()) {
                    bytes[place] += size(&chunk);
                }
            }
        }
        let share = pushed as f64 / columns.len() as f64;
        bytes.into_iter().map(|bytes| (bytes as f64 + share) / rows.max(1) as f64).collect()
    }
}

fn size(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

impl Inner {
    /// What the footer of a part says of its columns, row group by row group.
    async fn chunks(&self, part: &Part) -> Result<Vec<ColumnChunkMetaData>, ParquetError> {
        let (store, path) = (Arc::clone(&self.root.store), Path::from(part.path.as_str()));
        let footer = ObjectReader { store, path, bytes: part.bytes }.get_metadata(None).await?;
        Ok(footer.row_groups().iter().flat_map(|group| group.columns()).cloned().collect())
    }
}
