//! Measures of order alone: AUC, Gini, KS.

use super::Scored;

impl Scored {
    /// The chance that a positive scores above a negative, ties counting half: the Mann-Whitney statistic, counted in
    /// integers and divided once.
    pub fn auc(&self) -> f64 {
        let mut positives_above: u128 = 0;
        let mut twice: u128 = 0;
        for group in self.groups() {
            twice += u128::from(group.negatives) * (2 * positives_above + u128::from(group.positives));
            positives_above += u128::from(group.positives);
        }
        twice as f64 / (2.0 * self.positives() as f64 * self.negatives() as f64)
    }

    /// `2 AUC - 1`.
    pub fn gini(&self) -> f64 {
        2.0 * self.auc() - 1.0
    }

    /// The two-sample Kolmogorov-Smirnov statistic: the widest gap between the score distributions of positives and
    /// negatives.
    pub fn ks(&self) -> f64 {
        let widest = self.cumulative().map(|at| self.gap(at.true_positives, at.false_positives).abs()).max();
        widest.unwrap_or(0) as f64 / (self.positives() as f64 * self.negatives() as f64)
    }

    /// `tpr - fpr`, times positives times negatives: exact, so that ties are ties.
    pub(crate) fn gap(&self, true_positives: u64, false_positives: u64) -> i128 {
        i128::from(true_positives) * i128::from(self.negatives())
            - i128::from(false_positives) * i128::from(self.positives())
    }
}

/// [`Scored::auc`] without grouping: sorts only the rarer label's scores. For the loop that asks once a round.
/// `None` when a label does not occur or a score is not finite.
pub(crate) fn auc_of(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let of = |wanted: bool| -> Vec<f64> {
        scores.iter().zip(labels).filter(|(_, label)| **label == wanted).map(|(score, _)| score + 0.0).collect()
    };
    let (positives, negatives) = (of(true), of(false));
    if positives.is_empty() || negatives.is_empty() || !scores.iter().all(|score| score.is_finite()) {
        return None;
    }
    let positives_are_few = positives.len() <= negatives.len();
    let (mut few, many) = if positives_are_few { (positives, negatives) } else { (negatives, positives) };
    few.sort_unstable_by(f64::total_cmp);
    let below: u128 = many
        .iter()
        .map(|score| {
            let under = few.partition_point(|other| other < score);
            let upto = under + few[under..].partition_point(|other| other == score);
            (under + upto) as u128
        })
        .sum();
    let pairs = few.len() as u128 * many.len() as u128;
    // `below` counts, twice, how often one of the few scores under one of the many.
    let twice = if positives_are_few { 2 * pairs - below } else { below };
    Some(twice as f64 / (2.0 * few.len() as f64 * many.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        let scored = Scored::new(&[0.5, 0.5, 0.5, 0.9], &[true, false, false, true]).unwrap();
        assert_eq!(scored.auc(), 0.75);
        assert_eq!(scored.gini(), 0.5);
        assert_eq!(scored.ks(), 0.5);
    }

    #[test]
    fn a_reversed_score_has_a_negative_gini_and_a_full_ks() {
        let scored = Scored::new(&[0.1, 0.9], &[true, false]).unwrap();
        assert_eq!((scored.auc(), scored.gini(), scored.ks()), (0.0, -1.0, 1.0));
    }

    #[test]
    fn the_quick_auc_equals_the_grouped_one_whichever_label_is_rarer() {
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.4, -0.0, 0.0];
        for labels in [
            [false, false, true, true, true, false, true, false],
            [false, false, false, true, true, false, false, false],
            [true, true, true, false, true, false, true, true],
        ] {
            assert_eq!(auc_of(&scores, &labels), Some(Scored::new(&scores, &labels).unwrap().auc()));
        }
        assert_eq!(auc_of(&scores, &[true; 8]), None);
    }
}
