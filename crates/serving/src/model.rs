use karat_core::{Digest, Name};
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
    definitions: Vec<Digest>,
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
        let views = views.into_iter().zip(&pinned.views).map(|(view, p)| ReadView::new(view, p.digest.clone()));
        let views = views.collect();
        let definitions = pinned.views.iter().map(|view| view.digest.clone()).collect();
        let labels = model.labels().clone().map(|label| label.to_string());
        let version = name.version.to_string();
        Ok(ServingModel { name, model, pinned, views, definitions, labels, version, reasons })
    }

    /// In the order of [`Pinned::views`].
    pub fn views(&self) -> &[ReadView] {
        &self.views
    }

    /// What the views' states lie under, in their order.
    pub(crate) fn definitions(&self) -> &[Digest] {
        &self.definitions
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
