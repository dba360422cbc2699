//! One column of values on its own, wherever they come from: features of all keys, in place of a source's rows.

use arrow::array::ArrayRef;
use karat_core::DataType;
use karat_core::profile::{Bin, Summary};

use super::bins::Bins;
use super::column::Column;

/// Sees values once, in any number of arrays; memory is bounded as a profile's is.
pub struct ValueSummary(Column);

impl ValueSummary {
    pub fn new(data_type: DataType) -> ValueSummary {
        ValueSummary(Column::new(data_type))
    }

    pub fn add(&mut self, values: &ArrayRef) {
        self.0.add(values);
    }

    pub fn summary(&self) -> Summary {
        self.0.summary()
    }

    /// By equal width, or value by value where there are few. As nothing is seen twice, counts between edges are as far off
    /// as the summary's quantiles.
    pub fn histogram(&self) -> Vec<Bin> {
        let bins = Bins::by_width(&self.0);
        let counts = self.0.counts_in(&bins);
        bins.histogram(&counts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    fn of(arrays: Vec<ArrayRef>, data_type: DataType) -> (Summary, Vec<Bin>) {
        let mut values = ValueSummary::new(data_type);
        arrays.iter().for_each(|array| values.add(array));
        (values.summary(), values.histogram())
    }

    #[test]
    fn few_values_have_a_bin_each() {
        let first: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.0)]));
        let second: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN)]));
        let (summary, histogram) = of(vec![first, second], DataType::Float);
        assert_eq!((summary.rows, summary.nulls, summary.nans, summary.distinct), (5, 1, 1, 2));
        let bins: Vec<(&str, u64)> = histogram.iter().map(|bin| (bin.name.as_str(), bin.rows)).collect();
        assert_eq!(bins, [("1", 2), ("2", 1)]);
    }

    #[test]
    fn texts_beyond_the_frequent_ones_stand_together() {
        let texts: Vec<String> = (0..40).map(|text| format!("t{}", if text < 15 { 0 } else { text })).collect();
        let (summary, histogram) = of(vec![Arc::new(StringArray::from(texts))], DataType::Text);
        assert_eq!((summary.rows, summary.distinct), (40, 26));
        assert_eq!(histogram.iter().map(|bin| bin.rows).sum::<u64>(), 40);
        assert_eq!(histogram[0].rows, 15);
        assert_eq!(histogram.last().map(|bin| bin.name.as_str()), Some("all others"));
    }

    /// Many values: the bins hold all of them, and about as many each as there are.
    #[test]
    fn counts_of_many_values_are_as_far_off_as_said() {
        let values: Vec<f64> = (0..200_000).map(|value| f64::from(value * 7_919 % 200_003)).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let (summary, histogram) = of(vec![Arc::new(Float64Array::from(values))], DataType::Float);
        assert!(summary.quantile_error > 0.0);
        assert_eq!(histogram.iter().map(|bin| bin.rows).sum::<u64>(), 200_000);
        let last = histogram.len() - 1;
        for (place, bin) in histogram.iter().enumerate() {
            let (from, to) = (bin.from.as_f64().unwrap(), bin.to.as_f64().unwrap());
            let upper = if place == last { sorted.len() } else { sorted.partition_point(|value| *value < to) };
            let exact = upper - sorted.partition_point(|value| *value < from);
            let off = (exact as f64 - bin.rows as f64).abs() / 200_000.0;
            assert!(off <= 2.0 * summary.quantile_error + 1e-9, "{}: {exact} and {}", bin.name, bin.rows);
        }
    }
}
