//! Features as the numbers the trees see, by the very rules `karat_model` encodes a request: fitted on training rows only.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use karat_core::DataType;
use karat_model::Transform;

/// A column of numbers per feature, over all rows; NaN where there is no value.
pub(crate) struct Encoded {
    columns: Vec<Vec<f64>>,
}

/// Text becomes its position among the sorted distinct texts of the training rows; a text they do not hold is missing.
pub(crate) fn fit_transforms(features: &RecordBatch, training_rows: &[usize]) -> Vec<Transform> {
    features.columns().iter().map(|column| fit_transform(column, training_rows)).collect()
}

fn fit_transform(column: &ArrayRef, training_rows: &[usize]) -> Transform {
    match DataType::of_arrow(column.data_type()) {
        Some(DataType::Bool) => Transform::Boolean,
        Some(DataType::Text) => {
            let texts = column.as_string::<i32>();
            let seen = training_rows.iter().filter(|row| texts.is_valid(**row)).map(|row| texts.value(*row));
            Transform::Categories(seen.collect::<BTreeSet<&str>>().into_iter().map(str::to_owned).collect())
        }
        _ => Transform::Numeric,
    }
}

impl Encoded {
    pub(crate) fn new(features: &RecordBatch, transforms: &[Transform]) -> Encoded {
        let pairs = features.columns().iter().zip(transforms);
        Encoded { columns: pairs.map(|(column, transform)| encode(column, transform)).collect() }
    }

    pub(crate) fn features(&self) -> usize {
        self.columns.len()
    }

    /// The given rows, one column after the other.
    pub(crate) fn column_major(&self, rows: &[usize]) -> Vec<f64> {
        let mut values = Vec::with_capacity(rows.len() * self.columns.len());
        for column in &self.columns {
            values.extend(rows.iter().map(|row| column[*row]));
        }
        values
    }

    /// The given rows, one after the other.
    pub(crate) fn row_major(&self, rows: &[usize]) -> Vec<f64> {
        let mut values = Vec::with_capacity(rows.len() * self.columns.len());
        for row in rows {
            values.extend(self.columns.iter().map(|column| column[*row]));
        }
        values
    }

    /// Whether a feature has no two different values among these rows; a missing value is one of its own.
    pub(crate) fn is_constant(&self, feature: usize, rows: &[usize]) -> bool {
        let column = &self.columns[feature];
        let Some(first) = rows.first().map(|row| column[*row]) else { return true };
        rows.iter().all(|row| column[*row] == first || column[*row].is_nan() && first.is_nan())
    }
}

fn encode(column: &ArrayRef, transform: &Transform) -> Vec<f64> {
    let rows = 0..column.len();
    match transform {
        Transform::Boolean => {
            let values = column.as_boolean();
            rows.map(|row| if values.is_null(row) { f64::NAN } else { f64::from(u8::from(values.value(row))) })
                .collect()
        }
        Transform::Numeric => match DataType::of_arrow(column.data_type()) {
            Some(DataType::Int) => {
                let values = column.as_primitive::<Int64Type>();
                rows.map(|row| if values.is_null(row) { f64::NAN } else { values.value(row) as f64 }).collect()
            }
            _ => {
                let values = column.as_primitive::<Float64Type>();
                rows.map(|row| if values.is_null(row) { f64::NAN } else { values.value(row) }).collect()
            }
        },
        Transform::Categories(texts) => {
            let values = column.as_string::<i32>();
            let code = |text: &str| texts.binary_search_by(|known| known.as_str().cmp(text));
            rows.map(|row| {
                if values.is_null(row) { f64::NAN } else { code(values.value(row)).map_or(f64::NAN, |c| c as f64) }
            })
            .collect()
        }
    }
}
