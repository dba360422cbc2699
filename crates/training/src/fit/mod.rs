//! From a training set and a model's spec to a fitted, evaluated model.

mod adopted;
mod boosting;
mod checks;
mod explanation;
mod parameters;
mod scoring;
mod signature;

use std::time::{Duration, Instant};

use karat_model::{Model, ModelParts, Signature};
use karat_project::spec::{self, Estimator};

use boosting::Boosted;

use crate::encode::{Encoded, fit_transforms};
use crate::measures::MeasureError;
use crate::split::{self, Assigned, Part, SplitReport};
use crate::{Evaluation, PartEvaluation, TrainingData, TrainingError, choose_threshold};

pub use adopted::adopt;
pub use boosting::Round;
pub use explanation::{Explanation, FeatureWeight};
pub use scoring::threads_from_environment;

/// How to train, as opposed to what: nothing here changes the result.
pub struct FitOptions<'a> {
    /// At least 1; see [`threads_from_environment`].
    pub threads: usize,
    /// Told of each step, on the calling thread.
    pub progress: &'a dyn Fn(Progress<'_>),
}

/// What training has just done, or is about to do.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    Split(&'a SplitReport),
    Round { round: Round, of: u32 },
    Evaluating,
}

/// A fitted model and everything a run records of how it came about.
#[derive(Debug)]
pub struct Trained {
    pub model: Model,
    pub evaluation: Evaluation,
    pub split: SplitReport,
    /// What early stopping watched: `auc` or `binary_logloss`.
    pub metric: String,
    /// Its value on the validation part, round by round.
    pub curve: Vec<Round>,
    /// Rounds grown.
    pub rounds: u32,
    /// Rounds kept: those up to the best one; all of them when early stopping is off.
    pub best_iteration: u32,
    /// By feature, in signature order.
    pub importance: Vec<Importance>,
    pub explanation: Explanation,
    /// LightGBM's parameters under its own names, without the number of threads, which changes nothing.
    pub parameters: Vec<(String, String)>,
    pub threads: usize,
    /// What is odd about the data without being wrong.
    pub warnings: Vec<String>,
    pub durations: Durations,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Importance {
    pub feature: String,
    /// How many splits use the feature.
    pub splits: u64,
    /// The sum of those splits' gains.
    pub gain: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Durations {
    pub split: Duration,
    pub encode: Duration,
    pub fit: Duration,
    pub evaluate: Duration,
}

/// Splits, fits, chooses the threshold on the validation part and measures every part.
///
/// The same data, spec and seed give the same model, whatever the number of threads. The test part's labels touch nothing
/// but `evaluation.test`, `evaluation.test_unseen` and the counts of `split`.
pub fn train(data: &TrainingData, spec: &spec::Model, options: &FitOptions<'_>) -> Result<Trained, TrainingError> {
    let Estimator::Lightgbm(estimator) = &spec.estimator;
    let mut prepared = Prepared::new(data, spec, options)?;

    let clock = Instant::now();
    let transforms = fit_transforms(&data.features, &prepared.rows.train);
    let encoded = Encoded::new(&data.features, &transforms);
    let signature = signature::signature(data, spec, transforms);
    prepared.warnings.splice(..0, checks::warnings(data, &signature, &encoded, &prepared.rows.train));
    let parameters = parameters::parameters(estimator, &signature, spec.seed);
    prepared.durations.encode = clock.elapsed();

    let clock = Instant::now();
    let task =
        boosting::Task { encoded: &encoded, labels: &prepared.labels, rows: &prepared.rows, signature: &signature };
    let boosted = boosting::boost(&task, estimator, &parameters, prepared.threads, options.progress)?;
    prepared.durations.fit = clock.elapsed();
    if boosted.rounds == 0 {
        prepared.warnings.push("no split improves on the base rate: every row gets the same score".to_owned());
    }
    prepared.measure(&encoded, signature, boosted, parameters.pairs().to_vec())
}

/// Rows with their parts, before anything is fitted.
struct Prepared<'a> {
    data: &'a TrainingData,
    spec: &'a spec::Model,
    options: &'a FitOptions<'a>,
    threads: usize,
    labels: Vec<bool>,
    split: SplitReport,
    rows: Rows,
    warnings: Vec<String>,
    durations: Durations,
}

impl<'a> Prepared<'a> {
    fn new(
        data: &'a TrainingData,
        spec: &'a spec::Model,
        options: &'a FitOptions<'a>,
    ) -> Result<Prepared<'a>, TrainingError> {
        let Estimator::Lightgbm(estimator) = &spec.estimator;
        let clock = Instant::now();
        let known = data.labels()?;
        checks::check_spec(data, spec, estimator)?;
        let mut assigned = split::assign_labelled(data, &known, &spec.split, spec.seed)?;
        let labels: Vec<bool> = known.iter().map(|label| *label == Some(true)).collect();
        split::count_identical(data, &labels, &mut assigned)?;
        checks::check_parts(&assigned.report, estimator)?;
        let durations = Durations { split: clock.elapsed(), ..Durations::default() };
        (options.progress)(Progress::Split(&assigned.report));
        Ok(Prepared {
            data,
            spec,
            options,
            threads: options.threads.max(1),
            labels,
            rows: Rows::of(&assigned),
            warnings: checks::identical_rows(&assigned.report).into_iter().collect(),
            split: assigned.report,
            durations,
        })
    }

    /// Chooses the threshold on the validation part and measures every part.
    fn measure(
        mut self,
        encoded: &Encoded,
        signature: Signature,
        boosted: Boosted,
        parameters: Vec<(String, String)>,
    ) -> Result<Trained, TrainingError> {
        let Prepared { data, spec, threads, ref labels, ref rows, .. } = self;
        let Estimator::Lightgbm(estimator) = &spec.estimator;
        let clock = Instant::now();
        (self.options.progress)(Progress::Evaluating);
        let parts = ModelParts { signature, labels: signature::labels(spec), threshold: 0.5, trees: boosted.text };
        let scorer = Model::new(parts)?;
        let scored = |rows: &[usize]| scoring::scored(&scorer, encoded, labels, rows, threads);
        let (train, validation, test) = (scored(&rows.train)?, scored(&rows.validation)?, scored(&rows.test)?);
        let threshold = choose_threshold(&validation, &spec.threshold)?;
        let test_unseen = match unseen(data, rows)? {
            Some(unseen) => match scored(&unseen) {
                Ok(scored) => Some(PartEvaluation::of(&scored, threshold)),
                Err(MeasureError::OneClass { positives, negatives }) => {
                    self.warnings.push(format!(
                        "test rows of profiles never seen in training: {positives} positives, {negatives} negatives; \
                         too few to measure"
                    ));
                    None
                }
                Err(other) => return Err(other.into()),
            },
            None => None,
        };
        let evaluation = Evaluation {
            threshold,
            train: PartEvaluation::of(&train, threshold),
            validation: PartEvaluation::of(&validation, threshold),
            test: PartEvaluation::of(&test, threshold),
            test_unseen,
        };
        let model = Model::new(ModelParts { threshold, ..scorer.parts().clone() })?;
        let explanation = explanation::explain(&model, encoded, &rows.test, threads);
        self.durations.evaluate = clock.elapsed();
        Ok(Trained {
            model,
            evaluation,
            split: self.split,
            metric: estimator.metric.clone(),
            curve: boosted.curve,
            rounds: boosted.rounds,
            best_iteration: boosted.best_iteration,
            importance: boosted.importance,
            explanation,
            parameters,
            threads,
            warnings: self.warnings,
            durations: self.durations,
        })
    }
}

/// The parts' rows, in row order.
struct Rows {
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

impl Rows {
    fn of(assigned: &Assigned) -> Rows {
        Rows {
            train: assigned.rows_of(Part::Train),
            validation: assigned.rows_of(Part::Validation),
            test: assigned.rows_of(Part::Test),
        }
    }
}

/// The test rows whose profile no training row has; `None` without a profile.
fn unseen(data: &TrainingData, rows: &Rows) -> Result<Option<Vec<usize>>, TrainingError> {
    if data.profile.is_empty() {
        return Ok(None);
    }
    let fields = data.profile.iter().map(|column| arrow::row::SortField::new(column.data_type().clone())).collect();
    let profiles = arrow::row::RowConverter::new(fields)?.convert_columns(&data.profile)?;
    let seen: std::collections::HashSet<&[u8]> = rows.train.iter().map(|row| profiles.row(*row).data()).collect();
    Ok(Some(rows.test.iter().copied().filter(|row| !seen.contains(profiles.row(*row).data())).collect()))
}
