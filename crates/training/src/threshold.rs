//! Where a score becomes a label, by the rule the model states, on the validation part.

use std::cmp::Ordering;

use karat_project::spec::{Goal, Threshold};

use crate::TrainingError;
use crate::measures::{Cumulative, Scored};

/// A row is flagged when `score >= threshold`. Candidates are the scores of the validation part; comparisons are made in
/// integers, so that ties are ties.
pub fn choose_threshold(scored: &Scored, rule: &Threshold) -> Result<f64, TrainingError> {
    match *rule {
        Threshold::Value(value) if !(0.0..=1.0).contains(&value) => Err(TrainingError::BadThreshold(value)),
        Threshold::Value(value) => Ok(value),
        Threshold::Maximize(Goal::Ks) => {
            Ok(lowest_best(scored, |a, b| signed_gap(scored, a).cmp(&signed_gap(scored, b))))
        }
        Threshold::Maximize(Goal::F1) => Ok(lowest_best(scored, |a, b| compare_f1(scored, a, b))),
        Threshold::RecallAtLeast(wanted) => recall_at_least(scored, check_share("a recall", wanted)?),
        Threshold::PrecisionAtLeast(wanted) => precision_at_least(scored, check_share("a precision", wanted)?),
    }
}

fn check_share(rule: &'static str, wanted: f64) -> Result<f64, TrainingError> {
    if (0.0..=1.0).contains(&wanted) { Ok(wanted) } else { Err(TrainingError::BadShare { rule, wanted }) }
}

/// Candidates come from the highest score down, so the last of the best is the lowest.
fn lowest_best(scored: &Scored, compare: impl Fn(&Cumulative, &Cumulative) -> Ordering) -> f64 {
    scored.cumulative().max_by(|a, b| compare(a, b)).expect("scored rows are never empty").score
}

/// Signed: flagging the negatives is no merit of a threshold, though KS itself has no sign.
fn signed_gap(scored: &Scored, at: &Cumulative) -> i128 {
    scored.gap(at.true_positives, at.false_positives)
}

/// F1 is `2 tp / (flagged + positives)`.
fn compare_f1(scored: &Scored, a: &Cumulative, b: &Cumulative) -> Ordering {
    let under = |at: &Cumulative| u128::from(at.true_positives + at.false_positives + scored.positives());
    (u128::from(a.true_positives) * under(b)).cmp(&(u128::from(b.true_positives) * under(a)))
}

fn recall_at_least(scored: &Scored, wanted: f64) -> Result<f64, TrainingError> {
    let positives = scored.positives() as f64;
    let reached = scored.cumulative().find(|at| at.true_positives as f64 / positives >= wanted);
    Ok(reached.expect("the lowest score catches every positive").score)
}

fn precision_at_least(scored: &Scored, wanted: f64) -> Result<f64, TrainingError> {
    let precision = |at: &Cumulative| at.true_positives as f64 / (at.true_positives + at.false_positives) as f64;
    match scored.cumulative().filter(|at| precision(at) >= wanted).last() {
        Some(at) => Ok(at.score),
        None => {
            let best = scored.cumulative().map(|at| precision(&at)).fold(0.0, f64::max);
            Err(TrainingError::PrecisionOutOfReach { wanted, best })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored() -> Scored {
        Scored::new(&[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], &[true, true, false, true, false, false, true, false])
            .unwrap()
    }

    #[test]
    fn ks_takes_the_lowest_score_on_ties() {
        // Gaps: 1/4, 2/4, 1/4, 2/4, 1/4, 0, 1/4, 0.
        assert_eq!(choose_threshold(&scored(), &Threshold::Maximize(Goal::Ks)).unwrap(), 0.6);
    }

    #[test]
    fn f1_takes_the_lowest_score_on_ties() {
        // 2 tp / (flagged + 4): 2/5, 4/6, 4/7, 6/8, 6/9, 6/10, 8/11, 8/12.
        assert_eq!(choose_threshold(&scored(), &Threshold::Maximize(Goal::F1)).unwrap(), 0.6);
        let tied = Scored::new(&[0.9, 0.8, 0.7, 0.6], &[true, false, true, true]).unwrap();
        // 2/4, 2/5, 4/6, 6/7.
        assert_eq!(choose_threshold(&tied, &Threshold::Maximize(Goal::F1)).unwrap(), 0.6);
    }

    #[test]
    fn a_ks_threshold_never_flags_the_wrong_side() {
        let reversed = Scored::new(&[0.9, 0.1], &[false, true]).unwrap();
        assert_eq!(choose_threshold(&reversed, &Threshold::Maximize(Goal::Ks)).unwrap(), 0.1);
    }

    #[test]
    fn recall_takes_the_highest_score_that_catches_enough() {
        let at = |wanted| choose_threshold(&scored(), &Threshold::RecallAtLeast(wanted)).unwrap();
        assert_eq!((at(0.0), at(0.5), at(0.75), at(0.76), at(1.0)), (0.9, 0.8, 0.6, 0.3, 0.3));
        assert!(choose_threshold(&scored(), &Threshold::RecallAtLeast(1.5)).is_err());
        assert!(choose_threshold(&scored(), &Threshold::RecallAtLeast(f64::NAN)).is_err());
    }

    #[test]
    fn precision_takes_the_lowest_score_or_names_the_best_in_reach() {
        let at = |wanted| choose_threshold(&scored(), &Threshold::PrecisionAtLeast(wanted));
        assert_eq!((at(1.0).unwrap(), at(0.7).unwrap(), at(0.5).unwrap()), (0.8, 0.6, 0.2));
        let hopeless = Scored::new(&[0.9, 0.1], &[false, true]).unwrap();
        let error = choose_threshold(&hopeless, &Threshold::PrecisionAtLeast(0.8)).unwrap_err();
        assert!(error.to_string().contains("the best is 0.5000"), "{error}");
    }
}
