//! A decision as it leaves: borrowed from what was decided, written once.

use karat_core::{AsJson, Digest, Instant, KeyView, Name, PredictionId, Value};
use karat_serving::{DecisionView, ReasonText, ReasonValue, ReasonView};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// One decision.
#[derive(Serialize, ToSchema)]
pub struct Prediction<'d> {
    /// Under this id the decision can be replayed.
    #[schema(value_type = String)]
    prediction_id: PredictionId,
    model: Model<'d>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    key: Option<KeyView<'d>>,
    #[schema(value_type = String, format = DateTime)]
    as_of: Instant,
    /// The model's inputs by name.
    #[schema(value_type = Object)]
    features: Features<'d>,
    /// Views in which the key had no visible event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    no_history: Vec<&'d Name>,
    /// The chance of the second label, 0 to 1.
    score: f64,
    label: &'d str,
    /// Scores from here on get the second label.
    threshold: f64,
    reasons: Vec<Reason<'d>>,
    qa_failures: Vec<QaFailure<'d>>,
}

#[derive(Serialize, ToSchema)]
pub struct Model<'d> {
    name: &'d str,
    version: &'d str,
    #[schema(value_type = String)]
    digest: &'d Digest,
}

/// How much one input, or a group of them, moved the score.
#[derive(Serialize, ToSchema)]
pub struct Reason<'d> {
    /// The input, or the group.
    feature: &'d str,
    /// Of a group, an object of its inputs' values.
    #[schema(value_type = Value)]
    value: ReasonValue<'d>,
    /// On the model's log-odds scale; positive raises the chance of the second label.
    contribution: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'d str>,
    #[schema(value_type = String)]
    text: ReasonText<'d>,
}

/// Something about a value that a person should know.
#[derive(Serialize, ToSchema)]
pub struct QaFailure<'d> {
    feature: &'d str,
    #[schema(value_type = Value)]
    value: &'d serde_json::Value,
    check: &'d str,
}

#[derive(Serialize, ToSchema)]
pub struct Predictions<'d> {
    pub predictions: Vec<Prediction<'d>>,
}

/// The inputs by name, in their order.
pub struct Features<'d>(DecisionView<'d>);

impl Serialize for Features<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.features().map(|(name, value): (&str, &Value)| (name, AsJson(value))))
    }
}

impl<'d> From<DecisionView<'d>> for Prediction<'d> {
    fn from(decision: DecisionView<'d>) -> Prediction<'d> {
        let model = decision.model();
        let failures = decision.qa_failures().iter();
        Prediction {
            prediction_id: decision.prediction_id(),
            model: Model { name: model.name.model.as_str(), version: model.version(), digest: model.model.digest() },
            key: decision.key(),
            as_of: decision.as_of(),
            features: Features(decision),
            no_history: decision.no_history().collect(),
            score: decision.score(),
            label: decision.label(),
            threshold: decision.threshold(),
            reasons: decision.reasons().map(Reason::from).collect(),
            qa_failures: failures
                .map(|failure| QaFailure { feature: &failure.feature, value: &failure.value, check: &failure.check })
                .collect(),
        }
    }
}

impl<'d> From<ReasonView<'d>> for Reason<'d> {
    fn from(reason: ReasonView<'d>) -> Reason<'d> {
        Reason {
            feature: reason.feature(),
            value: reason.value(),
            contribution: reason.contribution(),
            code: reason.code(),
            text: reason.text(),
        }
    }
}

pub fn to_json(answer: &impl Serialize) -> Vec<u8> {
    // What a decision on a dozen features takes.
    let mut bytes = Vec::with_capacity(1536);
    serde_json::to_writer(&mut bytes, answer).expect("answers serialise to JSON");
    bytes
}
