use std::collections::HashMap;

use karat_core::Value;

use crate::ModelError;
use crate::model::{Model, Transform};

/// A transform made ready for look-ups.
#[derive(Debug)]
pub(super) enum Encoder {
    Numeric,
    Boolean,
    Categories(HashMap<Box<str>, f64>),
}

impl Encoder {
    pub(super) fn new(transform: &Transform) -> Encoder {
        match transform {
            Transform::Numeric => Encoder::Numeric,
            Transform::Boolean => Encoder::Boolean,
            Transform::Categories(texts) => {
                let codes = texts.iter().enumerate();
                Encoder::Categories(codes.map(|(code, text)| (text.as_str().into(), code as f64)).collect())
            }
        }
    }
}

impl Model {
    /// A row for scoring from typed values in signature order.
    pub fn encode(&self, values: &[Value]) -> Result<Vec<f64>, ModelError> {
        let mut row = vec![f64::NAN; self.encoders.len()];
        self.encode_into(values, &mut row)?;
        Ok(row)
    }

    /// As [`Model::encode`], into a row the caller keeps: allocates nothing unless it fails.
    pub fn encode_into(&self, values: &[Value], row: &mut [f64]) -> Result<(), ModelError> {
        for found in [values.len(), row.len()] {
            if found != self.encoders.len() {
                return Err(ModelError::RowWidth { found, wanted: self.encoders.len() });
            }
        }
        for (index, (value, slot)) in values.iter().zip(row).enumerate() {
            *slot = self.encode_value(index, value)?;
        }
        Ok(())
    }

    /// One value as input `index` reads it. An int stands for a float and a float for an int; nothing else is converted.
    pub fn encode_value(&self, index: usize, value: &Value) -> Result<f64, ModelError> {
        Ok(match (&self.encoders[index], value) {
            (_, Value::Null) => f64::NAN,
            (Encoder::Numeric, Value::Float(number)) => *number,
            (Encoder::Numeric, Value::Int(number)) => *number as f64,
            (Encoder::Boolean, Value::Bool(flag)) => f64::from(u8::from(*flag)),
            (Encoder::Categories(codes), Value::Text(text)) => codes.get(text.as_ref()).copied().unwrap_or(f64::NAN),
            (_, other) => {
                let input = &self.parts.signature.inputs[index];
                let found = other.data_type().expect("null was matched above");
                return Err(ModelError::WrongType { input: input.name.clone(), wanted: input.data_type, found });
            }
        })
    }
}
