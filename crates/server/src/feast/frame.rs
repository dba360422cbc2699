use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::error::FeastError;
use crate::unrepeated;

/// How Feast's SDK sends a time that is missing, pandas' NaT.
const NOT_A_TIME: i64 = i64::MIN;

/// A data frame as JSON: a list for each column, or, as pandas' `to_dict` has it, an object by row label.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Frame(#[serde(deserialize_with = "unrepeated::map")] IndexMap<String, Column>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Column {
    List(Vec<Json>),
    ByLabel(#[serde(deserialize_with = "unrepeated::map")] IndexMap<String, Json>),
}

impl Frame {
    pub fn rows(self) -> Result<Vec<Map<String, Json>>, FeastError> {
        let mut rows: Vec<Map<String, Json>> = Vec::new();
        let mut first: Option<(String, Option<Vec<String>>)> = None;
        for (name, column) in self.0 {
            let (labels, cells) = match column {
                Column::List(cells) => (None, cells),
                Column::ByLabel(cells) => {
                    let (labels, cells): (Vec<String>, Vec<Json>) = cells.into_iter().unzip();
                    (Some(labels), cells)
                }
            };
            match &first {
                None => {
                    rows.resize_with(cells.len(), Map::new);
                    first = Some((name.clone(), labels));
                }
                Some((other, of_other)) if cells.len() != rows.len() || labels != *of_other => {
                    return Err(FeastError::invalid(format!(
                        "`df`: columns {other} and {name} are not of the same rows; each column needs a value for every row"
                    )));
                }
                Some(_) => {}
            }
            for (row, cell) in rows.iter_mut().zip(cells) {
                let cell = if cell.as_i64() == Some(NOT_A_TIME) { Json::Null } else { cell };
                row.insert(name.clone(), cell);
            }
        }
        Ok(rows)
    }
}
