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
        if columns.is_empty() {
            return 0;
        }
        let pushed = self.pushed.iter();
        let (mut rows, mut bytes) =
            pushed.fold((0, 0), |(rows, bytes), group| (rows + group.rows, bytes + group.bytes()));
        for part in self.parts.iter().step_by(self.parts.len().div_ceil(ASKED).max(1)) {
            if let Ok(found) = self.history.0.value_bytes(part, columns).await {
                rows += part.whole;
                bytes += found;
            }
        }
        bytes.div_ceil(rows.max(1))
    }
}

impl Inner {
    async fn value_bytes(&self, part: &Part, columns: &[&str]) -> Result<u64, ParquetError> {
        let (store, path) = (Arc::clone(&self.root.store), Path::from(part.path.as_str()));
        let footer = ObjectReader { store, path, bytes: part.bytes }.get_metadata(None).await?;
        let chunks = footer.row_groups().iter().flat_map(|group| group.columns());
        let asked = chunks.filter(|chunk| columns.iter().any(|column| *column == chunk.column_path().string()));
        let bytes = |chunk: &ColumnChunkMetaData| {
            let size = |size: i64| u64::try_from(size).unwrap_or(0);
            size(chunk.uncompressed_size()).min(COMPRESSED * size(chunk.compressed_size()))
        };
        Ok(asked.map(bytes).sum())
    }
}
