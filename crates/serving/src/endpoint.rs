use std::sync::Arc;

use arc_swap::ArcSwapOption;
use indexmap::IndexMap;
use karat_core::{Clock, Digest, Instant, Name, OnlineStore, PredictionId, VERSION, Value};
use karat_features::{CompiledView, FeatureRow, ReadAt, encode_key};
use karat_history::log::Log;
use karat_model::Model;
use karat_project::spec;

use crate::record::{FORMAT_VERSION, LoggedValue};
use crate::{Answer, Body, ModelName, Pinned, PredictionRecord, Reason, ServingError, Subject, quality};

/// A model version ready to answer.
#[derive(Debug)]
pub struct ServingModel {
    pub name: VersionName,
    pub model: Model,
    pub pinned: Pinned,
    views: Vec<CompiledView>,
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
        let views = pinned.compile().map_err(|e| ServingError::Inconsistent(e.to_string()))?;
        if model.signature().inputs.len() != pinned.inputs.len() {
            return Err(ServingError::Inconsistent(format!(
                "model {} version {} scores {} inputs, its pinned definitions give {}",
                name.model,
                name.version,
                model.signature().inputs.len(),
                pinned.inputs.len()
            )));
        }
        let places_exist = pinned.inputs.iter().all(|input| match input.view_output() {
            Some((view, output)) => views.get(view).is_some_and(|view| output < view.outputs().len()),
            None => true,
        });
        if !places_exist {
            return Err(ServingError::Inconsistent("a pinned input names an output that its view has not".to_owned()));
        }
        Ok(ServingModel { name, model, pinned, views })
    }

    pub fn views(&self) -> &[CompiledView] {
        &self.views
    }
}

/// What an endpoint is made of.
#[derive(Debug)]
pub struct EndpointParts {
    pub spec: spec::Endpoint,
    pub online: Arc<dyn OnlineStore>,
    pub log: Arc<Log>,
    pub clock: Arc<dyn Clock>,
}

/// One endpoint. The version it answers with can be replaced while it answers.
#[derive(Debug)]
pub struct Endpoint {
    parts: EndpointParts,
    model: ArcSwapOption<ServingModel>,
}

/// Values of one subject's inputs, and what is known about where they came from.
struct Inputs {
    values: Vec<Value>,
    rows: Vec<FeatureRow>,
    commits: IndexMap<Name, u64>,
}

impl Endpoint {
    pub fn new(parts: EndpointParts) -> Endpoint {
        Endpoint { parts, model: ArcSwapOption::empty() }
    }

    pub fn spec(&self) -> &spec::Endpoint {
        &self.parts.spec
    }

    /// Requests that began before finish with the version they began with.
    pub fn set_model(&self, model: Option<Arc<ServingModel>>) {
        self.model.store(model);
    }

    /// The version that answers now.
    pub fn model(&self) -> Result<Arc<ServingModel>, ServingError> {
        self.model.load_full().ok_or_else(|| ServingError::NoVersion {
            model: self.parts.spec.model.to_string(),
            alias: self.parts.spec.alias.to_string(),
        })
    }

    /// Answers every subject of a request, all with one version and one as_of; each answer is in the log when this
    /// returns. An error on one subject answers none.
    pub fn predict(&self, json: &serde_json::Value) -> Result<(Vec<Answer>, Body), ServingError> {
        let model = self.model()?;
        let body = Body::parse(json, &model.pinned)?;
        let now = self.parts.clock.now();
        let as_of = body.as_of.unwrap_or(now);
        let decided: Vec<(Answer, PredictionRecord)> =
            body.subjects.iter().map(|subject| self.decide(&model, subject, as_of, now)).collect::<Result<_, _>>()?;
        let mut answers = Vec::with_capacity(decided.len());
        for (answer, record) in decided {
            self.parts.log.append(&record.to_payload())?;
            self.report(&answer);
            answers.push(answer);
        }
        Ok((answers, body))
    }

    fn decide(
        &self,
        model: &ServingModel,
        subject: &Subject,
        as_of: Instant,
        now: Instant,
    ) -> Result<(Answer, PredictionRecord), ServingError> {
        let inputs = self.inputs(model, subject, as_of)?;
        let pinned = &model.pinned;
        let mut row = vec![0.0; inputs.values.len()];
        model.model.encode_into(&inputs.values, &mut row)?;
        let score = model.model.score(&row);
        let label = model.model.label(score).to_string();
        let reasons = reasons(model, &row, &inputs.values, usize::from(self.parts.spec.reasons));
        let qa_failures = quality::failures(pinned, &inputs.rows, &inputs.values, as_of);
        let no_history: Vec<Name> = pinned
            .views
            .iter()
            .zip(&inputs.rows)
            .filter(|(_, row)| row.no_history)
            .map(|(view, _)| view.name.clone())
            .collect();
        let prediction_id = PredictionId::new();
        let key = subject.key().map(Value::to_json);
        let logged = |place: usize| LoggedValue::new(&inputs.values[place], pinned.inputs[place].data_type);
        let record = PredictionRecord {
            format_version: FORMAT_VERSION,
            prediction_id,
            at: now,
            endpoint: self.parts.spec.name.clone(),
            release: model.name.release,
            release_digest: model.name.release_digest.clone(),
            model: model.name.model.clone(),
            version: model.name.version,
            model_digest: model.model.digest().clone(),
            karat: VERSION.to_owned(),
            as_of,
            key: key.clone(),
            sent: subject.is_row(),
            commits: inputs.commits,
            definitions: if subject.is_row() { IndexMap::new() } else { pinned.digests() },
            fields: pinned.request_fields().map(|(place, input)| (input.name.clone(), logged(place))).collect(),
            features: pinned.inputs.iter().enumerate().map(|(i, input)| (input.name.clone(), logged(i))).collect(),
            no_history: no_history.clone(),
            score,
            label: label.clone(),
            threshold: model.model.threshold(),
            reasons: reasons.clone(),
            qa_failures: qa_failures.clone(),
        };
        let answer = Answer {
            prediction_id,
            model: ModelName {
                name: model.name.model.clone(),
                version: model.name.version.to_string(),
                digest: model.model.digest().clone(),
            },
            key,
            as_of,
            features: pinned.inputs.iter().map(|input| input.name.clone()).zip(inputs.values).collect(),
            no_history,
            score,
            label,
            threshold: model.model.threshold(),
            reasons,
            qa_failures,
        };
        Ok((answer, record))
    }

    fn inputs(&self, model: &ServingModel, subject: &Subject, as_of: Instant) -> Result<Inputs, ServingError> {
        let (key, fields) = match subject {
            Subject::Row { values, .. } => {
                return Ok(Inputs { values: values.clone(), rows: Vec::new(), commits: IndexMap::new() });
            }
            Subject::Key { key, fields } => (key, fields),
        };
        let mut commits = IndexMap::new();
        let mut rows = Vec::with_capacity(model.views.len());
        for (view, pinned) in model.views.iter().zip(&model.pinned.views) {
            let (row, commit) = read_view(self.parts.online.as_ref(), view, &pinned.digest, key, as_of)?
                .ok_or_else(|| ServingError::NotMaterialized { view: pinned.name.to_string() })?;
            commits.insert(pinned.definition.source.name.clone(), commit);
            rows.push(row);
        }
        let unknown = !rows.is_empty() && rows.iter().all(|row| row.no_history);
        if unknown && self.parts.spec.unknown_key == spec::UnknownKey::Reject {
            return Err(ServingError::UnknownKey { entity: model.pinned.entity.to_string(), key: key.to_string() });
        }
        let mut fields = fields.iter();
        let values = model.pinned.inputs.iter().map(|input| match input.view_output() {
            Some((view, output)) => rows[view].values[output].clone(),
            None => fields.next().cloned().unwrap_or(Value::Null),
        });
        Ok(Inputs { values: values.collect(), commits, rows })
    }

    fn report(&self, answer: &Answer) {
        let endpoint = self.parts.spec.name.as_str();
        metrics::counter!("karat_predictions_total", "endpoint" => endpoint.to_owned(), "label" => answer.label.clone())
            .increment(1);
        for failure in &answer.qa_failures {
            tracing::warn!(
                endpoint,
                prediction_id = %answer.prediction_id,
                feature = failure.feature,
                check = failure.check,
                "a served value failed a check"
            );
            metrics::counter!(
                "karat_qa_failures_total",
                "endpoint" => endpoint.to_owned(),
                "feature" => failure.feature.clone()
            )
            .increment(1);
        }
    }
}

/// The features of one key as of an instant, from online state, and the commit they are known up to; `None` when the
/// view was never materialized.
pub fn read_view(
    online: &dyn OnlineStore,
    view: &CompiledView,
    definition: &Digest,
    key: &Value,
    as_of: Instant,
) -> Result<Option<(FeatureRow, u64)>, ServingError> {
    let key = encode_key(std::slice::from_ref(key));
    // The note says up to which commit the state is known. State may be replaced between the two reads: then again.
    loop {
        let Some(before) = online.note(definition)? else { return Ok(None) };
        let mut row = None;
        let mut read = |state: &[u8]| row = Some(view.read(state, ReadAt::time(as_of)));
        let found = online.read(definition, &key, &mut read)?;
        let row = match row {
            Some(row) if found => row?,
            _ => view.read_empty(ReadAt::time(as_of))?,
        };
        if online.note(definition)?.as_ref() == Some(&before) {
            let note = crate::StateNote::parse(&before)?;
            return Ok(Some((row, note.commit)));
        }
    }
}

fn reasons(model: &ServingModel, row: &[f64], values: &[Value], most: usize) -> Vec<Reason> {
    let contributions = model.model.reasons(row, most);
    contributions
        .into_iter()
        .map(|contribution| {
            let input = &model.pinned.inputs[contribution.feature];
            let value = &values[contribution.feature];
            let direction = if contribution.contribution >= 0.0 { "raises" } else { "lowers" };
            Reason {
                feature: input.name.clone(),
                value: value.to_json(),
                contribution: contribution.contribution,
                code: input.code.clone(),
                text: format!("{} ({value}) {direction} the risk", input.words),
            }
        })
        .collect()
}
