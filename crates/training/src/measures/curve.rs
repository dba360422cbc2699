use serde::{Deserialize, Serialize};

use super::confusion::share;
use super::{Cumulative, Scored};

/// What a threshold catches: a point of the ROC curve (`fpr`, `tpr`), of the gains curve (`flagged`, `tpr`) and of the
/// KS chart (`tpr - fpr` over `flagged`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    pub threshold: f64,
    /// The share of rows at or above the threshold.
    pub flagged: f64,
    pub tpr: f64,
    pub fpr: f64,
}

/// At most `points + 2` thresholds from the highest score to the lowest, evenly spread over the rows; the last one flags
/// everything, and the one where KS is widest is always among them. The curve's start (0, 0) is left to the drawer.
pub fn curve(scored: &Scored, points: usize) -> Vec<CurvePoint> {
    let all: Vec<Cumulative> = scored.cumulative().collect();
    let gap = |at: &Cumulative| scored.gap(at.true_positives, at.false_positives).abs();
    let widest =
        all.iter().enumerate().max_by(|a, b| gap(a.1).cmp(&gap(b.1)).then(b.0.cmp(&a.0))).map(|(index, _)| index);
    let points = points.max(2) as u128;
    let step =
        |at: &Cumulative| u128::from(at.true_positives + at.false_positives) * points / u128::from(scored.rows());
    let kept = |index: usize| {
        let ends_step = all.get(index + 1).is_none_or(|next| step(&all[index]) != step(next));
        ends_step || Some(index) == widest
    };
    (0..all.len())
        .filter(|index| kept(*index))
        .map(|index| {
            let at = all[index];
            CurvePoint {
                threshold: at.score,
                flagged: share(at.true_positives + at.false_positives, scored.rows()),
                tpr: share(at.true_positives, scored.positives()),
                fpr: share(at.false_positives, scored.negatives()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_short_and_keeps_its_end_and_its_widest_gap() {
        let scores: Vec<f64> = (0..5000).map(|i| f64::from(i * 7919 % 5003) / 5003.0).collect();
        let labels: Vec<bool> = scores.iter().enumerate().map(|(i, score)| (*score * 10.0) as usize > i % 13).collect();
        let scored = Scored::new(&scores, &labels).unwrap();
        let points = curve(&scored, 100);
        assert!((101..=102).contains(&points.len()), "{}", points.len());
        assert!(points[0].flagged > 0.009 && points[0].flagged < 0.01, "the first percent counts: {:?}", points[0]);
        let last = points[points.len() - 1];
        assert_eq!((last.flagged, last.tpr, last.fpr), (1.0, 1.0, 1.0));
        assert!(points.windows(2).all(|pair| pair[0].threshold > pair[1].threshold));
        let widest = points.iter().map(|point| (point.tpr - point.fpr).abs()).fold(0.0, f64::max);
        assert!((widest - scored.ks()).abs() < 1e-12);
    }

    #[test]
    fn few_rows_give_every_threshold() {
        let scored = Scored::new(&[0.1, 0.2, 0.3], &[false, true, true]).unwrap();
        let thresholds: Vec<f64> = curve(&scored, 100).iter().map(|point| point.threshold).collect();
        assert_eq!(thresholds, [0.3, 0.2, 0.1]);
    }
}
