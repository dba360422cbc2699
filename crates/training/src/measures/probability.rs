//! Measures of the score read as a probability: log loss and Brier.

use super::Scored;

impl Scored {
    /// Mean negative log likelihood, natural logarithm; scores are clipped to `[eps, 1 - eps]` with
    /// `eps = 2^-52`, as scikit-learn does for doubles.
    pub fn log_loss(&self) -> f64 {
        let total: f64 =
            self.groups().iter().map(|group| loss(group.score, group.positives as f64, group.negatives as f64)).sum();
        total / self.rows() as f64
    }

    /// Mean squared distance of the score from what came true.
    pub fn brier(&self) -> f64 {
        let total: f64 = self
            .groups()
            .iter()
            .map(|group| {
                let (from_one, from_zero) = (1.0 - group.score, group.score);
                group.positives as f64 * from_one * from_one + group.negatives as f64 * from_zero * from_zero
            })
            .sum();
        total / self.rows() as f64
    }

    pub fn mean_score(&self) -> f64 {
        self.groups().iter().map(|group| group.score * group.rows() as f64).sum::<f64>() / self.rows() as f64
    }
}

fn loss(score: f64, positives: f64, negatives: f64) -> f64 {
    let clipped = score.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    // libm, so that every CPU agrees; a count of zero must not meet an infinite logarithm, and clipping sees to that.
    -(positives * libm::log(clipped) + negatives * libm::log(1.0 - clipped))
}

/// [`Scored::log_loss`] without grouping, in row order. For the loop that asks once a round.
pub(crate) fn log_loss_of(scores: &[f64], labels: &[bool]) -> f64 {
    let total: f64 = scores
        .iter()
        .zip(labels)
        .map(|(score, label)| if *label { loss(*score, 1.0, 0.0) } else { loss(*score, 0.0, 1.0) })
        .sum();
    total / scores.len() as f64
}
