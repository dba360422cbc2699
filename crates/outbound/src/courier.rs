//! Signed messages to addresses that strangers name: to the public internet, and to what the project names besides. A stranger
//! must not have this machine ask services that stand behind the same wall.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use karat_core::VERSION;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time::timeout;

use crate::Failure;
use crate::public::is_public;
use crate::service::{retry_after, unreachable};
use crate::signature::signature;

/// For a connection and the answer together.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the look-up before it.
const LOOK_UP: Duration = Duration::from_secs(5);
/// What of an answer is read.
const MOST: usize = 64 << 10;

pub struct Courier {
    /// Connects to public addresses alone, whatever a name means by the time it is looked up.
    public: Client,
    /// Connects to whatever the project names.
    named: Client,
    origins: Vec<String>,
}

/// What is sent: JSON, under headers of MLflow's.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    pub url: &'a str,
    pub delivery_id: &'a str,
    /// Seconds since 1970.
    pub at: i64,
    /// Empty where nothing is signed.
    pub secret: &'a str,
    pub body: &'a str,
}

/// What the other side said, whatever it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning.
    pub body: String,
}

impl Courier {
    /// `origins`: where it goes besides public `https://` addresses, as scheme, host and port (`http://hooks.bank:8080`).
    pub fn new(origins: &[String]) -> Result<Courier, Failure> {
        let wrong = |what: &str| Failure::NotSetUp(what.to_owned());
        let client = |builder: reqwest::ClientBuilder| {
            // A redirect may lead anywhere, and a proxy would be whom the resolver looks up.
            let builder = builder.redirect(Policy::none()).no_proxy().user_agent(format!("karat/{VERSION}"));
            builder.build().map_err(|_| wrong("this machine has no certificates to check it by"))
        };
        let origin = |origin: &String| {
            let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let url = url.ok_or_else(|| wrong(&format!("`{origin}` is no origin such as `http://hooks.bank:8080`")))?;
            Ok(url.origin().ascii_serialization())
        };
        Ok(Courier {
            public: client(Client::builder().dns_resolver(Arc::new(PublicOnly)))?,
            named: client(Client::builder())?,
            origins: origins.iter().map(origin).collect::<Result<_, Failure>>()?,
        })
    }

    /// Whether something may be sent there; else what is in the way.
    pub async fn check(&self, url: &str) -> Result<(), Failure> {
        self.way(url).await.map(drop)
    }

    /// Sends once. An answer that refuses is an answer, too.
    pub async fn bring(&self, parcel: Parcel<'_>) -> Result<Answered, Failure> {
        let (client, url) = self.way(parcel.url).await?;
        let at = parcel.at.to_string();
        let mut request = client
            .post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("X-MLflow-Delivery-Id", parcel.delivery_id)
            .header("X-MLflow-Timestamp", &at);
        if !parcel.secret.is_empty() {
            let signed = signature(parcel.secret, &format!("{}.{at}.{}", parcel.delivery_id, parcel.body));
            request = request.header("X-MLflow-Signature", format!("v1,{signed}"));
        }
        let exchange = async {
            let response =
                request.body(parcel.body.to_owned()).send().await.map_err(|error| unreachable(error).failure)?;
            answered(response).await
        };
        let late = |_| Failure::Connection(format!("no answer came within {} s", PATIENCE.as_secs()));
        timeout(PATIENCE, exchange).await.map_err(late)?
    }

    async fn way(&self, url: &str) -> Result<(&Client, Url), Failure> {
        let wrong = |what: String| Failure::NotSetUp(what);
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(url) = parsed else { return Err(wrong("this is no `http://` or `https://` address".to_owned())) };
        if self.origins.contains(&url.origin().ascii_serialization()) {
            return Ok((&self.named, url));
        }
        let unless = "unless `server.webhook_origins` in karat.yaml names its scheme, host and port";
        if url.scheme() != "https" {
            return Err(wrong(format!("only `https://` addresses are, {unless}")));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let found = timeout(LOOK_UP, tokio::net::lookup_host((host.as_str(), 443))).await;
        let Ok(Ok(mut found)) = found else { return Err(wrong(format!("no address is known of the host `{host}`"))) };
        match found.all(|address| is_public(address.ip())) {
            true => Ok((&self.public, url)),
            false => Err(wrong(format!("`{host}` is no public address, {unless}"))),
        }
    }
}

async fn answered(mut response: Response) -> Result<Answered, Failure> {
    let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
    let mut body = Vec::new();
    // What it answers with matters little: once the status is there, it has taken the message or not.
    while body.len() < MOST {
        let Ok(Some(piece)) = response.chunk().await else { break };
        body.extend_from_slice(&piece);
    }
    body.truncate(MOST);
    Ok(Answered { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Looks names up, and knows no address behind the wall.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: fn(&SocketAddr) -> bool = |address| is_public(address.ip());
            match found.iter().all(public) {
                true => Ok(Box::new(found.into_iter()) as Addrs),
                false => Err("it is no public address".into()),
            }
        })
    }
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("origins", &self.origins).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strangers_lead_it_nowhere_behind_the_wall() {
        let courier = Courier::new(&["http://127.0.0.1:9000/".to_owned()]).unwrap();
        let said = async |url: &str| courier.check(url).await.map_err(|failure| failure.to_string());
        assert_eq!(said("http://127.0.0.1:9000/hook?a=b").await, Ok(()));
        for (bad, with) in [
            ("http://127.0.0.1:9001/", "only `https://`"),
            ("https://127.0.0.1:9000/", "no public address"),
            ("https://127.1/", "no public address"),
            ("https://0x7f000001/", "no public address"),
            ("https://[::1]/", "no public address"),
            ("https://[::ffff:10.0.0.1]/", "no public address"),
            ("https://localhost/", "no public address"),
            ("https://169.254.169.254/latest/meta-data", "no public address"),
            ("http://127.0.0.1:9000@example.com/", "only `https://`"),
            ("ftp://example.com/", "no `http://`"),
            ("https://", "no `http://`"),
            ("/hook", "no `http://`"),
        ] {
            let said = said(bad).await.unwrap_err();
            assert!(said.contains(with), "{bad}: {said}");
        }
        assert_eq!(said("https://8.8.8.8/").await, Ok(()));
        assert!(Courier::new(&["hooks.bank".to_owned()]).is_err());
    }
}
