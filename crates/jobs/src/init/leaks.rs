//! Columns that give the label away: alone they tell it almost without fail, by their values or by being there at all.

use std::collections::HashMap;

use karat_core::DataType;
use karat_query::Survey;
use karat_training::measures::Scored;

use super::target::Target;

/// From here on a single column is too good to be true.
const ALONE: f64 = 0.98;
/// The same of whether there is a value.
const PRESENCE: f64 = 0.95;
/// Rows of either label below which nothing is said.
const FEWEST: usize = 15;

/// Why a column is taken to give the label away.
pub(super) fn gives_away(survey: &Survey, target: &Target, place: usize) -> Option<String> {
    let labels: Vec<Option<bool>> = (0..survey.sample.rows()).map(|row| target.label(survey, row)).collect();
    let present = |row: usize| Some(f64::from(u8::from(survey.cell(row, place).is_some())));
    if let Some(auc) = auc(&labels, present).filter(|auc| *auc >= PRESENCE) {
        return Some(format!("whether it has a value gives the label away (AUC {auc:.3} alone)"));
    }
    let facts = &survey.columns[place];
    let by_value = match facts.data_type {
        DataType::Text if facts.dates.is_none() => auc_of_categories(survey, place, &labels),
        _ => auc(&labels, |row| survey.number(row, place)),
    };
    by_value.filter(|auc| *auc >= ALONE).map(|auc| format!("gives the label away (AUC {auc:.3} alone)"))
}

/// Of the better direction; `None` where there are too few of a label.
fn auc(labels: &[Option<bool>], value: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let rows = labels.iter().enumerate().filter_map(|(row, label)| Some((value(row)?, (*label)?)));
    let (scores, labels): (Vec<f64>, Vec<bool>) = rows.filter(|(score, _)| score.is_finite()).unzip();
    let positives = labels.iter().filter(|label| **label).count();
    if positives < FEWEST || labels.len() - positives < FEWEST {
        return None;
    }
    let auc = Scored::new(&scores, &labels).ok()?.auc();
    Some(auc.max(1.0 - auc))
}

/// Each category by its rate in the other half of the rows, so that a category of one row tells nothing.
fn auc_of_categories(survey: &Survey, place: usize, labels: &[Option<bool>]) -> Option<f64> {
    let mut counts: [HashMap<&str, (f64, f64)>; 2] = Default::default();
    let mut whole = (0.0, 0.0);
    for (row, label) in labels.iter().enumerate() {
        if let (Some(cell), Some(label)) = (survey.cell(row, place), label) {
            let label = f64::from(u8::from(*label));
            let (positives, rows) = counts[row / 7 % 2].entry(cell).or_default();
            *positives += label;
            *rows += 1.0;
            whole = (whole.0 + label, whole.1 + 1.0);
        }
    }
    let rate = whole.0 / f64::max(whole.1, 1.0);
    let of = |row: usize| {
        let cell = survey.cell(row, place)?;
        let (positives, rows) = counts[1 - row / 7 % 2].get(cell).copied().unwrap_or_default();
        Some((positives + rate) / (rows + 1.0))
    };
    // Of this measure only one direction means anything.
    auc(labels, of)
}
