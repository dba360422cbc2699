//! What is still to be sent. Whoever sends takes a delivery first, which puts it off for as long as sending may take: of
//! several servers one sends it, and of one that is killed meanwhile another does. So each arrives at least once.

use std::time::Duration;

use karat_core::Instant;
use karat_metadata::{query, query_scalar, stored};

use crate::{Answer, Registry};

/// One that is being sent.
pub struct Delivery {
    /// The same however often it is sent.
    pub delivery_id: String,
    pub webhook_id: String,
    pub event: String,
    pub url: String,
    /// Empty where nothing is signed.
    pub secret: String,
    pub body: String,
    /// How often it was tried before.
    pub attempts: u32,
}

impl Registry {
    /// The webhooks that something is due for: a look at an index each.
    pub fn webhooks_due(&self, now: Instant) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let due = "SELECT w.webhook_id FROM webhooks w WHERE EXISTS \
                       (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.due <= $1)";
            Ok(query_scalar(due).bind(now.micros()).fetch_all(&mut *self.metadata.read().await?).await?)
        })
    }

    /// Takes what has been due longest for a webhook, to send it before `until`; `None` where nothing is due, any more.
    pub fn take_delivery<'a>(
        &'a self,
        webhook_id: &'a str,
        now: Instant,
        until: Instant,
    ) -> Answer<'a, Option<Delivery>> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let row = query(
                "SELECT d.*, w.url, w.secret FROM webhook_deliveries d \
                 JOIN webhooks w ON w.webhook_id = d.webhook_id \
                 WHERE d.webhook_id = $1 AND d.due <= $2 ORDER BY d.due, d.delivery_id LIMIT 1",
            )
            .bind(webhook_id)
            .bind(now.micros())
            .fetch_optional(&mut tx)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let delivery = Delivery {
                delivery_id: stored::text(&row, "delivery_id")?,
                webhook_id: stored::text(&row, "webhook_id")?,
                event: stored::text(&row, "event")?,
                url: stored::text(&row, "url")?,
                secret: stored::text(&row, "secret")?,
                body: stored::text(&row, "body")?,
                attempts: u32::try_from(stored::int(&row, "attempts")?).unwrap_or(u32::MAX),
            };
            query("UPDATE webhook_deliveries SET due = $2 WHERE delivery_id = $1")
                .bind(&delivery.delivery_id)
                .bind(until.micros())
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(Some(delivery))
        })
    }

    /// It arrived, or nobody tries it any more.
    pub fn end_delivery<'a>(&'a self, delivery: &'a Delivery) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            query("DELETE FROM webhook_deliveries WHERE delivery_id = $1")
                .bind(&delivery.delivery_id)
                .execute(&mut tx)
                .await?;
            Ok(tx.commit().await?)
        })
    }

    /// It did not arrive, and is tried again.
    pub fn put_off_delivery<'a>(&'a self, delivery: &'a Delivery, until: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            query("UPDATE webhook_deliveries SET due = $2, attempts = attempts + 1 WHERE delivery_id = $1")
                .bind(&delivery.delivery_id)
                .bind(until.micros())
                .execute(&mut tx)
                .await?;
            Ok(tx.commit().await?)
        })
    }

    /// Nothing else is sent to a webhook that cannot be reached before it is tried again.
    pub fn put_off_webhook<'a>(&'a self, webhook_id: &'a str, until: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            query("UPDATE webhook_deliveries SET due = $2 WHERE webhook_id = $1 AND due < $2")
                .bind(webhook_id)
                .bind(until.micros())
                .execute(&mut tx)
                .await?;
            Ok(tx.commit().await?)
        })
    }
}

/// How long until the next try of what failed so often: a second, doubled each time, at most an hour. `None` after about a
/// day: nobody tries again.
pub fn next_try(failed: u32) -> Option<Duration> {
    const MOST: u32 = 34;
    let wait = Duration::from_secs(1 << failed.min(12)).min(Duration::from_secs(3_600));
    (failed < MOST).then_some(wait)
}
