use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant as Stopwatch};

use arc_swap::{ArcSwapOption, Guard};
use karat_core::{Clock, Fetched, Instant, Name, OnlineStore, PredictionId, Value};
use karat_history::log::{Durability, Log, Records};
use karat_project::spec;
use metrics::Counter;

use crate::decision::{Decided, Decision};
use crate::gate::{Gate, Turn, Until};
use crate::known::{self, States, TOGETHER, ViewRows};
use crate::lookup::{self, Answers, Lookups};
use crate::quality::{self, QaFailure, Refused};
use crate::reasons::{Explained, because};
use crate::record::{self, SchemaId};
use crate::request::{self, Body, Subject};
use crate::{Pinned, ServingError, ServingModel};

/// What a decision is thought to take before there was one.
const FIRST_GUESS_NANOS: u64 = 50_000;

/// What an endpoint is made of.
#[derive(Debug)]
pub struct EndpointParts {
    pub spec: spec::Endpoint,
    pub online: Arc<dyn OnlineStore>,
    pub lookups: Arc<dyn Lookups>,
    pub log: Arc<Log>,
    pub clock: Arc<dyn Clock>,
}

/// One endpoint. The version it answers with can be replaced while it answers.
#[derive(Debug)]
pub struct Endpoint {
    parts: EndpointParts,
    serving: ArcSwapOption<Serving>,
    /// Why there is no version, where one should be.
    failure: ArcSwapOption<String>,
    gate: Arc<Gate>,
    /// What one decision usually takes, in nanoseconds.
    usual_nanos: AtomicU64,
}

/// A version, and what is counted of it.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) model: Arc<ServingModel>,
    /// The sources it looks up.
    lookups: Vec<Name>,
    /// Of the records of its decisions.
    schema: SchemaId,
    /// By label; made when first counted, as the process's recorder may come after the endpoint.
    predictions: OnceLock<[Counter; 2]>,
    /// By feature, and by view for what is stale; made as those are.
    failures: OnceLock<HashMap<String, Counter>>,
}

/// A request that was read, and the version that is to answer it.
#[derive(Debug)]
pub struct Asked {
    serving: Arc<Serving>,
    body: Body,
    now: Instant,
    answers: Answers,
    /// States of all keys, where the online store is remote and there are not many.
    fetched: Option<Fetched>,
}

/// Values of one subject's inputs, and what is known about where they came from.
struct Inputs {
    key: Option<Vec<Value>>,
    sent: bool,
    values: Vec<Value>,
    /// By view, where views were read, with the commit seen.
    rows: ViewRows,
}

thread_local! {
    /// The encoded row of the decision under way.
    static ROW: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

impl Endpoint {
    pub fn new(parts: EndpointParts) -> Endpoint {
        let gate = Arc::new(Gate::new(parts.spec.limits));
        Endpoint::with(parts, gate, FIRST_GUESS_NANOS)
    }

    /// An endpoint that comes after another: requests under way count among its own where the limits are the same.
    pub fn after(before: &Endpoint, parts: EndpointParts) -> Endpoint {
        let same = before.parts.spec.limits == parts.spec.limits;
        let gate = if same { before.gate.clone() } else { Arc::new(Gate::new(parts.spec.limits)) };
        Endpoint::with(parts, gate, before.usual_nanos.load(Ordering::Relaxed))
    }

    fn with(parts: EndpointParts, gate: Arc<Gate>, usual_nanos: u64) -> Endpoint {
        let (serving, failure) = (ArcSwapOption::empty(), ArcSwapOption::empty());
        Endpoint { parts, serving, failure, gate, usual_nanos: AtomicU64::new(usual_nanos) }
    }

    pub fn spec(&self) -> &spec::Endpoint {
        &self.parts.spec
    }

    /// Answers with this version from now on; requests that began before finish with the version they began with. May wait
    /// for the disk: what the log's records will refer to is kept first.
    pub fn serve(&self, model: Arc<ServingModel>) -> Result<(), ServingError> {
        let schema = SchemaId::keep(&self.parts.log, &self.parts.spec.name, &model)?;
        let lookups = lookup::sources(&model.pinned, self.parts.lookups.as_ref());
        self.failure.store(None);
        let (predictions, failures) = (OnceLock::new(), OnceLock::new());
        self.serving.store(Some(Arc::new(Serving { model, lookups, schema, predictions, failures })));
        Ok(())
    }

    /// There should be a version, and this is why there is none.
    pub fn set_failure(&self, problem: String) {
        self.failure.store(Some(Arc::new(problem)));
        self.serving.store(None);
    }

    /// The version that answers now.
    pub fn model(&self) -> Result<Arc<ServingModel>, ServingError> {
        self.serving().map(|serving| serving.model.clone())
    }

    /// Whether it can answer: an error says why not. May wait for the disk, or for the online store.
    pub fn check(&self) -> Result<(), ServingError> {
        let model = self.model()?;
        for view in &model.pinned.views {
            let missing = || ServingError::NotMaterialized { view: view.name.to_string() };
            self.parts.online.note(&view.digest)?.ok_or_else(missing)?;
        }
        Ok(self.parts.log.check()?)
    }

    fn serving(&self) -> Result<Arc<Serving>, ServingError> {
        self.serving.load_full().ok_or_else(|| match Guard::into_inner(self.failure.load()) {
            Some(problem) => ServingError::NotLoaded {
                endpoint: self.parts.spec.name.to_string(),
                problem: problem.as_ref().clone(),
            },
            None => ServingError::NoVersion {
                model: self.parts.spec.model.to_string(),
                alias: self.parts.spec.alias.to_string(),
            },
        })
    }

    /// Waits for a turn to be worked on, or is told to come again.
    pub async fn enter(&self) -> Result<Turn, ServingError> {
        self.gate.enter().await
    }

    /// Reads a request's body.
    pub fn read(&self, body: &[u8]) -> Result<Asked, ServingError> {
        let serving = self.serving()?;
        let body = Body::parse(body, &serving.model.pinned, self.parts.spec.limits.subjects)?;
        Ok(Asked { serving, body, now: self.parts.clock.now(), answers: Answers::default(), fetched: None })
    }

    /// Asks the services that the version's features come from about every key, unless what they said is fresh; what they
    /// say is in the online state when this resolves, and the decision is as of after it. Dropped before, they are asked all
    /// the same.
    pub async fn look_up(&self, mut asked: Asked, until: &Until) -> Result<Asked, ServingError> {
        let Serving { model, lookups, .. } = asked.serving.as_ref();
        if lookups.is_empty() {
            return Ok(asked);
        }
        // Nobody is asked about a key that is refused, nor made known by asking.
        if self.refuses_unknown() && asked.body.as_of.is_none() {
            known::refuse_unknown_keys(&self.parts.online, model, &asked.body, asked.now).await?;
        }
        asked.answers = lookup::all(&self.parts.lookups, lookups, &model.pinned, &asked.body, until).await?;
        if let Some(newest) = asked.answers.newest {
            // Events count from the microsecond after them.
            asked.now = self.parts.clock.now().max(newest.saturating_add_micros(1));
        }
        Ok(asked)
    }

    fn refuses_unknown(&self) -> bool {
        self.parts.spec.unknown_key == spec::UnknownKey::Reject
    }

    /// How long [`Endpoint::decide`] will take, going by those before.
    pub fn usual_time(&self, asked: &Asked) -> Duration {
        let each = self.usual_nanos.load(Ordering::Relaxed);
        Duration::from_nanos(each.saturating_mul(asked.body.subjects.len() as u64))
    }

    /// Fetches what [`Endpoint::decide`] would otherwise keep its thread waiting for, where that is on the other side of a network.
    pub async fn fetch(&self, mut asked: Asked) -> Result<Asked, ServingError> {
        if asked.body.subjects.len() <= TOGETHER {
            let online = self.parts.online.as_ref();
            asked.fetched = known::fetch(online, &asked.serving.model, asked.body.keys()).await?;
        }
        Ok(asked)
    }

    /// Decides on every subject of a request, all with one version and one as_of. An error on one subject answers none;
    /// none is in the log yet.
    pub fn decide(&self, asked: Asked, until: &Until) -> Result<Decided, ServingError> {
        let Asked { serving, body, now, answers, mut fetched } = asked;
        let model = &serving.model;
        let as_of = body.as_of.unwrap_or(now);
        let count = body.subjects.len();
        let mut taken = Duration::ZERO;
        let mut decisions = Vec::with_capacity(count);
        let mut left = body.subjects;
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(TOGETHER));
            let online = self.parts.online.as_ref();
            let fetched = match fetched.take() {
                None => known::read_ahead(online, model, request::keys(&left))?,
                fetched => fetched,
            };
            let states = States::of(online, fetched.as_ref(), left.len());
            // Waiting for a network is no work, and over by now.
            let begun = Stopwatch::now();
            for (among, subject) in left.into_iter().enumerate() {
                if until.is_abandoned() {
                    return Err(ServingError::Abandoned { decided: decisions.len(), asked: count });
                }
                // One that was let in is answered; only many can be too many.
                if !decisions.is_empty() && until.is_over() {
                    let deadline = self.parts.spec.limits.deadline;
                    return Err(ServingError::TooMany { decided: decisions.len(), asked: count, deadline });
                }
                let place = decisions.len();
                let inputs =
                    self.inputs(model, subject, &body.fields, |key| known::rows(states, model, among, key, as_of))?;
                let (inputs, mut qa_failures) = self.settled(&serving, inputs, place, as_of)?;
                qa_failures.extend(answers.told(place, &model.pinned, &inputs.values));
                let inputs = (inputs, qa_failures);
                decisions.push(self.decide_one(model, inputs, body.reasons)?);
            }
            taken += begun.elapsed();
            left = rest;
        }
        self.note_time(taken, count);
        Ok(Decided { serving, as_of, at: now, single: body.single, decisions })
    }

    /// The decisions as the log keeps them.
    pub fn records(&self, decided: &Decided) -> Result<Records, ServingError> {
        Ok(record::write(decided.serving.schema, decided)?)
    }

    /// Puts the records into the log; they are there when this resolves, all or none, as durable as the endpoint says.
    /// Dropped before, they are written all the same.
    pub async fn log(&self, records: &Records) -> Result<(), ServingError> {
        Ok(self.parts.log.append_all(records, self.durability()).await?)
    }

    /// Counts logged decisions, and tells in the program's log what a person should know of them, under the request's id.
    pub fn report(&self, decided: &Decided, request_id: &str) {
        decided.serving.report(self.parts.spec.name.as_str(), decided, request_id);
    }

    /// Decides, logs and reports on the calling thread, which may have to wait for the disk.
    pub fn settle(&self, asked: Asked, until: &Until, request_id: &str) -> Result<Decided, ServingError> {
        let decided = self.decide(asked, until)?;
        let records = self.records(&decided)?;
        if until.is_abandoned() {
            return Err(ServingError::Abandoned { decided: decided.len(), asked: decided.len() });
        }
        self.parts.log.append_together(records, self.durability())?;
        self.report(&decided, request_id);
        Ok(decided)
    }

    /// The whole answer to a body, on the calling thread, whatever the limits; no service is asked.
    pub fn predict(&self, body: &[u8]) -> Result<Decided, ServingError> {
        self.settle(self.read(body)?, &Until::done(), "")
    }

    fn durability(&self) -> Durability {
        match self.parts.spec.log.survives {
            spec::Survives::Crash => Durability::Crash,
            spec::Survives::PowerLoss => Durability::PowerLoss,
        }
    }

    fn note_time(&self, taken: Duration, decisions: usize) {
        let each = taken.as_nanos() as u64 / decisions.max(1) as u64;
        let before = self.usual_nanos.load(Ordering::Relaxed);
        // A step of a sixteenth towards what is new, which ends at the median: how long one took while the processor was
        // given to others says nothing of the next. What two threads write at once is near enough.
        let step = (before / 16).max(1);
        self.usual_nanos.store(if each > before { before + step } else { before - step }, Ordering::Relaxed);
    }

    /// The values to decide on, with what a person should know of them. What a check refuses is told as what is decided on is.
    fn settled(
        &self,
        serving: &Serving,
        mut inputs: Inputs,
        place: usize,
        as_of: Instant,
    ) -> Result<(Inputs, Vec<QaFailure>), ServingError> {
        let pinned = &serving.model.pinned;
        match quality::settle(pinned, &inputs.rows, &mut inputs.values, as_of) {
            Ok(qa_failures) => Ok((inputs, qa_failures)),
            Err(Refused { feature, check }) => {
                let endpoint = self.parts.spec.name.as_str();
                tracing::warn!(
                    endpoint,
                    feature,
                    check,
                    "a served value failed a check, and no decision was made on it"
                );
                serving.count_failure(endpoint, &feature);
                let subject = match &inputs.key {
                    Some(key) => pinned.subject(key),
                    None => format!("rows[{place}]"),
                };
                Err(ServingError::CheckFailed { feature, subject, check })
            }
        }
    }

    fn decide_one(
        &self,
        model: &ServingModel,
        (inputs, qa_failures): (Inputs, Vec<QaFailure>),
        asked: Option<crate::Which>,
    ) -> Result<Decision, ServingError> {
        let Inputs { key, sent, values, rows } = inputs;
        let (score, explained, reasons) = ROW.with_borrow_mut(|row| {
            row.resize(values.len(), 0.0);
            model.model.encode_into(&values, row)?;
            let score = model.model.score(row);
            let explained = Explained::of(self.parts.spec.reasons, asked, model.side(score));
            Ok::<_, ServingError>((score, explained, because(model, row, explained)))
        })?;
        Ok(Decision {
            id: PredictionId::new(),
            key,
            sent,
            reasons,
            qa_failures,
            views: rows.iter().map(|(row, commit)| (*commit, row.no_history)).collect(),
            values,
            score,
            explained,
        })
    }

    fn inputs(
        &self,
        model: &ServingModel,
        subject: Subject,
        fields: &[Value],
        rows: impl FnOnce(&[Value]) -> Result<ViewRows, ServingError>,
    ) -> Result<Inputs, ServingError> {
        let key = match subject {
            Subject::Row { key, values } => return Ok(Inputs { key, sent: true, values, rows: Vec::new() }),
            Subject::Key(key) => key,
        };
        let rows = rows(&key)?;
        if self.refuses_unknown() {
            known::refuse_unknown(model, &key, &rows)?;
        }
        let mut fields = fields.iter();
        let values = model.pinned.inputs.iter().map(|input| match input.view_output() {
            Some((view, output)) => rows[view].0.values[output].clone(),
            None => fields.next().cloned().unwrap_or(Value::Null),
        });
        Ok(Inputs { values: values.collect(), key: Some(key), sent: false, rows })
    }
}

impl Serving {
    fn report(&self, endpoint: &str, decided: &Decided, request_id: &str) {
        let predictions = self.predictions.get_or_init(|| {
            self.model.labels().clone().map(|label| {
                metrics::counter!("karat_predictions_total", "endpoint" => endpoint.to_owned(), "label" => label)
            })
        });
        for (side, counter) in predictions.iter().enumerate() {
            let decided = decided.decisions.iter().filter(|decision| self.model.side(decision.score) == side).count();
            if decided > 0 {
                counter.increment(decided as u64);
            }
        }
        for decision in &decided.decisions {
            for failure in &decision.qa_failures {
                tracing::warn!(
                    request_id,
                    endpoint,
                    prediction_id = %decision.id,
                    feature = failure.feature,
                    check = failure.check,
                    "a served value failed a check"
                );
                self.count_failure(endpoint, &failure.feature);
            }
        }
    }

    fn count_failure(&self, endpoint: &str, feature: &str) {
        let failures = self.failures.get_or_init(|| {
            let Pinned { inputs, views, .. } = &self.model.pinned;
            let names =
                inputs.iter().map(|input| input.name.as_str()).chain(views.iter().map(|view| view.name.as_str()));
            names.map(|name| (name.to_owned(), failures_of(endpoint, name))).collect()
        });
        match failures.get(feature) {
            Some(counter) => counter.increment(1),
            None => failures_of(endpoint, feature).increment(1),
        }
    }
}

fn failures_of(endpoint: &str, feature: &str) -> Counter {
    metrics::counter!(
        "karat_qa_failures_total",
        "endpoint" => endpoint.to_owned(),
        "feature" => feature.to_owned()
    )
}
