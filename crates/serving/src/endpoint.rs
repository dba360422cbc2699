use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as Stopwatch};

use arc_swap::ArcSwapOption;
use karat_core::{Clock, Instant, OnlineStore, PredictionId, Value};
use karat_features::{FeatureRow, encode_key};
use karat_history::log::Log;
use karat_project::spec;
use metrics::Counter;

use crate::decision::{Decided, Decision};
use crate::gate::{Gate, Turn};
use crate::reasons::{Explained, because};
use crate::request::{Body, Subject};
use crate::{ServingError, ServingModel, quality, record};

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
    serving: ArcSwapOption<Serving>,
    gate: Gate,
    /// What one decision takes, in nanoseconds: a moving average.
    usual_nanos: AtomicU64,
}

/// A version, and what is counted of it.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) model: Arc<ServingModel>,
    /// By label; made when first counted, as the process's recorder may come after the endpoint.
    predictions: OnceLock<[Counter; 2]>,
}

/// A request that was read, and the version that is to answer it.
#[derive(Debug)]
pub struct Asked {
    serving: Arc<Serving>,
    body: Body,
    now: Instant,
}

/// Values of one subject's inputs, and what is known about where they came from.
struct Inputs {
    values: Vec<Value>,
    rows: Vec<FeatureRow>,
    commits: Vec<u64>,
}

impl Endpoint {
    pub fn new(parts: EndpointParts) -> Endpoint {
        let gate = Gate::new(parts.spec.limits);
        Endpoint { parts, serving: ArcSwapOption::empty(), gate, usual_nanos: AtomicU64::new(0) }
    }

    pub fn spec(&self) -> &spec::Endpoint {
        &self.parts.spec
    }

    /// Requests that began before finish with the version they began with.
    pub fn set_model(&self, model: Option<Arc<ServingModel>>) {
        self.serving.store(model.map(|model| Arc::new(Serving { model, predictions: OnceLock::new() })));
    }

    /// The version that answers now.
    pub fn model(&self) -> Result<Arc<ServingModel>, ServingError> {
        self.serving().map(|serving| serving.model.clone())
    }

    fn serving(&self) -> Result<Arc<Serving>, ServingError> {
        self.serving.load_full().ok_or_else(|| ServingError::NoVersion {
            model: self.parts.spec.model.to_string(),
            alias: self.parts.spec.alias.to_string(),
        })
    }

    /// Waits for a turn to be worked on, or is told to come again.
    pub async fn enter(&self) -> Result<Turn<'_>, ServingError> {
        self.gate.enter().await
    }

    /// Reads a request's body.
    pub fn read(&self, body: &[u8]) -> Result<Asked, ServingError> {
        let serving = self.serving()?;
        let body = Body::parse(body, &serving.model.pinned, self.parts.spec.limits.subjects)?;
        Ok(Asked { serving, body, now: self.parts.clock.now() })
    }

    /// How long [`Endpoint::decide`] will take, going by those before.
    pub fn usual_time(&self, asked: &Asked) -> Duration {
        let each = self.usual_nanos.load(Ordering::Relaxed);
        Duration::from_nanos(each.saturating_mul(asked.body.subjects.len() as u64))
    }

    /// Decides on every subject of a request, all with one version and one as_of. An error on one subject answers none;
    /// none is in the log yet.
    pub fn decide(&self, asked: Asked, until: Stopwatch) -> Result<Decided, ServingError> {
        let Asked { serving, body, now } = asked;
        let model = &serving.model;
        let as_of = body.as_of.unwrap_or(now);
        let count = body.subjects.len();
        let begun = Stopwatch::now();
        let mut decisions = Vec::with_capacity(count);
        for subject in body.subjects {
            // One that was let in is answered; only many can be too many.
            if !decisions.is_empty() && Stopwatch::now() > until {
                let deadline = self.parts.spec.limits.deadline;
                return Err(ServingError::TooMany { decided: decisions.len(), asked: count, deadline });
            }
            let inputs = self.inputs(model, &subject, &body.fields, as_of)?;
            decisions.push(self.decide_one(model, subject, inputs, as_of, body.reasons)?);
        }
        self.note_time(begun.elapsed(), count);
        Ok(Decided { serving: serving.clone(), as_of, at: now, single: body.single, decisions })
    }

    /// Puts every decision into the log; they are there when this resolves, all or none. What a person should know of
    /// them is told in the program's log, under the request's id.
    pub async fn log(&self, decided: &Decided, request_id: &str) -> Result<(), ServingError> {
        let records = record::Records::write(&self.parts.spec, decided);
        self.parts.log.append_all(records.iter())?.await?;
        decided.serving.report(self.parts.spec.name.as_str(), decided, request_id);
        Ok(())
    }

    /// Reads, decides and logs on the calling thread, whatever the limits.
    pub fn predict(&self, body: &[u8]) -> Result<Decided, ServingError> {
        let far = Stopwatch::now() + Duration::from_secs(3600);
        let decided = self.decide(self.read(body)?, far)?;
        self.parts.log.append_together(record::Records::write(&self.parts.spec, &decided).iter())?;
        decided.serving.report(self.parts.spec.name.as_str(), &decided, "");
        Ok(decided)
    }

    fn note_time(&self, taken: Duration, decisions: usize) {
        let each = taken.as_nanos() as u64 / decisions.max(1) as u64;
        let before = self.usual_nanos.load(Ordering::Relaxed);
        // A sixteenth of what is new; what two threads write at once is near enough.
        self.usual_nanos.store(before - before / 16 + each / 16, Ordering::Relaxed);
    }

    fn decide_one(
        &self,
        model: &ServingModel,
        subject: Subject,
        inputs: Inputs,
        as_of: Instant,
        asked: Option<crate::Which>,
    ) -> Result<Decision, ServingError> {
        let Inputs { values, rows, commits } = inputs;
        let mut row = vec![0.0; values.len()];
        model.model.encode_into(&values, &mut row)?;
        let score = model.model.score(&row);
        let explained = Explained::of(self.parts.spec.reasons, asked, model.side(score));
        let sent = subject.is_row();
        Ok(Decision {
            id: PredictionId::new(),
            key: subject.into_key(),
            sent,
            reasons: because(model, &row, explained),
            qa_failures: quality::failures(&model.pinned, &rows, &values, as_of),
            views: commits.into_iter().zip(rows.iter().map(|row| row.no_history)).collect(),
            values,
            score,
            explained,
        })
    }

    fn inputs(
        &self,
        model: &ServingModel,
        subject: &Subject,
        fields: &[Value],
        as_of: Instant,
    ) -> Result<Inputs, ServingError> {
        let key = match subject {
            Subject::Row { values, .. } => {
                return Ok(Inputs { values: values.clone(), rows: Vec::new(), commits: Vec::new() });
            }
            Subject::Key(key) => key,
        };
        let encoded = encode_key(std::slice::from_ref(key));
        let views = model.views().iter().zip(&model.pinned.views);
        let mut commits = Vec::with_capacity(model.views().len());
        let mut rows = Vec::with_capacity(model.views().len());
        for (view, pinned) in views {
            let (row, commit) = view
                .read_encoded(self.parts.online.as_ref(), &encoded, as_of)?
                .ok_or_else(|| ServingError::NotMaterialized { view: pinned.name.to_string() })?;
            commits.push(commit);
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
}

impl Serving {
    fn report(&self, endpoint: &str, decided: &Decided, request_id: &str) {
        let predictions = self.predictions.get_or_init(|| {
            self.model.labels().clone().map(|label| {
                metrics::counter!("karat_predictions_total", "endpoint" => endpoint.to_owned(), "label" => label)
            })
        });
        for decision in &decided.decisions {
            predictions[self.model.side(decision.score)].increment(1);
            for failure in &decision.qa_failures {
                tracing::warn!(
                    request_id,
                    endpoint,
                    prediction_id = %decision.id,
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
}
