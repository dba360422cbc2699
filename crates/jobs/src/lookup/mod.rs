//! Sources whose rows are answers of outside services: asked for while a server decides, one call a key at a time, and kept
//! by the way that pushed rows take before the decision goes on.

mod fresh;
mod once;
mod rows;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant as Stopwatch;

use anyhow::Result;
use futures::FutureExt;
use futures::future::Shared;
use karat_core::{Clock, Instant, Name, Value};
use karat_features::encode_key;
use karat_outbound::{Failure, Service};
use karat_project::spec::OnLookupFailure;
use karat_serving::{LookedUp, LookingUp, Lookups};
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::push::{PushError, Pushes};
use crate::{Catalog, Workspace};

use fresh::Fresh;
use rows::Rows;

pub use once::{Keys, Once, ask as ask_once};

/// About how long a row is that is kept.
const ROW_BYTES: usize = 256;

/// The sources of a release that are looked up. Empty before the first is taken up.
pub struct LookedUpSources {
    sources: Mutex<BTreeMap<Name, Arc<LookedUpSource>>>,
    pushes: Arc<Pushes>,
    clock: Arc<dyn Clock>,
    /// What is asked, is asked there: it goes on when who asked went away.
    runtime: Handle,
}

struct LookedUpSource {
    rows: Rows,
    /// Why it cannot be asked, where it cannot.
    service: Result<Service, Failure>,
    pushes: Arc<Pushes>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    fresh: Fresh,
    /// What is asked for right now; who wants the same waits for it.
    under_way: HashMap<Vec<u8>, Shared<oneshot::Receiver<Answer>>>,
}

type Answer = Result<LookedUp, String>;

/// Why a row is not in history.
enum NotKept {
    /// It is none of this source's.
    Rejected(String),
    Failed(String),
}

impl LookedUpSources {
    /// Looks up on the runtime it is made on.
    pub fn new(pushes: Arc<Pushes>, clock: Arc<dyn Clock>) -> LookedUpSources {
        LookedUpSources { sources: Mutex::default(), pushes, clock, runtime: Handle::current() }
    }

    /// Takes up the sources of a release. One that is as it was goes on as it was.
    pub(crate) async fn take_up(&self, workspace: &Workspace, catalog: &Catalog) -> Result<()> {
        let mut taken: BTreeMap<Name, Arc<LookedUpSource>> = BTreeMap::new();
        for (name, planned) in &catalog.sources {
            let Some(rows) = Rows::of(&planned.plan)? else { continue };
            let before = self.sources().get(name).cloned();
            let source = match before.filter(|before| before.rows.source() == planned.plan.source()) {
                Some(before) => before,
                None => Arc::new(self.source(workspace, rows).await?),
            };
            taken.insert(name.clone(), source);
        }
        *self.sources() = taken;
        Ok(())
    }

    async fn source(&self, workspace: &Workspace, rows: Rows) -> Result<LookedUpSource> {
        let service = Service::new(rows.name(), &rows.lookup);
        if let Err(failure) = &service {
            tracing::error!(source = %rows.name(), %failure, "every look-up fails until the server is started anew");
        }
        let fresh = Fresh::load(&workspace.history, &rows, self.clock.now()).await?;
        let state = Mutex::new(State { fresh, under_way: HashMap::new() });
        Ok(LookedUpSource { rows, service, pushes: self.pushes.clone(), clock: self.clock.clone(), state })
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<Name, Arc<LookedUpSource>>> {
        self.sources.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Lookups for LookedUpSources {
    fn has(&self, source: &Name) -> bool {
        self.sources().contains_key(source)
    }

    fn look_up<'a>(&'a self, source: &'a Name, key: &'a [(&'a str, &'a Value)], until: Stopwatch) -> LookingUp<'a> {
        Box::pin(async move {
            let found = self.sources().get(source).cloned();
            let found = found.ok_or_else(|| "it was taken away by a newer release: try again".to_owned())?;
            let Some(key) = found.rows.key_of(key) else {
                return Err("it is asked by other columns than this key's".to_owned());
            };
            match found.fresh_or_asked(key, until, &self.runtime) {
                Ok(fresh) => Ok(fresh),
                Err(asked) => asked.await.unwrap_or_else(|_| Err("asking was broken off".to_owned())),
            }
        })
    }
}

impl LookedUpSource {
    fn fresh_or_asked(
        self: Arc<Self>,
        key: Vec<Value>,
        until: Stopwatch,
        runtime: &Handle,
    ) -> Result<LookedUp, Shared<oneshot::Receiver<Answer>>> {
        let encoded = encode_key(&key);
        let now = self.clock.now();
        let source = self.clone();
        let mut state = self.state();
        if let Some(at) = state.fresh.get(&encoded, now) {
            self.count("fresh");
            return Ok(LookedUp { at, failure: None });
        }
        if let Some(under_way) = state.under_way.get(&encoded) {
            self.count("shared");
            return Err(under_way.clone());
        }
        let (answer, answered) = oneshot::channel();
        let answered = answered.shared();
        state.under_way.insert(encoded.clone(), answered.clone());
        drop(state);
        runtime.spawn(async move {
            let _under_way = UnderWay { source: source.clone(), key: encoded.clone() };
            let looked_up = source.ask(&key, encoded, until).await;
            // Nobody may be left who waits.
            answer.send(looked_up).ok();
        });
        Err(answered)
    }

    /// Asks, and keeps what comes, or what stands in for it.
    async fn ask(&self, key: &[Value], encoded: Vec<u8>, until: Stopwatch) -> Answer {
        let failure = match self.answer(key, until).await {
            Ok((row, at)) => match self.keep(row).await {
                Ok(()) => {
                    self.state().fresh.put(encoded, at);
                    self.count("answered");
                    return Ok(LookedUp { at, failure: None });
                }
                Err(NotKept::Rejected(words)) => Failure::Answer(words),
                Err(NotKept::Failed(problem)) => return Err(self.not_kept(&problem)),
            },
            Err(failure) => failure,
        };
        tracing::warn!(source = %self.rows.name(), %failure, "a look-up failed");
        let OnLookupFailure::Default(values) = &self.rows.lookup.on_failure else {
            self.count("refused");
            return Err(failure.to_string());
        };
        let at = self.clock.now();
        match self.keep(self.rows.of_values(key, at, values, Some(failure.word()))).await {
            Ok(()) => {
                self.state().fresh.remove(&encoded);
                self.count("defaulted");
                Ok(LookedUp { at, failure: Some(failure.to_string()) })
            }
            Err(NotKept::Rejected(words)) => {
                self.count("refused");
                Err(format!("{failure}; and of its default, {words}"))
            }
            Err(NotKept::Failed(problem)) => Err(self.not_kept(&problem)),
        }
    }

    /// The row that a service's answer is, and when it came.
    async fn answer(&self, key: &[Value], until: Stopwatch) -> Result<(Json, Instant), Failure> {
        let service = self.service.as_ref().map_err(Clone::clone)?;
        let answered = service.ask(&self.rows.named(key), until.into()).await;
        let at = self.clock.now();
        Ok((self.rows.answered(key, at, answered)?, at))
    }

    async fn keep(&self, row: Json) -> Result<(), NotKept> {
        match self.pushes.take(self.rows.name().as_str(), vec![row], ROW_BYTES).await {
            Ok(taken) if taken.quarantined.is_empty() => Ok(()),
            Ok(taken) => Err(NotKept::Rejected(self.rows.words(&taken.quarantined))),
            Err(PushError::Rows(faults)) => Err(NotKept::Rejected(self.rows.words(&faults))),
            Err(error) => Err(NotKept::Failed(error.to_string())),
        }
    }

    /// What went wrong is the operator's to know.
    fn not_kept(&self, problem: &str) -> String {
        tracing::error!(source = %self.rows.name(), error = problem, "an answer could not be kept");
        self.count("failed");
        "what it answered cannot be kept right now: the server's log says why".to_owned()
    }

    fn count(&self, outcome: &'static str) {
        let source = self.rows.name().to_string();
        metrics::counter!("karat_lookups_total", "source" => source, "outcome" => outcome).increment(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A key that is asked about, until dropped.
struct UnderWay {
    source: Arc<LookedUpSource>,
    key: Vec<u8>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.source.state().under_way.remove(&self.key);
    }
}

impl std::fmt::Debug for LookedUpSources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookedUpSources")
            .field("sources", &self.sources().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
