use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant as Stopwatch};

use karat_core::{Name, VERSION, Value, Window};
use karat_project::spec;
use reqwest::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Map, Value as Json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Failure;
use crate::breaker::{Breaker, BreakerState, Outcome};
use crate::request::{Filled, RequestTemplate};
use crate::retry::{Failed, Fate};

/// Longer answers are not read.
pub const WHOLE_ANSWER: usize = 1 << 20;

/// How long a connection nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

/// A service, ready to be asked.
pub struct Service {
    source: Name,
    request: RequestTemplate,
    client: Client,
    timeout: Window,
    retries: u32,
    idempotent: bool,
    turns: Semaphore,
    breaker: Mutex<Breaker>,
}

impl Service {
    /// Fills in the variables of its URL, headers and body.
    pub fn new(source: &Name, lookup: &spec::Lookup) -> Result<Service, Failure> {
        let request = RequestTemplate::new(source, lookup)?;
        // What redirects sends the headers' secrets to whoever it names.
        let client = Client::builder().redirect(Policy::none()).pool_idle_timeout(IDLE);
        let client = client.user_agent(format!("karat/{VERSION}")).build();
        Ok(Service {
            source: source.clone(),
            request,
            client: client
                .map_err(|_| Failure::NotSetUp("this machine has no certificates to check it by".to_owned()))?,
            timeout: lookup.timeout,
            retries: lookup.retries,
            idempotent: lookup.is_idempotent(),
            turns: Semaphore::new((lookup.concurrency as usize).min(Semaphore::MAX_PERMITS)),
            breaker: Mutex::new(Breaker::new(lookup.breaker)),
        })
    }

    /// The JSON object that the service answers with for a key: the columns it is asked by, and their values. Waits no
    /// longer than `until`.
    pub async fn ask(&self, key: &[(&str, &Value)], until: Instant) -> Result<Map<String, Json>, Failure> {
        let request = self.request.filled(key)?;
        let Ok(turn) = timeout_at(until, self.turns.acquire()).await else { return Err(Failure::Busy) };
        let _turn = turn.expect("the semaphore is never closed");
        let admitted = self.breaker().admit(Stopwatch::now());
        self.show_breaker();
        admitted.map_err(Failure::Paused)?;
        let answered = self.repeatedly(&request, until).await;
        self.breaker().tell(Stopwatch::now(), outcome(&answered));
        self.show_breaker();
        answered
    }

    pub fn breaker_state(&self) -> BreakerState {
        self.breaker().state()
    }

    async fn repeatedly(&self, request: &Filled, until: Instant) -> Result<Map<String, Json>, Failure> {
        let mut repetition = 0;
        loop {
            let begun = Stopwatch::now();
            let answered = self.once(request, until).await;
            self.count(&answered, begun.elapsed());
            let failed = match answered {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if repetition >= self.retries || !failed.may_be_repeated(self.idempotent) {
                return Err(failed.failure);
            }
            let pause = failed.pause(repetition, fastrand::f64());
            if Instant::now() + pause >= until {
                return Err(failed.failure);
            }
            sleep(pause).await;
            repetition += 1;
        }
    }

    async fn once(&self, request: &Filled, until: Instant) -> Result<Map<String, Json>, Failed> {
        let patience = Instant::now() + self.timeout.duration();
        match timeout_at(patience.min(until), self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) if until < patience => Err(Failed::new(Failure::Deadline, Fate::Unknown)),
            Err(_) => Err(Failed::new(Failure::Timeout(self.timeout), Fate::Unknown)),
        }
    }

    async fn exchange(&self, request: &Filled) -> Result<Map<String, Json>, Failed> {
        let mut sent = self.client.request(request.method.clone(), request.url.clone());
        sent = sent.header(ACCEPT, HeaderValue::from_static("application/json")).headers(request.headers.clone());
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        let response = sent.send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failed::of_status(status.as_u16(), retry_after(&response)));
        }
        let body = whole(response).await?;
        let nonsense = |problem: &str| Failed::new(Failure::Answer(problem.to_owned()), Fate::Answered);
        match serde_json::from_slice(&body) {
            Ok(Json::Object(answer)) => Ok(answer),
            Ok(_) => Err(nonsense("its answer is JSON, but no object")),
            Err(_) => Err(nonsense("its answer is not JSON")),
        }
    }

    fn count(&self, answered: &Result<Map<String, Json>, Failed>, taken: Duration) {
        let outcome = answered.as_ref().map_or_else(|failed| failed.failure.word(), |_| "answered");
        let source = self.source.to_string();
        metrics::counter!("karat_lookup_requests_total", "source" => source.clone(), "outcome" => outcome).increment(1);
        metrics::histogram!("karat_lookup_request_duration_seconds", "source" => source).record(taken.as_secs_f64());
    }

    fn show_breaker(&self) {
        let state = match self.breaker_state() {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 0.5,
            BreakerState::Open => 1.0,
        };
        metrics::gauge!("karat_lookup_breaker_open", "source" => self.source.to_string()).set(state);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A service that says no to one key works; one that lets nobody in does not.
fn outcome(answered: &Result<Map<String, Json>, Failure>) -> Outcome {
    match answered {
        Ok(_) => Outcome::Works,
        Err(Failure::Status(status)) if (400..500).contains(status) && ![401, 403, 408, 429].contains(status) => {
            Outcome::Works
        }
        Err(Failure::Deadline | Failure::Busy | Failure::Key | Failure::Paused(_)) => Outcome::Unknown,
        Err(
            Failure::Timeout(_)
            | Failure::Connection(_)
            | Failure::Status(_)
            | Failure::Answer(_)
            | Failure::NotSetUp(_),
        ) => Outcome::Failed,
    }
}

/// Errors of the client name the URL, which may hold a secret: only the kind of what the system said is told.
pub(crate) fn unreachable(error: reqwest::Error) -> Failed {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut said = None;
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            said = Some(io.kind().to_string());
        }
        cause = error.source();
    }
    let fate = if error.is_connect() { Fate::NotTaken } else { Fate::Unknown };
    let said = said.unwrap_or_else(|| match error.is_connect() {
        true => "no connection came about".to_owned(),
        false => "the connection broke".to_owned(),
    });
    Failed::new(Failure::Connection(said), fate)
}

/// In seconds; the other form, a date, is left alone.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Failed> {
    let too_long = || {
        let problem = format!("its answer is longer than {} MiB", WHOLE_ANSWER >> 20);
        Failed::new(Failure::Answer(problem), Fate::Answered)
    };
    if response.content_length().is_some_and(|length| length > WHOLE_ANSWER as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > WHOLE_ANSWER {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
