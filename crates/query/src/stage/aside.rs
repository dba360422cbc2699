//! The keys of rows that were quarantined: of a full delivery such a key was delivered, so what history has of it stays.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use karat_core::{DataType, Value, Zone};
use karat_project::spec::Delivery;

use crate::Result;
use crate::plan::{Identity, Parts};
use crate::read::BadRow;
use crate::spool::{Spool, SpoolWriter};

pub(super) struct AsideKeys {
    /// Of the key columns among the prepared ones.
    places: Vec<usize>,
    types: Vec<DataType>,
    /// What the key's cells are called in a row as read, where none of them is prepared.
    cells: Option<Vec<String>>,
    zone: Zone,
    schema: SchemaRef,
    spool: SpoolWriter,
}

impl AsideKeys {
    /// `None` where a missing key removes nothing.
    pub(super) fn new(parts: &Parts, temp_dir: &Path, budget: usize) -> Option<AsideKeys> {
        let Identity::Columns(names) = &parts.shape.identity else { return None };
        if parts.shape.delivery != Delivery::Full || !parts.source.keep {
            return None;
        }
        let place = |name: &String| parts.prepared.index_of(name).expect("the plan has checked the keys");
        let places: Vec<usize> = names.iter().map(place).collect();
        let types: Vec<DataType> = places.iter().map(|place| parts.prepared.columns()[*place].data_type).collect();
        let cell = |name: &String| {
            let as_read = !parts.source.prepare.contains_key(name);
            let spec = parts.source.columns.get(name);
            as_read.then(|| spec.map_or(name.as_str(), |spec| spec.file_name(name)).to_owned())
        };
        let fields = names.iter().zip(&types).map(|(name, data_type)| Field::new(name, data_type.arrow(), true));
        let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
        Some(AsideKeys {
            cells: names.iter().map(cell).collect(),
            places,
            types,
            zone: parts.source.zone(),
            spool: SpoolWriter::new(schema.clone(), temp_dir, budget),
            schema,
        })
    }

    /// Of these rows of a prepared batch, those that have a whole key.
    pub(super) fn take(&mut self, batch: &RecordBatch, rows: impl Iterator<Item = usize>) -> Result<()> {
        let keys: Vec<ArrayRef> = self.places.iter().map(|place| batch.column(*place).clone()).collect();
        let whole = rows.filter(|row| keys.iter().all(|key| key.is_valid(*row)));
        let whole = UInt32Array::from_iter_values(whole.map(|row| row as u32));
        self.spool.push(take_record_batch(&RecordBatch::try_new(self.schema.clone(), keys)?, &whole)?)
    }

    /// The key of a row that could not be read, where only another cell of it is at fault.
    pub(super) fn take_unread(&mut self, bad: &BadRow) -> Result<()> {
        let (Some(cells), Some(_)) = (&self.cells, &bad.column) else { return Ok(()) };
        let Ok(serde_json::Value::Object(row)) = serde_json::from_str(&bad.row) else { return Ok(()) };
        let value = |(cell, data_type): (&String, &DataType)| {
            let text = match row.get(cell)? {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Value::parse(&text, *data_type, &self.zone).ok()
        };
        let Some(key) = cells.iter().zip(&self.types).map(value).collect::<Option<Vec<Value>>>() else {
            return Ok(());
        };
        let columns = key.into_iter().zip(&self.types).map(|(value, data_type)| Value::to_array(&[value], *data_type));
        self.spool.push(RecordBatch::try_new(self.schema.clone(), columns.collect())?)
    }

    pub(super) fn finish(self) -> Result<Spool> {
        self.spool.finish()
    }
}
