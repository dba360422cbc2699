//! The second look at a column, with its bins known: exact counts by bin, by label and by month.

use arrow::array::ArrayRef;
use karat_core::DataType;
use karat_core::profile::{Bin, ColumnLabel, ColumnMonth, LabelBin};

use super::bins::Bins;
use super::code::{self, Cell};
use super::column::Column;

pub(super) struct Tally {
    data_type: DataType,
    widths: Bins,
    sizes: Bins,
    by_width: Vec<u64>,
    /// By size, nulls after the last bin: training rows, of these positives.
    by_label: Vec<(u64, u64)>,
    /// Rows by month and by size, nulls after the last bin.
    by_month: Vec<Vec<u64>>,
    /// By month: values that are numbers, and their sum.
    sums: Vec<(u64, f64)>,
}

impl Tally {
    pub(super) fn new(column: &Column, months: usize) -> Tally {
        let (widths, sizes) = (Bins::by_width(column), Bins::by_size(column));
        Tally {
            data_type: column.data_type(),
            by_width: vec![0; widths.len()],
            by_label: vec![(0, 0); sizes.len() + 1],
            by_month: vec![vec![0; sizes.len() + 1]; months],
            sums: vec![(0, 0.0); months],
            widths,
            sizes,
        }
    }

    pub(super) fn add(&mut self, array: &ArrayRef, labels: &[Option<bool>], months: &[Option<usize>]) {
        let averaged = matches!(self.data_type, DataType::Int | DataType::Float | DataType::Bool);
        let nowhere = self.sizes.len();
        code::each(array, |row, cell| {
            if let Some(place) = self.widths.place(cell) {
                self.by_width[place] += 1;
            }
            let place = self.sizes.place(cell).unwrap_or(nowhere);
            if let Some(Some(positive)) = labels.get(row) {
                let (rows, positives) = &mut self.by_label[place];
                *rows += 1;
                *positives += u64::from(*positive);
            }
            if let Some(Some(month)) = months.get(row) {
                self.by_month[*month][place] += 1;
                if let (true, Cell::Code(code)) = (averaged, cell) {
                    let (count, sum) = &mut self.sums[*month];
                    *count += 1;
                    *sum += code::position(code, self.data_type);
                }
            }
        });
    }

    pub(super) fn histogram(&self) -> Vec<Bin> {
        self.widths.histogram(&self.by_width)
    }

    pub(super) fn label(&self) -> ColumnLabel {
        let (missing, bins) = self.by_label.split_last().expect("there is a place for nulls");
        let all = self.by_label.iter().fold((0, 0), |(rows, positives), bin| (rows + bin.0, positives + bin.1));
        let (positives, negatives) = (all.1, all.0 - all.1);
        let rarer_in_bins: u64 = self.by_label.iter().map(|(rows, positives)| (*positives).min(rows - positives)).sum();
        let rarer = positives.min(negatives);
        ColumnLabel {
            bins: self.sizes.labelled(bins),
            missing: (missing.0 > 0).then(|| LabelBin {
                name: "missing".to_owned(),
                from: serde_json::Value::Null,
                to: serde_json::Value::Null,
                rows: missing.0,
                positives: missing.1,
            }),
            information_value: information_value(&self.by_label, positives, negatives),
            gives_away: rarer > 0 && rarer_in_bins * 20 <= rarer,
        }
    }

    pub(super) fn months(&self) -> Vec<ColumnMonth> {
        let bins = self.sizes.len() + 1;
        let mut all = vec![0u64; bins];
        for month in &self.by_month {
            month.iter().zip(&mut all).for_each(|(rows, all)| *all += rows);
        }
        self.by_month
            .iter()
            .zip(&self.sums)
            .map(|(rows, (count, sum))| ColumnMonth {
                nulls: rows[bins - 1],
                mean: (*count > 0 && sum.is_finite()).then(|| sum / *count as f64),
                psi: shift(rows, &all),
            })
            .collect()
    }
}

/// Half a row stands in every bin that holds any, so that no share is nothing.
fn information_value(bins: &[(u64, u64)], positives: u64, negatives: u64) -> f64 {
    if positives == 0 || negatives == 0 {
        return 0.0;
    }
    let held: Vec<&(u64, u64)> = bins.iter().filter(|(rows, _)| *rows > 0).collect();
    let more = held.len() as f64 * 0.5;
    let value = |(rows, bin_positives): &&(u64, u64)| {
        let good = ((rows - bin_positives) as f64 + 0.5) / (negatives as f64 + more);
        let bad = (*bin_positives as f64 + 0.5) / (positives as f64 + more);
        (bad - good) * libm::log(bad / good)
    };
    held.iter().map(value).sum()
}

/// The population stability index of one distribution against another.
fn shift(rows: &[u64], all: &[u64]) -> f64 {
    let held = all.iter().filter(|count| **count > 0).count() as f64;
    let (total, total_all) = (rows.iter().sum::<u64>() as f64, all.iter().sum::<u64>() as f64);
    if total == 0.0 || total_all == 0.0 {
        return 0.0;
    }
    let share = |count: u64, total: f64| (count as f64 + 0.5) / (total + 0.5 * held);
    let bins = rows.iter().zip(all).filter(|(_, all)| **all > 0);
    bins.map(|(rows, all)| {
        let (now, ever) = (share(*rows, total), share(*all, total_all));
        (now - ever) * libm::log(now / ever)
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_has_not_moved_from_itself() {
        assert!(shift(&[100, 200, 300], &[1000, 2000, 3000]) < 1e-5);
        assert!(shift(&[300, 0], &[1500, 1500]) > 0.25);
        assert_eq!(shift(&[0, 0], &[1, 1]), 0.0);
    }

    #[test]
    fn information_is_nothing_for_equal_rates_and_much_for_a_telltale() {
        assert!(information_value(&[(1000, 100), (1000, 100)], 200, 1800) < 1e-5);
        assert!(information_value(&[(900, 0), (100, 100)], 100, 900) > 5.0);
        assert_eq!(information_value(&[(900, 0)], 0, 900), 0.0);
    }
}
