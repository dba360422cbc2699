//! Tells webhooks of changes: what the registry kept for them with the changes themselves is sent, and sent again until it has
//! arrived. A server does so for as long as it runs; of several each delivery is sent by one at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use karat_core::{Clock, Instant, fresh_id};
use karat_outbound::{Answered, Courier, Failure, Parcel};
use karat_registry::{Delivery, Event, Registry, RegistryError, next_try};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(500);
/// After that long whoever took a delivery is taken for dead: more than sending may take.
const TAKEN: Duration = Duration::from_secs(30);
/// Webhooks told at once.
const AT_ONCE: usize = 16;
/// Nobody waits longer, whatever the other side asks for.
const LONGEST: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone)]
pub struct Webhooks {
    registry: Registry,
    courier: Arc<Courier>,
    clock: Arc<dyn Clock>,
}

/// What came of trying a webhook.
#[derive(Debug)]
pub enum Tried {
    Answered(Answered),
    Failed(Failure),
}

/// What came of a delivery.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Arrived,
    /// The other side is there, and cannot take it now.
    Later(Option<Duration>),
    /// The other side is not there.
    Unreachable,
    /// It will never be taken.
    Refused,
}

impl Webhooks {
    /// `origins`: where webhooks may lead besides public `https://` addresses.
    pub fn new(registry: Registry, origins: &[String], clock: Arc<dyn Clock>) -> Result<Webhooks> {
        let courier = Arc::new(Courier::new(origins).context("`server.webhook_origins` in karat.yaml")?);
        Ok(Webhooks { registry, courier, clock })
    }

    /// Whether a webhook may lead there; else what is in the way.
    pub async fn check(&self, url: &str) -> Result<(), Failure> {
        self.courier.check(url).await
    }

    /// Sends an example, once; of the webhook's first event where none is named.
    pub async fn try_out(&self, webhook_id: &str, event: Option<Event>) -> Result<Tried, RegistryError> {
        let (webhook, secret) = self.registry.webhook_with_secret(webhook_id).await?;
        let Some(event) = event.or(webhook.events.first().copied()) else {
            return Err(RegistryError::Invalid("the webhook has no events to try".to_owned()));
        };
        let now = self.clock.now();
        let (body, delivery_id) = (event.body(&event.example(), now), fresh_id());
        let parcel =
            Parcel { url: &webhook.url, delivery_id: &delivery_id, at: seconds(now), secret: &secret, body: &body };
        Ok(match self.courier.bring(parcel).await {
            Ok(answered) => Tried::Answered(answered),
            Err(failure) => Tried::Failed(failure),
        })
    }

    /// Sends what is due, until the process ends. A webhook is told one thing after the other, in the order in which they
    /// happened; one that is slow or away holds up no other.
    pub async fn send(&self) {
        let mut under_way: JoinSet<String> = JoinSet::new();
        let mut busy = BTreeSet::new();
        let mut silent = false;
        loop {
            while let Some(ended) = under_way.try_join_next() {
                match ended {
                    Ok(webhook_id) => drop(busy.remove(&webhook_id)),
                    // Which one is not known any more: all may be asked for again, and what is under way is taken.
                    Err(_) => busy.clear(),
                }
            }
            match self.registry.webhooks_due(self.clock.now()).await {
                Ok(due) => {
                    silent = false;
                    for webhook_id in due {
                        if busy.len() < AT_ONCE && busy.insert(webhook_id.clone()) {
                            let webhooks = self.clone();
                            under_way.spawn(async move { webhooks.tell(webhook_id).await });
                        }
                    }
                }
                Err(error) if !silent => {
                    silent = true;
                    tracing::warn!(%error, "webhooks are told nothing until the metadata database answers");
                }
                Err(_) => {}
            }
            sleep(LOOK).await;
        }
    }

    /// Everything that is due for one webhook, unless it cannot be reached.
    async fn tell(&self, webhook_id: String) -> String {
        loop {
            let now = self.clock.now();
            match self.registry.take_delivery(&webhook_id, now, later(now, TAKEN)).await {
                Ok(Some(delivery)) => match self.deliver(&delivery).await {
                    Ok(Fate::Unreachable) => break,
                    Ok(_) => {}
                    Err(error) => {
                        // It stays taken for a while, and then is sent again.
                        tracing::warn!(%error, webhook = %webhook_id, "what became of a delivery could not be kept");
                        break;
                    }
                },
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, webhook = %webhook_id, "a delivery could not be begun");
                    break;
                }
            }
        }
        webhook_id
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Fate, RegistryError> {
        let Delivery { delivery_id, webhook_id, event, url, secret, body, attempts } = delivery;
        let at = seconds(self.clock.now());
        let sent = self.courier.bring(Parcel { url, delivery_id, at, secret, body }).await;
        let mut fate = fate(&sent);
        let (now, failed) = (self.clock.now(), attempts + 1);
        let said = match &sent {
            Ok(answered) => format!("it answered with status {}", answered.status),
            Err(failure) => failure.to_string(),
        };
        let wait = match (&fate, next_try(*attempts)) {
            (Fate::Arrived | Fate::Refused, _) => None,
            (Fate::Later(asked), Some(wait)) => Some(wait.max(asked.unwrap_or_default()).min(LONGEST)),
            (Fate::Unreachable, wait) => wait,
            (Fate::Later(_), None) => None,
        };
        let outcome = match (&fate, wait) {
            (Fate::Arrived, _) => "delivered",
            (_, Some(_)) => "failed",
            (_, None) => "given_up",
        };
        metrics::counter!("karat_webhook_deliveries_total", "outcome" => outcome).increment(1);
        match wait {
            Some(wait) => {
                tracing::debug!(webhook = %webhook_id, %event, delivery = %delivery_id, failed, "not delivered: {said}");
                let until = later(now, wait);
                self.registry.put_off_delivery(delivery, until).await?;
                if fate == Fate::Unreachable {
                    self.registry.put_off_webhook(webhook_id, until).await?;
                }
            }
            None => {
                if fate != Fate::Arrived {
                    tracing::warn!(webhook = %webhook_id, %event, delivery = %delivery_id, failed,
                        "given up, and not sent any more: {said}");
                    // What else is due may fare better.
                    fate = Fate::Refused;
                }
                self.registry.end_delivery(delivery).await?;
            }
        }
        Ok(fate)
    }
}

fn fate(sent: &Result<Answered, Failure>) -> Fate {
    match sent {
        Ok(Answered { status: 200..=299, .. }) => Fate::Arrived,
        Ok(Answered { status: 408 | 425 | 429 | 500..=599, retry_after, .. }) => Fate::Later(*retry_after),
        Ok(_) => Fate::Refused,
        Err(_) => Fate::Unreachable,
    }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.saturating_add_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

fn seconds(at: Instant) -> i64 {
    at.micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_taken_later_is_sent_again() {
        let answered = |status| Ok(Answered { status, retry_after: None, body: String::new() });
        for (status, expected) in [
            (200, Fate::Arrived),
            (202, Fate::Arrived),
            (204, Fate::Arrived),
            (302, Fate::Refused),
            (400, Fate::Refused),
            (404, Fate::Refused),
            (410, Fate::Refused),
            (408, Fate::Later(None)),
            (429, Fate::Later(None)),
            (500, Fate::Later(None)),
            (503, Fate::Later(None)),
        ] {
            assert_eq!(fate(&answered(status)), expected, "{status}");
        }
        assert_eq!(fate(&Err(Failure::Connection("refused".to_owned()))), Fate::Unreachable);
    }

    #[test]
    fn it_is_tried_for_about_a_day() {
        let waits: Vec<u64> = (0..).map_while(next_try).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits[..5], [1, 2, 4, 8, 16]);
        assert!(waits.iter().all(|wait| *wait <= 3_600));
        let whole: u64 = waits.iter().sum();
        assert!((20 * 3_600..28 * 3_600).contains(&whole), "{whole}");
    }
}
