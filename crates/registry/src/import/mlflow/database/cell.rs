/// A value as the database holds it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::import::mlflow) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
}

/// The values of a row, in the order in which they were asked for.
pub(in crate::import::mlflow) struct Record(pub(super) Vec<Cell>);

impl Record {
    /// As many as were asked for.
    pub fn cells<const N: usize>(self) -> [Cell; N] {
        let mut cells = self.0.into_iter();
        std::array::from_fn(|_| cells.next().unwrap_or(Cell::Null))
    }
}

impl Cell {
    pub fn text(self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Text(value) => value,
        }
    }

    pub fn optional_text(self) -> Option<String> {
        (self != Cell::Null).then(|| self.text())
    }

    /// 0 where there is none.
    pub fn int(&self) -> i64 {
        self.optional_int().unwrap_or_default()
    }

    pub fn optional_int(&self) -> Option<i64> {
        match self {
            Cell::Null => None,
            Cell::Int(value) => Some(*value),
            Cell::Float(value) => Some(*value as i64),
            Cell::Text(value) => value.parse().ok(),
        }
    }

    pub fn float(&self) -> f64 {
        match self {
            Cell::Null => 0.0,
            Cell::Int(value) => *value as f64,
            Cell::Float(value) => *value,
            Cell::Text(value) => value.parse().unwrap_or(f64::NAN),
        }
    }
}
