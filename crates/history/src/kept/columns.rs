//! Parts of any age in the columns that are wanted today.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Schema as ArrowSchema, SchemaRef};
use karat_core::{DataType, Name, Schema, hidden};
use parquet::arrow::ProjectionMask;
use parquet::schema::types::SchemaDescriptor;

use crate::HistoryError;

pub(super) struct Columns {
    source: Name,
    schema: SchemaRef,
}

impl Columns {
    /// The `declared` columns, then the `hidden` ones.
    pub fn new(source: Name, declared: &Schema, hidden: &[&str]) -> Columns {
        let mut fields = declared.arrow_fields();
        fields.extend(hidden::fields().into_iter().filter(|field| hidden.contains(&field.name().as_str())));
        Columns { source, schema: Arc::new(ArrowSchema::new(fields)) }
    }

    pub fn source(&self) -> &Name {
        &self.source
    }

    /// These, and the number of each row's commit.
    pub fn numbered(&self) -> Columns {
        let mut fields = self.schema.fields().to_vec();
        if self.schema.index_of(hidden::COMMIT).is_err() {
            fields.extend(hidden::fields().into_iter().filter(|field| field.name() == hidden::COMMIT).map(Arc::new));
        }
        Columns { source: self.source.clone(), schema: Arc::new(ArrowSchema::new(fields)) }
    }

    /// What has to be read of a part.
    pub fn projection(&self, part: &SchemaDescriptor) -> ProjectionMask {
        let leaves = (0..part.num_columns()).filter(|leaf| {
            // By the column's own name, which may hold dots: declared columns are never nested.
            self.schema.index_of(part.column(*leaf).name()).is_ok()
        });
        ProjectionMask::leaves(part, leaves)
    }

    pub fn shape(&self, place: &str, commit: u64, batch: RecordBatch) -> Result<RecordBatch, HistoryError> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let column = match batch.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => column.clone(),
                Some(column) if field.name() == hidden::FILE && *column.data_type() == ArrowType::Utf8 => {
                    cast(column, field.data_type()).map_err(|error| HistoryError::corrupt(place, error))?
                }
                Some(column) => self.convert(field.name(), column, field.data_type(), commit)?,
                None if hidden::ALL.contains(&field.name().as_str()) => {
                    return Err(HistoryError::corrupt(place, format!("it has no column {}", field.name())));
                }
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| HistoryError::corrupt(place, error))
    }

    fn convert(
        &self,
        name: &str,
        column: &ArrayRef,
        wanted: &ArrowType,
        commit: u64,
    ) -> Result<ArrayRef, HistoryError> {
        let failed = |found: String| HistoryError::ColumnType {
            source_name: self.source.to_string(),
            column: name.to_owned(),
            wanted: DataType::of_arrow(wanted).map_or_else(|| wanted.to_string(), |known| known.to_string()),
            found,
            commit,
        };
        let kept = DataType::of_arrow(column.data_type());
        if !matches!((kept, DataType::of_arrow(wanted)), (Some(from), Some(to)) if converts(from, to)) {
            return Err(failed(kept.map_or_else(|| column.data_type().to_string(), |known| known.to_string())));
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(column, wanted, &strict).map_err(|error| failed(format!("a value that is none ({error})")))
    }
}

/// Conversions that lose nothing, or fail on the value that they cannot convert.
fn converts(from: DataType, to: DataType) -> bool {
    use DataType::{Bool, Date, Float, Int, Text, Timestamp};
    matches!(
        (from, to),
        (Int, Float)
            | (Bool, Int)
            | (Date, Timestamp)
            | (Bool | Int | Float | Date, Text)
            | (Text, Bool | Int | Float | Date)
    )
}
