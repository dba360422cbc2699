use crate::model::{Label, Model};

/// How much one input moved the raw score away from the expected one, in the raw score's unit (log odds).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// Index into the signature's inputs.
    pub feature: usize,
    pub contribution: f64,
}

/// Rows are encoded: one number per input, NaN for missing. A row of another length is a caller's defect and panics.
impl Model {
    /// LightGBM's raw score, bit for bit.
    pub fn raw_score(&self, row: &[f64]) -> f64 {
        let mut raw = [0.0];
        self.scorer.raw(row, &mut raw);
        raw[0]
    }

    /// The probability of the second label.
    pub fn score(&self, row: &[f64]) -> f64 {
        let mut score = [self.raw_score(row)];
        self.trees.convert(&mut score);
        score[0]
    }

    /// The score of a raw score.
    pub fn score_of_raw(&self, raw: f64) -> f64 {
        let mut score = [raw];
        self.trees.convert(&mut score);
        score[0]
    }

    /// Raw scores of rows that follow each other, on the calling thread.
    pub fn raw_score_batch(&self, rows: &[f64]) -> Vec<f64> {
        let mut raw = vec![0.0; rows.len() / self.scorer.features()];
        self.scorer.raw_batch(rows, &mut raw);
        raw
    }

    pub fn score_batch(&self, rows: &[f64]) -> Vec<f64> {
        let mut scores = self.raw_score_batch(rows);
        scores.iter_mut().for_each(|score| *score = self.score_of_raw(*score));
        scores
    }

    /// The decision on a score: the second label from the threshold on.
    pub fn label(&self, score: f64) -> &Label {
        &self.parts.labels[usize::from(score >= self.parts.threshold)]
    }

    /// A contribution per input, then the expected raw score; together they add up to the raw score. `out` holds one
    /// number more than there are inputs.
    pub fn contributions(&self, row: &[f64], out: &mut [f64]) {
        self.explainer.contributions(row, out);
    }

    /// As [`Model::contributions`] for rows that follow each other: inputs + 1 numbers a row.
    pub fn contributions_batch(&self, rows: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; rows.len() / self.scorer.features() * self.explainer.width()];
        self.explainer.contributions_batch(rows, &mut out);
        out
    }

    /// The expected raw score over the training rows: what the contributions start from.
    pub fn expected_value(&self) -> f64 {
        self.explainer.expected()[0]
    }

    /// The `top` inputs that moved the score most, in either direction; equal ones in signature order.
    pub fn reasons(&self, row: &[f64], top: usize) -> Vec<Contribution> {
        let mut contributions = vec![0.0; self.explainer.width()];
        self.contributions(row, &mut contributions);
        contributions.pop();
        let numbered = contributions.into_iter().enumerate();
        let mut reasons: Vec<Contribution> =
            numbered.map(|(feature, contribution)| Contribution { feature, contribution }).collect();
        reasons.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
        reasons.truncate(top);
        reasons
    }
}
