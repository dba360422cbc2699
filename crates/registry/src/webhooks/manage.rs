use karat_core::{Instant, fresh_id};
use karat_metadata::audit::{self, NewEntry, Subject};
use karat_metadata::{Bind, Connection, Row, WriteTx, query, query_scalar, stored};
use serde_json::{Value as Json, json};

use super::{Event, Webhook, WebhookStatus, missing};
use crate::search::Page;
use crate::{Answer, Registry, RegistryError, millis};

#[derive(Clone)]
pub struct NewWebhook {
    pub name: String,
    pub description: String,
    pub url: String,
    /// At least one; what stands twice counts once.
    pub events: Vec<Event>,
    /// Signs what is sent; empty where nothing is signed.
    pub secret: String,
    pub status: WebhookStatus,
}

/// What is said anew; the rest stays.
#[derive(Clone, Default)]
pub struct WebhookUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub url: Option<String>,
    pub events: Option<Vec<Event>>,
    pub secret: Option<String>,
    pub status: Option<WebhookStatus>,
}

impl Registry {
    pub fn create_webhook<'a>(&'a self, new: &'a NewWebhook, actor: &'a str, now: Instant) -> Answer<'a, Webhook> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let id = fresh_id();
            query(
                "INSERT INTO webhooks (webhook_id, name, description, url, secret, status, creation_time_ms, \
                 last_update_time_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
            )
            .bind(&id)
            .bind(&new.name)
            .bind(&new.description)
            .bind(&new.url)
            .bind(&new.secret)
            .bind(new.status.as_str())
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            write_events(&mut tx, &id, &new.events).await?;
            let made = webhook(&mut tx, &id).await?;
            let details = details(&made, !new.secret.is_empty());
            record(&mut tx, ("webhook.create", actor, now), &id, details).await?;
            tx.commit().await?;
            Ok(made)
        })
    }

    pub fn webhook<'a>(&'a self, webhook_id: &'a str) -> Answer<'a, Webhook> {
        Box::pin(async move { webhook(&mut *self.metadata.read().await?, webhook_id).await })
    }

    /// The same with what signs what is sent to it: for whoever sends, and nobody else.
    pub fn webhook_with_secret<'a>(&'a self, webhook_id: &'a str) -> Answer<'a, (Webhook, String)> {
        Box::pin(async move {
            let mut reader = self.metadata.read().await?;
            let found = webhook(&mut reader, webhook_id).await?;
            Ok((found, secret(&mut reader, webhook_id).await?))
        })
    }

    /// The newest first; a page begins after the webhook that its token names.
    pub fn webhooks<'a>(&'a self, most: u32, page_token: Option<&'a str>) -> Answer<'a, Page<Webhook>> {
        Box::pin(async move {
            let (before, last) = match page_token {
                None => (i64::MAX, String::new()),
                Some(token) => read_token(token).ok_or_else(|| {
                    RegistryError::Invalid("Invalid page token: take the one that the page before gave".to_owned())
                })?,
            };
            let mut reader = self.metadata.read().await?;
            let mut ids: Vec<String> = query_scalar(
                "SELECT webhook_id FROM webhooks WHERE creation_time_ms < $1 \
                 OR (creation_time_ms = $1 AND webhook_id < $2) \
                 ORDER BY creation_time_ms DESC, webhook_id DESC LIMIT $3",
            )
            .bind(before)
            .bind(last)
            .bind(i64::from(most) + 1)
            .fetch_all(&mut reader)
            .await?;
            let more = ids.len() > most as usize;
            ids.truncate(most as usize);
            let mut items = Vec::with_capacity(ids.len());
            for id in &ids {
                items.push(webhook(&mut reader, id).await?);
            }
            let next =
                items.last().filter(|_| more).map(|last| format!("{}.{}", last.creation_time_ms, last.webhook_id));
            Ok(Page { items, next })
        })
    }

    pub fn update_webhook<'a>(
        &'a self,
        webhook_id: &'a str,
        update: &'a WebhookUpdate,
        actor: &'a str,
        now: Instant,
    ) -> Answer<'a, Webhook> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let held = webhook(&mut tx, webhook_id).await?;
            let status = update.status.unwrap_or(held.status);
            query(
                "UPDATE webhooks SET name = $2, description = $3, url = $4, status = $5, secret = COALESCE($6, secret), \
                 last_update_time_ms = $7 WHERE webhook_id = $1",
            )
            .bind(webhook_id)
            .bind(update.name.as_ref().unwrap_or(&held.name))
            .bind(update.description.as_ref().unwrap_or(&held.description))
            .bind(update.url.as_ref().unwrap_or(&held.url))
            .bind(status.as_str())
            .bind(update.secret.as_deref())
            .bind(millis(now))
            .execute(&mut tx)
            .await?;
            if let Some(events) = &update.events {
                query("DELETE FROM webhook_events WHERE webhook_id = $1").bind(webhook_id).execute(&mut tx).await?;
                write_events(&mut tx, webhook_id, events).await?;
            }
            if status == WebhookStatus::Disabled {
                forget(&mut tx, webhook_id).await?;
            }
            let secret = secret(&mut tx, webhook_id).await?;
            let after = webhook(&mut tx, webhook_id).await?;
            let mut details = details(&after, !secret.is_empty());
            details["new_secret"] = update.secret.is_some().into();
            record(&mut tx, ("webhook.update", actor, now), webhook_id, details).await?;
            tx.commit().await?;
            Ok(after)
        })
    }

    /// With what it has not been told yet.
    pub fn delete_webhook<'a>(&'a self, webhook_id: &'a str, actor: &'a str, now: Instant) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut tx = self.metadata.begin().await?;
            let held = webhook(&mut tx, webhook_id).await?;
            forget(&mut tx, webhook_id).await?;
            query("DELETE FROM webhook_events WHERE webhook_id = $1").bind(webhook_id).execute(&mut tx).await?;
            query("DELETE FROM webhooks WHERE webhook_id = $1").bind(webhook_id).execute(&mut tx).await?;
            record(&mut tx, ("webhook.delete", actor, now), webhook_id, json!({"name": held.name})).await?;
            Ok(tx.commit().await?)
        })
    }
}

async fn forget(tx: &mut WriteTx, webhook_id: &str) -> Result<(), RegistryError> {
    query("DELETE FROM webhook_deliveries WHERE webhook_id = $1").bind(webhook_id).execute(tx).await?;
    Ok(())
}

async fn webhook(connection: &mut Connection, webhook_id: &str) -> Result<Webhook, RegistryError> {
    let row = query("SELECT * FROM webhooks WHERE webhook_id = $1")
        .bind(webhook_id)
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| missing(webhook_id))?;
    let events = query("SELECT event FROM webhook_events WHERE webhook_id = $1 ORDER BY event")
        .bind(webhook_id)
        .fetch_all(connection)
        .await?;
    let event = |row: &Row| Ok(stored::word(row, "event", Event::parse)?);
    Ok(Webhook {
        webhook_id: stored::text(&row, "webhook_id")?,
        name: stored::text(&row, "name")?,
        description: stored::text(&row, "description")?,
        url: stored::text(&row, "url")?,
        events: events.iter().map(event).collect::<Result<_, RegistryError>>()?,
        status: stored::word(&row, "status", WebhookStatus::parse)?,
        creation_time_ms: stored::int(&row, "creation_time_ms")?,
        last_update_time_ms: stored::int(&row, "last_update_time_ms")?,
    })
}

async fn secret(connection: &mut Connection, webhook_id: &str) -> Result<String, RegistryError> {
    let found = query_scalar("SELECT secret FROM webhooks WHERE webhook_id = $1").bind(webhook_id);
    found.fetch_optional(connection).await?.ok_or_else(|| missing(webhook_id))
}

async fn write_events(tx: &mut WriteTx, webhook_id: &str, events: &[Event]) -> Result<(), RegistryError> {
    let rows = events.iter().map(|event| [webhook_id.bound(), event.to_string().bound()]);
    let head = "INSERT INTO webhook_events (webhook_id, event)";
    tx.insert(head, rows, "ON CONFLICT (webhook_id, event) DO NOTHING").await?;
    Ok(())
}

fn read_token(token: &str) -> Option<(i64, String)> {
    let (before, last) = token.split_once('.')?;
    Some((before.parse().ok()?, last.to_owned()))
}

/// Of the address its host alone: the rest is a secret with some receivers.
fn details(webhook: &Webhook, signed: bool) -> Json {
    let rest = webhook.url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().rsplit('@').next();
    let events: Vec<String> = webhook.events.iter().map(Event::to_string).collect();
    json!({"name": webhook.name, "host": host, "events": events, "status": webhook.status.as_str(), "signed": signed})
}

async fn record(
    tx: &mut WriteTx,
    (action, actor, at): (&str, &str, Instant),
    webhook_id: &str,
    details: Json,
) -> Result<(), RegistryError> {
    let subject = Subject::new("webhook", webhook_id);
    audit::append(tx, NewEntry { at, actor, action, subject, details }).await?;
    Ok(())
}
