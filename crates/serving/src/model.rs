use karat_core::{Digest, Name, StateOf, Value};
use karat_features::encode_key;
use karat_model::Model;

use crate::reasons::ReasonSource;
use crate::{Pinned, ReadView, ServingError};

/// A model version ready to answer.
#[derive(Debug)]
pub struct ServingModel {
    pub name: VersionName,
    pub model: Model,
    pub pinned: Pinned,
    views: Vec<ReadView>,
    /// Key columns that views are read by, as places among the model's, each combination once.
    keys: Vec<Vec<usize>>,
    /// By view, a place in `keys`.
    key_of_view: Vec<usize>,
    labels: [String; 2],
    version: String,
    reasons: Vec<ReasonSource>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionName {
    pub model: Name,
    pub version: u64,
    pub release: u64,
    pub release_digest: Digest,
}

impl ServingModel {
    pub fn new(name: VersionName, model: Model, pinned: Pinned) -> Result<ServingModel, ServingError> {
        let wrong = |problem: String| Err(ServingError::Inconsistent(problem));
        let views = pinned.compile().map_err(|e| ServingError::Inconsistent(e.to_string()))?;
        if model.signature().inputs.len() != pinned.inputs.len() {
            return wrong(format!(
                "model {} version {} scores {} inputs, its pinned definitions give {}",
                name.model,
                name.version,
                model.signature().inputs.len(),
                pinned.inputs.len()
            ));
        }
        let places_exist = pinned.inputs.iter().all(|input| match input.view_output() {
            Some((view, output)) => views.get(view).is_some_and(|view| output < view.outputs().len()),
            None => true,
        });
        if !places_exist {
            return wrong("a pinned input names an output that its view has not".to_owned());
        }
        for input in &pinned.inputs {
            if let Some(problem) = input.wrong_substitute() {
                return wrong(format!("the substitute of input `{}`: {problem}", input.name));
            }
        }
        let reasons = ReasonSource::all(&pinned).map_err(ServingError::Inconsistent)?;
        let views =
            views.into_iter().zip(&pinned.views).map(|(view, p)| ReadView::new(view.without_lists(), p.digest.clone()));
        let views = views.collect();
        let mut keys: Vec<Vec<usize>> = Vec::new();
        let mut key_of_view = Vec::with_capacity(pinned.views.len());
        for view in &pinned.views {
            let Some(places) = pinned.places(&view.definition.keys) else {
                return wrong(format!("view {} is read by other keys than the model's", view.name));
            };
            let known = keys.iter().position(|known| *known == places);
            key_of_view.push(known.unwrap_or(keys.len()));
            if known.is_none() {
                keys.push(places);
            }
        }
        let labels = model.labels().clone().map(|label| label.to_string());
        let version = name.version.to_string();
        Ok(ServingModel { name, model, pinned, views, keys, key_of_view, labels, version, reasons })
    }

    /// In the order of [`Pinned::views`].
    pub fn views(&self) -> &[ReadView] {
        &self.views
    }

    /// Calls `read` with what the states of some keys lie under: view by view, in their order, each with all keys in theirs.
    pub(crate) fn with_states<T>(&self, keys: &[&[Value]], read: impl FnOnce(&[StateOf<'_>]) -> T) -> T {
        let own = |places: &[usize], key: &[Value]| encode_key(places.iter().map(|place| &key[*place]));
        let encoded = self.keys.iter().flat_map(|places| keys.iter().map(|key| own(places, key)));
        let encoded: Vec<Vec<u8>> = encoded.collect();
        let mut states = Vec::with_capacity(self.views.len() * keys.len());
        for (ReadView { definition, .. }, place) in self.views.iter().zip(&self.key_of_view) {
            let own = &encoded[place * keys.len()..][..keys.len()];
            states.extend(own.iter().map(|key| StateOf { definition, key }));
        }
        read(&states)
    }

    /// The values of a view's own key columns, of a whole key.
    pub fn key_of(&self, view: usize, key: &[Value]) -> Vec<Value> {
        self.keys[self.key_of_view[view]].iter().map(|place| key[*place].clone()).collect()
    }

    /// What a score under the threshold is called, and what one from it on.
    pub fn labels(&self) -> &[String; 2] {
        &self.labels
    }

    /// Which of [`ServingModel::labels`] a score gets.
    pub fn side(&self, score: f64) -> usize {
        usize::from(score >= self.model.threshold())
    }

    /// The version's number, as MLflow's clients have it.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn reason_sources(&self) -> &[ReasonSource] {
        &self.reasons
    }
}
