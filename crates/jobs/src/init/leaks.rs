//! Columns that give the label away: alone they tell it almost without fail, by their values or by being there at all;
//! or they have a value in rows of one outcome only, be it in few of them.

use std::collections::HashMap;

use karat_core::DataType;
use karat_query::Survey;
use karat_training::measures::Scored;

use super::target::Target;
use super::words::{count, percent};

/// From here on a single column is too good to be true.
const ALONE: f64 = 0.98;
/// The same of whether there is a value.
const PRESENCE: f64 = 0.95;
/// Rows of either label below which nothing is said.
const FEWEST: usize = 15;

/// Rows of one outcome among which a value stands, below which nothing is said.
const FEWEST_OF_ONE: usize = 20;
/// Of so many rows with a value one may have the other outcome.
const ROWS_A_SLIP: usize = 50;
/// An outcome more frequent than this may be the only one in many rows without anything being wrong.
const FREQUENT: f64 = 0.6;
/// The logarithm of one over the chance that rows of only one outcome come together by themselves.
const UNLIKELY: f64 = 20.0;
/// The share of zeros from which on any other number is an event.
const MOSTLY_ZERO: f64 = 0.2;

/// Why a column is taken to give the label away.
pub(super) fn gives_away(survey: &Survey, target: &Target, place: usize) -> Option<String> {
    let labels: Vec<Option<bool>> = (0..survey.sample.rows()).map(|row| target.label(survey, row)).collect();
    let present = |row: usize| Some(f64::from(u8::from(survey.cell(row, place).is_some())));
    if let Some(auc) = auc(&labels, present).filter(|auc| *auc >= PRESENCE) {
        return Some(format!("whether it has a value gives the label away (AUC {auc:.3} alone)"));
    }
    let (facts, label) = (&survey.columns[place], survey.columns[target.place].name.as_str());
    if let Some(why) = only_with_one((target, label), &labels, |row| survey.cell(row, place).is_some()) {
        return Some(format!("has a value in {why}"));
    }
    let by_value = match facts.data_type {
        DataType::Text if facts.dates.is_none() => auc_of_categories(survey, place, &labels),
        _ => auc(&labels, |row| survey.number(row, place)),
    };
    if let Some(auc) = by_value.filter(|auc| *auc >= ALONE) {
        return Some(format!("gives the label away (AUC {auc:.3} alone)"));
    }
    if !facts.data_type.is_numeric() || facts.is_time() {
        return None;
    }
    let number = |row: usize| survey.number(row, place);
    let zeros = (0..labels.len()).filter(|row| number(*row) == Some(0.0)).count();
    if (zeros as f64) < labels.len() as f64 * MOSTLY_ZERO {
        return None;
    }
    let why = only_with_one((target, label), &labels, |row| number(row).is_some_and(|number| number != 0.0))?;
    Some(format!("is not 0 in {why}"))
}

/// The counts, where the rows that `is_in` picks have all but the same outcome, and chance does not make it so.
fn only_with_one(
    (target, label): (&Target, &str),
    labels: &[Option<bool>],
    is_in: impl Fn(usize) -> bool,
) -> Option<String> {
    let (mut among, mut of_all) = ([0_usize; 2], [0_usize; 2]);
    for (row, label) in labels.iter().enumerate() {
        if let Some(label) = label {
            of_all[usize::from(*label)] += 1;
            among[usize::from(*label)] += usize::from(is_in(row));
        }
    }
    let is_positive = among[1] > among[0];
    let outcome = usize::from(is_positive);
    let (one, other) = (among[outcome], among[1 - outcome]);
    let (rows, all) = (one + other, of_all[0] + of_all[1]);
    let usual = of_all[outcome] as f64 / all.max(1) as f64;
    if one < FEWEST_OF_ONE || other * ROWS_A_SLIP > rows || usual > FREQUENT || usual == 0.0 {
        return None;
    }
    // Chernoff's bound on as few rows of the other outcome among as many.
    let share = other as f64 / rows as f64;
    let term = |part: f64, expected: f64| if part == 0.0 { 0.0 } else { part * (part / expected).ln() };
    let divergence = term(share, 1.0 - usual) + term(1.0 - share, usual);
    (rows as f64 * divergence > UNLIKELY).then(|| {
        let usual = percent(of_all[outcome] as u64, all as u64);
        let outcome = target.outcome(label, is_positive);
        let [rows, one] = [rows, one].map(|rows| count(rows as u64));
        format!("{rows} rows, of which {one} have {outcome} ({usual} of all rows have): likely known only afterwards")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(labels: &[Option<bool>], is_in: impl Fn(usize) -> bool) -> Option<String> {
        let target = Target {
            place: 0,
            positive: "late".to_owned(),
            negative: Some("paid".to_owned()),
            positives: 0,
            rows: 0,
            because: "by its word",
            expression: None,
        };
        only_with_one((&target, "outcome"), labels, is_in)
    }

    #[test]
    fn what_stands_with_one_outcome_only_is_told_unless_chance_may_have_it_so() {
        let labels: Vec<Option<bool>> = (0..1000).map(|row| Some(row % 3 == 0)).collect();
        let some_late = |row: usize| row.is_multiple_of(6);
        let why = told(&labels, some_late).unwrap();
        assert_eq!(
            why,
            "167 rows, of which 167 have outcome = late (33.4 % of all rows have): likely known only afterwards"
        );
        // A slip in many is allowed; one in ten is none.
        assert!(told(&labels, |row| some_late(row) || row == 1).is_some());
        assert!(told(&labels, |row| some_late(row) || row % 30 == 1).is_none());
        // Too few rows, or the outcome that most rows have.
        assert!(told(&labels, |row| row % 3 == 0 && row < 45).is_none());
        assert!(told(&labels, |row| row % 3 == 1).is_none());
        let even: Vec<Option<bool>> = (0..1000).map(|row| Some(row % 2 == 0)).collect();
        assert!(told(&even, |row| row % 2 == 0 && row < 44).is_none(), "22 heads in a row are not unheard of");
        assert!(told(&even, |row| row % 2 == 0 && row < 70).is_some());
    }
}
