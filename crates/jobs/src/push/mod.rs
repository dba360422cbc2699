//! Sources that rows are pushed to while a server runs: one thread a source takes what waits together, brings it into
//! history and then into online state, and only then answers.

mod follow;
mod once;
mod values;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use karat_core::{Clock, Digest, ErrorKind, Name, OnlineStore, Window, nearest};
use karat_features::{CompiledView, SourceDefinition};
use karat_history::History;
use karat_project::spec::{Push, Source};
use karat_query::{Engine, RowFault, RowsDefinition, SourcePlan, Taken};
use karat_serving::{Pinned, ServedView};
use serde_json::{Map, Value as Json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::catalog::{PlannedSource, PlannedView};
use crate::{Catalog, Workspace};

pub(crate) use follow::{Anew, Follower, caught_up, take};
pub use once::{Once, file as push_file};
pub use values::Values;

/// Requests that wait for their source; one more is refused.
const QUEUE: usize = 1024;
/// Bytes of requests that wait for their source.
const QUEUE_BYTES: usize = 256 << 20;
/// How long a request waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a look at a source may take.
const CHECKED_WITHIN: Duration = Duration::from_secs(1);

/// Where rows can be pushed to. Empty before the first release is taken up.
#[derive(Default)]
pub struct Pushes {
    queues: Mutex<BTreeMap<Name, Queue>>,
    known: Mutex<Known>,
}

/// What a release has besides.
#[derive(Default)]
struct Known {
    /// The sources that take no pushes from outside.
    others: Vec<Name>,
    /// By view: how values written to it are rows of its source, or why they are not.
    views: BTreeMap<Name, Result<Values, String>>,
}

/// Why rows were not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("there is no source `{name}`{hint}")]
    NoSource { name: String, hint: String },
    #[error(
        "source {0} takes no pushes: say `push: true` in its file, under `delivery: append` or `changes`, and apply it"
    )]
    NotPushed(Name),
    #[error("there is no feature view `{name}`{hint}")]
    NoView { name: String, hint: String },
    #[error("values cannot be written to feature view {view}: {why}. Push rows to its source; its values follow")]
    NotWritten { view: Name, why: String },
    /// Every row that is wrong.
    #[error("{}, so none of the request was taken: correct these rows or leave them out, and send it again", words(.0))]
    Rows(Vec<RowFault>),
    #[error("as many rows wait for source {0} as it takes on: try again in 1 s")]
    Busy(Name),
    #[error("no answer within {} s: the rows may be taken or not; send them again, those that are there count once", PATIENCE.as_secs())]
    Late,
    #[error("{problem}")]
    Failed { kind: ErrorKind, problem: String },
}

/// How many rows a message names.
const NAMED: usize = 3;

fn words(faults: &[RowFault]) -> String {
    let named = faults.iter().take(NAMED).map(|fault| {
        let column = fault.column.as_ref().map(|column| format!(" {column}")).unwrap_or_default();
        let value = fault.value.as_ref().map(|value| format!(" `{value}`")).unwrap_or_default();
        format!("row {}:{column}{value} {}", fault.row, fault.reason)
    });
    let named = named.collect::<Vec<_>>().join("; ");
    match faults.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

impl PushError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            PushError::NoSource { .. } | PushError::NoView { .. } => ErrorKind::NotFound,
            PushError::NotPushed(_) | PushError::NotWritten { .. } | PushError::Rows(_) => ErrorKind::Invalid,
            PushError::Busy(_) | PushError::Late => ErrorKind::Unavailable,
            PushError::Failed { kind, .. } => *kind,
        }
    }
}

/// What a source's thread needs besides its source.
#[derive(Clone)]
pub(crate) struct Tools {
    pub history: History,
    pub engine: Engine,
    pub online: Arc<dyn OnlineStore>,
    pub clock: Arc<dyn Clock>,
    pub quarantine: PathBuf,
    pub runtime: Handle,
}

impl Tools {
    pub fn of(workspace: &Workspace, source: &Name) -> Result<Tools> {
        Ok(Tools {
            history: workspace.history.clone(),
            engine: workspace.engine.clone(),
            online: workspace.online()?,
            clock: workspace.clock.clone(),
            quarantine: workspace.quarantine(source),
            runtime: Handle::current(),
        })
    }
}

/// A source as a release says it is.
#[derive(Clone)]
pub(crate) struct Planned {
    pub plan: SourcePlan,
    pub definition: RowsDefinition,
    pub push: Push,
}

impl Planned {
    /// `None` for a source that takes no pushes.
    pub fn of(planned: &PlannedSource) -> Option<Planned> {
        let push = planned.plan.source().takes_rows()?;
        Some(Planned { plan: planned.plan.clone(), definition: planned.rows.clone(), push })
    }

    fn source(&self) -> &Source {
        self.plan.source()
    }
}

/// A view whose online state follows what is pushed.
pub(crate) struct LiveView {
    pub name: Name,
    pub digest: Digest,
    pub view: CompiledView,
}

/// What a source's thread follows from now on.
pub(crate) struct Followed {
    pub planned: Planned,
    pub views: Vec<Arc<LiveView>>,
}

pub(crate) enum Asked {
    Rows(Request),
    Follow(Followed),
    Check(oneshot::Sender<Result<(), String>>),
    /// The source is wanted by another part of this process: it is given, and taken again when the pause is over.
    Pause {
        given: oneshot::Sender<()>,
        over: oneshot::Receiver<()>,
    },
}

/// A source that nobody pushes to until this is dropped: whoever does waits.
pub(crate) struct Paused(#[expect(dead_code, reason = "held until the pause is over")] oneshot::Sender<()>);

/// The rows of one request.
pub(crate) struct Request {
    pub rows: Vec<Json>,
    /// How long they were, about.
    pub bytes: usize,
    pub answer: oneshot::Sender<Result<Taken, PushError>>,
}

struct Queue {
    sender: mpsc::Sender<Asked>,
    waiting: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Pushes {
    /// Takes up the sources of a release, with the views that are served, `earlier` ones of the release among them. Sources
    /// that take no pushes any more are let go.
    pub(crate) async fn take_up(
        &self,
        workspace: &Workspace,
        catalog: &Catalog,
        served: &[(Name, Pinned)],
        earlier: &[Arc<ServedView>],
    ) -> Result<()> {
        let mut gone: Vec<Queue> = Vec::new();
        let mut told = Vec::new();
        {
            let mut queues = self.queues();
            let planned: Vec<Planned> = catalog.sources.values().filter_map(Planned::of).collect();
            let names: Vec<Name> = queues.keys().cloned().collect();
            for name in names {
                if !planned.iter().any(|planned| planned.source().name == name) {
                    gone.extend(queues.remove(&name));
                }
            }
            for planned in planned {
                let name = planned.source().name.clone();
                let views = views(&planned, catalog, served, earlier)?;
                if !queues.contains_key(&name) {
                    queues.insert(name.clone(), Queue::start(Tools::of(workspace, &name)?)?);
                }
                told.push((queues[&name].sender.clone(), Followed { planned, views }));
            }
            let taken = catalog.sources.values().map(|planned| planned.plan.source());
            let others = taken.filter(|source| source.push.is_none()).map(|source| source.name.clone()).collect();
            let written = |view: &PlannedView| Values::of(view, &catalog.sources[&view.spec.source]);
            let views = catalog.views.iter().map(|(name, view)| (name.clone(), written(view))).collect();
            *self.known() = Known { others, views };
        }
        for (sender, followed) in told {
            // The thread lives as long as its queue.
            sender.send(Asked::Follow(followed)).await.ok();
        }
        for queue in gone {
            tokio::task::spawn_blocking(move || queue.end());
        }
        Ok(())
    }

    /// Takes the rows of a client's request; of a source that says `push`.
    pub async fn push(&self, source: &str, rows: Vec<Json>, bytes: usize) -> Result<Taken, PushError> {
        let closed = self.known().others.iter().find(|name| name.as_str() == source).cloned();
        match closed {
            Some(name) => Err(PushError::NotPushed(name)),
            None => self.take(source, rows, bytes).await,
        }
    }

    /// Takes the rows of one request, which were about so many bytes, or none of them. When it answers they are in history,
    /// and in the online state of every view served over their source.
    pub(crate) async fn take(&self, source: &str, rows: Vec<Json>, bytes: usize) -> Result<Taken, PushError> {
        let (waiting, answered) = {
            let queues = self.queues();
            let Some((name, queue)) = queues.get_key_value(source) else {
                return Err(unknown(source, queues.keys(), |name, hint| PushError::NoSource { name, hint }));
            };
            let before = queue.waiting.fetch_add(bytes, Ordering::Relaxed);
            let waiting = Waiting { bytes, all: queue.waiting.clone() };
            if before > 0 && before + bytes > QUEUE_BYTES {
                return Err(PushError::Busy(name.clone()));
            }
            let (answer, answered) = oneshot::channel();
            queue.sender.try_send(Asked::Rows(Request { rows, bytes, answer })).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => PushError::Busy(name.clone()),
                mpsc::error::TrySendError::Closed(_) => ended(),
            })?;
            (waiting, answered)
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        drop(waiting);
        match answer {
            Err(_) => Err(PushError::Late),
            Ok(Ok(taken)) => taken,
            Ok(Err(_)) => Err(ended()),
        }
    }

    /// As [`Pushes::push`], of values of a view's features, each row at an `event_timestamp`.
    pub async fn write(
        &self,
        written: Values,
        values: Vec<Map<String, Json>>,
        bytes: usize,
    ) -> Result<Taken, PushError> {
        let rows = values.into_iter().map(|values| written.row(values)).collect();
        self.push(written.source.as_str(), rows, bytes).await
    }

    /// How values of a view are rows of its source.
    pub fn values_of(&self, view: &str) -> Result<Values, PushError> {
        let known = self.known();
        match known.views.get_key_value(view) {
            Some((name, written)) => written.clone().map_err(|why| PushError::NotWritten { view: name.clone(), why }),
            None => Err(unknown(view, known.views.keys(), |name, hint| PushError::NoView { name, hint })),
        }
    }

    /// Gives a source to the caller until what is returned is dropped; `None` for one that takes no pushes, or is let go.
    pub(crate) async fn pause(&self, source: &Name) -> Option<Paused> {
        let sender = self.queues().get(source)?.sender.clone();
        let ((given, is_given), (end, over)) = (oneshot::channel(), oneshot::channel());
        sender.send(Asked::Pause { given, over }).await.ok()?;
        is_given.await.ok()?;
        Some(Paused(end))
    }

    /// Why rows cannot be taken at the moment, by source.
    pub async fn problems(&self) -> Vec<String> {
        let asked: Vec<(Name, mpsc::Sender<Asked>)> =
            self.queues().iter().map(|(name, queue)| (name.clone(), queue.sender.clone())).collect();
        let mut problems = Vec::new();
        for (name, sender) in asked {
            let (answer, answered) = oneshot::channel();
            // A queue that is full works.
            if sender.try_send(Asked::Check(answer)).is_err() {
                continue;
            }
            // So does one that is busy.
            if let Ok(Ok(Err(problem))) = tokio::time::timeout(CHECKED_WITHIN, answered).await {
                problems.push(format!("source {name} takes no pushes right now: {problem}"));
            }
        }
        problems
    }

    /// Answers what waits, seals what was pushed, and gives the sources to other processes.
    pub async fn close(&self) {
        let queues = std::mem::take(&mut *self.queues());
        for queue in queues.into_values() {
            tokio::task::spawn_blocking(move || queue.end()).await.ok();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<Name, Queue>> {
        self.queues.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Debug for Pushes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pushes").field("sources", &self.queues().keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

fn unknown<'n>(
    name: &str,
    names: impl Iterator<Item = &'n Name>,
    error: impl FnOnce(String, String) -> PushError,
) -> PushError {
    let hint = nearest(name, names.map(Name::as_str)).map(|like| format!("; did you mean `{like}`?"));
    error(name.chars().take(100).collect(), hint.unwrap_or_default())
}

fn ended() -> PushError {
    let problem = "nobody takes pushes any more; send the rows again".to_owned();
    PushError::Failed { kind: ErrorKind::Unavailable, problem }
}

/// A request that waits, until it is answered or nobody waits for the answer.
struct Waiting {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Queue {
    fn start(tools: Tools) -> Result<Queue> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("karat-push".to_owned());
        let thread = thread.spawn(move || worker::run(tools, receiver))?;
        Ok(Queue { sender, waiting: Arc::default(), thread })
    }

    /// Blocks until all that waits is answered and what was pushed is sealed.
    fn end(self) {
        drop(self.sender);
        if self.thread.join().is_err() {
            tracing::error!("a thread that takes pushes panicked: please report it");
        }
    }
}

/// The views whose state follows a source: those of the release, and those that versions which answer were trained with,
/// as long as the source's rows are made as these were.
pub(crate) fn views(
    planned: &Planned,
    catalog: &Catalog,
    served: &[(Name, Pinned)],
    earlier: &[Arc<ServedView>],
) -> Result<Vec<Arc<LiveView>>> {
    let mut views: BTreeMap<Digest, LiveView> = BTreeMap::new();
    let name = &planned.source().name;
    for (view, of) in catalog.views.iter().filter(|(_, view)| view.spec.source == *name) {
        views.insert(
            of.digest.clone(),
            LiveView { name: view.clone(), digest: of.digest.clone(), view: of.view.clone() },
        );
    }
    let follows = |source: &SourceDefinition| {
        source.name == *name && planned.definition.narrowed(source.columns.names()) == source.upstream
    };
    for ServedView { name, read } in earlier.iter().map(Arc::as_ref) {
        if follows(&read.view.definition().source) {
            let live = LiveView { name: name.clone(), digest: read.definition.clone(), view: read.view.clone() };
            views.entry(read.definition.clone()).or_insert(live);
        }
    }
    for (_, pinned) in served {
        for (one, view) in pinned.views.iter().zip(pinned.compile()?) {
            if follows(&one.definition.source) {
                let live = LiveView { name: one.name.clone(), digest: one.digest.clone(), view };
                views.entry(one.digest.clone()).or_insert(live);
            }
        }
    }
    Ok(views.into_values().map(Arc::new).collect())
}

/// How far back a view's state keeps single events.
pub(crate) type Horizon = Option<Window>;
