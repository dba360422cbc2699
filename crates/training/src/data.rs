use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use karat_core::DataType;

use crate::TrainingError;

/// The spine with its features, one row each: what a training set is before anybody decides what trains.
#[derive(Debug, Clone)]
pub struct TrainingData {
    /// One column per feature in the model's order, in Karat's Arrow forms.
    pub features: RecordBatch,
    /// Bool, or a number that is 0 or 1. A null label is not known yet: its row is left out and counted.
    pub label: ArrayRef,
    /// Microseconds UTC, never null.
    pub as_of: Int64Array,
    /// When the label became known, microseconds UTC; null: nobody can say, so the row trains nothing.
    pub label_time: Int64Array,
    /// The entity's key columns: what `by: random` draws by, and `by: group` without a column.
    pub keys: Vec<ArrayRef>,
    /// The columns of `split.column`; empty: the keys.
    pub groups: Vec<ArrayRef>,
    /// The columns of the model's `profile`; empty: no measures over unseen profiles.
    pub profile: Vec<ArrayRef>,
    /// The rows that an endpoint would refuse to decide on: they are in no part, and counted.
    pub refused: BTreeSet<usize>,
    /// Rows of the spine that are none of these.
    pub left_out: LeftOut,
    /// How the views speak of a feature in a reason, by feature; the model's own `reasons` win.
    pub words: BTreeMap<String, String>,
}

/// Rows of a spine that were left out before there were features to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Without a label, where a spine keeps some rows of each key: it chooses among those with one.
    pub unlabelled: u64,
    /// Later events define the label, and may still come.
    pub open: u64,
    /// Beside those that the spine keeps of each key.
    pub not_kept: u64,
}

impl LeftOut {
    pub fn rows(self) -> u64 {
        self.unlabelled + self.open + self.not_kept
    }
}

impl TrainingData {
    pub(crate) fn rows(&self) -> usize {
        self.features.num_rows()
    }

    /// Checks shapes and types; says which rows have a label, and which.
    pub(crate) fn labels(&self) -> Result<Vec<Option<bool>>, TrainingError> {
        self.check_lengths()?;
        self.check_features()?;
        if let Some(row) = (0..self.as_of.len()).find(|row| self.as_of.is_null(*row)) {
            return Err(TrainingError::NoAsOf { row });
        }
        let labels = read_labels(&self.label)?;
        if labels.iter().all(Option::is_none) {
            return Err(TrainingError::NoLabels);
        }
        Ok(labels)
    }

    fn check_lengths(&self) -> Result<(), TrainingError> {
        let expected = self.rows();
        let single = [("label", self.label.len()), ("as_of", self.as_of.len()), ("label_time", self.label_time.len())];
        let several = [("keys", &self.keys), ("groups", &self.groups), ("profile", &self.profile)];
        let several =
            several.into_iter().flat_map(|(what, arrays)| arrays.iter().map(move |array| (what, array.len())));
        match single.into_iter().chain(several).find(|(_, found)| *found != expected) {
            Some((what, found)) => Err(TrainingError::LengthMismatch { what, found, expected }),
            None => Ok(()),
        }
    }

    fn check_features(&self) -> Result<(), TrainingError> {
        let schema = self.features.schema();
        if schema.fields().is_empty() {
            return Err(TrainingError::NoFeatures);
        }
        for (index, field) in schema.fields().iter().enumerate() {
            if schema.fields()[..index].iter().any(|other| other.name() == field.name()) {
                return Err(TrainingError::DuplicateFeature(field.name().clone()));
            }
            let known = DataType::of_arrow(field.data_type()).filter(|known| known.arrow() == *field.data_type());
            if known.is_none_or(DataType::is_time) {
                let found = known.map_or_else(|| field.data_type().to_string(), |known| known.to_string());
                return Err(TrainingError::FeatureType { feature: field.name().clone(), found });
            }
        }
        Ok(())
    }
}

pub(crate) fn read_labels(label: &ArrayRef) -> Result<Vec<Option<bool>>, TrainingError> {
    let number = |row: usize, value: f64| match value {
        0.0 => Ok(Some(false)),
        1.0 => Ok(Some(true)),
        other => Err(TrainingError::BadLabel { row, found: other.to_string() }),
    };
    let rows = 0..label.len();
    match DataType::of_arrow(label.data_type()).filter(|known| known.arrow() == *label.data_type()) {
        Some(DataType::Bool) => Ok(label.as_boolean().iter().collect()),
        Some(DataType::Int) => {
            let ints = label.as_primitive::<Int64Type>();
            rows.map(|row| if ints.is_null(row) { Ok(None) } else { number(row, ints.value(row) as f64) }).collect()
        }
        Some(DataType::Float) => {
            let floats = label.as_primitive::<Float64Type>();
            rows.map(|row| if floats.is_null(row) { Ok(None) } else { number(row, floats.value(row)) }).collect()
        }
        _ => Err(TrainingError::LabelType(label.data_type().to_string())),
    }
}
