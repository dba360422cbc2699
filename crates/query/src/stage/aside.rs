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
    unknown: u64,
}

/// What is known of the keys of rows that were quarantined.
pub(crate) struct Aside {
    pub keys: Spool,
    /// Rows whose key nobody can read: it may be any.
    pub unknown: u64,
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
            unknown: 0,
        })
    }

    /// These rows of a prepared batch. Where one has no whole key, it was left empty, or an expression failed on it: it
    /// may be any.
    pub(super) fn take(&mut self, batch: &RecordBatch, rows: impl ExactSizeIterator<Item = usize>) -> Result<()> {
        let count = rows.len();
        let keys: Vec<ArrayRef> = self.places.iter().map(|place| batch.column(*place).clone()).collect();
        let whole = rows.filter(|row| keys.iter().all(|key| key.is_valid(*row)));
        let whole = UInt32Array::from_iter_values(whole.map(|row| row as u32));
        self.unknown += (count - whole.len()) as u64;
        self.spool.push(take_record_batch(&RecordBatch::try_new(self.schema.clone(), keys)?, &whole)?)
    }

    /// A row that could not be read: its key is known where only another cell of it is at fault.
    pub(super) fn take_unread(&mut self, bad: &BadRow) -> Result<()> {
        match self.key_of_unread(bad) {
            Some(key) => {
                let typed = key.into_iter().zip(&self.types);
                let columns = typed.map(|(value, data_type)| Value::to_array(&[value], *data_type)).collect();
                self.spool.push(RecordBatch::try_new(self.schema.clone(), columns)?)
            }
            None => {
                self.unknown += 1;
                Ok(())
            }
        }
    }

    fn key_of_unread(&self, bad: &BadRow) -> Option<Vec<Value>> {
        let (Some(cells), Some(_)) = (&self.cells, &bad.column) else { return None };
        let Ok(serde_json::Value::Object(row)) = serde_json::from_str(&bad.row) else { return None };
        let value = |(cell, data_type): (&String, &DataType)| {
            let text = match row.get(cell)? {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Value::parse(&text, *data_type, &self.zone).ok()
        };
        cells.iter().zip(&self.types).map(value).collect()
    }

    pub(super) fn finish(self) -> Result<Aside> {
        Ok(Aside { keys: self.spool.finish()?, unknown: self.unknown })
    }
}
