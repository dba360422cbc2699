//! What was decided on one subject, as numbers and places; names and words are the model's.

use std::sync::Arc;

use karat_core::{Instant, KeyView, Name, PredictionId, Value};

use crate::endpoint::Serving;
use crate::reasons::{Because, Explained, ReasonView};
use crate::{QaFailure, ServingModel};

/// The answer to one request: all of its decisions by one version, as of one instant.
#[derive(Debug)]
pub struct Decided {
    pub(crate) serving: Arc<Serving>,
    pub as_of: Instant,
    /// When it was decided, by the server's clock.
    pub at: Instant,
    /// Whether one was asked for, so that one is answered, not a list.
    pub single: bool,
    pub(crate) decisions: Vec<Decision>,
}

#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) id: PredictionId,
    /// A value for each of the model's key columns.
    pub(crate) key: Option<Vec<Value>>,
    /// Whether the caller sent the features.
    pub(crate) sent: bool,
    /// The model's inputs.
    pub(crate) values: Vec<Value>,
    /// By view, where views were read: the commit seen, and whether it held no visible event of the key.
    pub(crate) views: Vec<(u64, bool)>,
    pub(crate) score: f64,
    pub(crate) explained: Explained,
    pub(crate) reasons: Vec<Because>,
    pub(crate) qa_failures: Vec<QaFailure>,
}

/// One decision with the words of its model.
#[derive(Debug, Clone, Copy)]
pub struct DecisionView<'d> {
    pub(crate) decided: &'d Decided,
    pub(crate) decision: &'d Decision,
}

impl Decided {
    pub fn len(&self) -> usize {
        self.decisions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = DecisionView<'_>> {
        self.decisions.iter().map(|decision| DecisionView { decided: self, decision })
    }
}

impl<'d> DecisionView<'d> {
    pub fn model(&self) -> &'d ServingModel {
        &self.decided.serving.model
    }

    pub fn prediction_id(&self) -> PredictionId {
        self.decision.id
    }

    pub fn key(&self) -> Option<KeyView<'d>> {
        let key = self.decision.key.as_ref();
        key.map(|values| KeyView::new(&self.model().pinned.keys, values))
    }

    pub fn as_of(&self) -> Instant {
        self.decided.as_of
    }

    /// The model's inputs in order.
    pub fn values(&self) -> &'d [Value] {
        &self.decision.values
    }

    /// The model's inputs by name, in order.
    pub fn features(&self) -> impl ExactSizeIterator<Item = (&'d str, &'d Value)> + Clone {
        let inputs = self.model().pinned.inputs.iter();
        inputs.map(|input| input.name.as_str()).zip(&self.decision.values)
    }

    /// Views in which the key had no visible event.
    pub fn no_history(&self) -> impl Iterator<Item = &'d Name> + Clone {
        let views = self.model().pinned.views.iter().zip(&self.decision.views);
        views.filter(|(_, (_, no_history))| *no_history).map(|(view, _)| &view.name)
    }

    /// The chance of the second label, 0 to 1.
    pub fn score(&self) -> f64 {
        self.decision.score
    }

    pub fn label(&self) -> &'d str {
        &self.model().labels()[self.model().side(self.decision.score)]
    }

    pub fn threshold(&self) -> f64 {
        self.model().model.threshold()
    }

    /// Those that the endpoint and the request want; the strongest first.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonView<'d>> + Clone {
        let DecisionView { decided, decision } = *self;
        decision.reasons.iter().map(|because| ReasonView::new(&decided.serving.model, &decision.values, *because))
    }

    pub fn qa_failures(&self) -> &'d [QaFailure] {
        &self.decision.qa_failures
    }
}
