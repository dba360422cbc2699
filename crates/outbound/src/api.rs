//! A JSON API at one address: its documents whole, its files piece by piece. Everything that is asked may be asked again.

use std::io::Write;
use std::time::Duration;

use karat_core::VERSION;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use serde_json::Value as Json;
use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::retry::{Failed, Fate};
use crate::service::{retry_after, unreachable};

/// How often a request is sent again.
const REPETITIONS: u32 = 5;
/// Without a word from the other side.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer documents are not read.
const WHOLE: usize = 256 << 20;

pub struct Api {
    base: Url,
    login: Login,
    client: Client,
}

/// Who asks, as the other side wants to know it.
#[derive(Clone)]
pub enum Login {
    Nobody,
    Token(String),
    User { name: String, password: String },
}

impl Api {
    /// `http://` or `https://HOST[:PORT][/PATH]`; the login goes along with every request.
    pub fn new(base: &str, login: Login) -> Result<Api, Failure> {
        let wrong = |what: &str| Failure::NotSetUp(what.to_owned());
        let base = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| wrong("this is no `http://` or `https://` address"))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // What redirects sends the secret to whoever it names.
        let client = Client::builder().redirect(Policy::none()).default_headers(headers);
        let client = client.user_agent(format!("karat/{VERSION}")).build();
        let client = client.map_err(|_| wrong("this machine has no certificates to check it by"))?;
        Ok(Api { base, login, client })
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        self.document(Method::GET, self.url(path, query), None).await
    }

    pub async fn post(&self, path: &str, body: &Json) -> Result<Vec<u8>, Failure> {
        self.document(Method::POST, self.url(path, &[]), Some(body.to_string())).await
    }

    async fn document(&self, method: Method, url: Url, body: Option<String>) -> Result<Vec<u8>, Failure> {
        let mut repetition = 0;
        loop {
            let answered = match self.send(method.clone(), url.clone(), body.clone()).await {
                Ok(response) => whole(response).await,
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(answer) => return Ok(answer),
                Err(failed) => pause_or_fail(failed, repetition).await?,
            }
            repetition += 1;
        }
    }

    /// What is at a path, written into a new target each time it has to begin again.
    pub async fn download<W: Write>(&self, path: &str, target: impl Fn() -> std::io::Result<W>) -> Result<W, Failure> {
        let url = self.url(path, &[]);
        let mut repetition = 0;
        loop {
            let answered = match self.send(Method::GET, url.clone(), None).await {
                Ok(response) => into(response, target().map_err(|error| disk(&error))?).await,
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(target) => return Ok(target),
                Err(failed) => pause_or_fail(failed, repetition).await?,
            }
            repetition += 1;
        }
    }

    /// Each name of the path stands for itself.
    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut names) = url.path_segments_mut() {
            names.pop_if_empty().extend(path.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn send(&self, method: Method, url: Url, body: Option<String>) -> Result<Response, Failed> {
        let mut request = self.client.request(method, url);
        request = match &self.login {
            Login::Nobody => request,
            Login::Token(token) => request.bearer_auth(token),
            Login::User { name, password } => request.basic_auth(name, Some(password)),
        };
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let response = patiently(request.send()).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(Failed::of_status(status.as_u16(), retry_after(&response))),
        }
    }
}

/// Waits where the request is worth repeating.
async fn pause_or_fail(failed: Failed, repetition: u32) -> Result<(), Failure> {
    if repetition >= REPETITIONS || !failed.may_be_repeated(true) {
        return Err(failed.failure);
    }
    sleep(failed.pause(repetition, fastrand::f64())).await;
    Ok(())
}

async fn into<W: Write>(mut response: Response, mut target: W) -> Result<W, Failed> {
    while let Some(piece) = patiently(response.chunk()).await? {
        target.write_all(&piece).map_err(|error| Failed::new(disk(&error), Fate::Answered))?;
    }
    Ok(target)
}

async fn patiently<T>(answer: impl Future<Output = reqwest::Result<T>>) -> Result<T, Failed> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(unreachable),
        Err(_) => {
            let said = format!("nothing came for {} s", PATIENCE.as_secs());
            Err(Failed::new(Failure::Connection(said), Fate::Unknown))
        }
    }
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    while let Some(piece) = patiently(response.chunk()).await? {
        if body.len() + piece.len() > WHOLE {
            let problem = format!("its answer is longer than {} MiB", WHOLE >> 20);
            return Err(Failed::new(Failure::Answer(problem), Fate::Answered));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn disk(error: &std::io::Error) -> Failure {
    Failure::Answer(format!("what it sent cannot be kept: {error}"))
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
