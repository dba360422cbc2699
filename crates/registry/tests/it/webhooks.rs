//! Webhooks, and what is kept for them with each change.

use karat_core::Instant;
use karat_metadata::audit;
use karat_registry::{AliasChange, Event, NewModel, NewWebhook, VersionDraft, Webhook, WebhookStatus, WebhookUpdate};

use crate::{Office, now};

const ALL: [&str; 6] = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
];

async fn webhook(office: &Office, name: &str, events: &[&str], status: WebhookStatus) -> Webhook {
    let new = NewWebhook {
        name: name.to_owned(),
        description: String::new(),
        url: format!("https://user:pass@{name}.example/secret/path?token=1"),
        events: events.iter().map(|event| Event::parse(event).unwrap()).collect(),
        secret: "unguessable".to_owned(),
        status,
    };
    office.registry.create_webhook(&new, "ana", now()).await.unwrap()
}

/// What waits for a webhook, taken one after the other.
async fn waiting(office: &Office, webhook: &Webhook) -> Vec<String> {
    let mut events = Vec::new();
    let later = Instant::from_micros(now().micros() + 60_000_000);
    while let Some(delivery) = office.registry.take_delivery(&webhook.webhook_id, now(), later).await.unwrap() {
        assert_eq!((delivery.secret.as_str(), delivery.attempts), ("unguessable", 0));
        events.push(delivery.event.clone());
    }
    events
}

async fn changes(office: &Office) {
    let registry = &office.registry;
    let model = NewModel { name: "m".into(), ..NewModel::default() };
    registry.create_model(&model, "ana", now()).await.unwrap();
    let draft = VersionDraft { model: "m".into(), source: "s3://b/a".into(), ..VersionDraft::default() };
    registry.create_version(&draft, "ana", now()).await.unwrap();
    registry.tag_version(("m", 1), ("k", "v"), "ana", now()).await.unwrap();
    registry.untag_version(("m", 1), "k", "ana", now()).await.unwrap();
    registry.untag_version(("m", 1), "k", "ana", now()).await.unwrap();
    let change = AliasChange { model: "m", alias: "a", who: "ana", why: "because" };
    registry.set_alias(change, 1, now()).await.unwrap();
    registry.set_alias(change, 1, now()).await.unwrap();
    registry.delete_version(("m", 1), "ana", now()).await.unwrap();
    // What fails is no change.
    registry.create_model(&model, "ana", now()).await.unwrap_err();
    registry.set_alias(change, 9, now()).await.unwrap_err();
}

#[tokio::test]
async fn each_change_is_kept_once_for_each_who_wants_it() {
    let office = Office::open().await;
    let all = webhook(&office, "all", &ALL, WebhookStatus::Active).await;
    let some = webhook(&office, "some", &["model_version.created", "prompt.created"], WebhookStatus::Active).await;
    let quiet = webhook(&office, "quiet", &ALL, WebhookStatus::Disabled).await;
    changes(&office).await;
    let mut due = office.registry.webhooks_due(now()).await.unwrap();
    due.sort();
    let mut expected = [all.webhook_id.clone(), some.webhook_id.clone()];
    expected.sort();
    assert_eq!(due, expected);
    // Also in the order of their happening, and after the database was opened anew.
    let office = office.reopen().await;
    assert_eq!(waiting(&office, &all).await, ALL);
    assert_eq!(waiting(&office, &some).await, ["model_version.created"]);
    assert!(waiting(&office, &quiet).await.is_empty());
    // Taken is not due for others, until whoever took them should be done.
    assert!(office.registry.webhooks_due(now()).await.unwrap().is_empty());
    let later = Instant::from_micros(now().micros() + 60_000_000);
    assert_eq!(office.registry.webhooks_due(later).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_delivery_ends_or_is_put_off_and_goes_with_its_webhook() {
    let office = Office::open().await;
    let all = webhook(&office, "all", &ALL, WebhookStatus::Active).await;
    changes(&office).await;
    let registry = &office.registry;
    let at = |seconds: i64| Instant::from_micros(now().micros() + seconds * 1_000_000);
    let take =
        async |seconds: i64| registry.take_delivery(&all.webhook_id, at(seconds), at(seconds + 30)).await.unwrap();
    let first = take(0).await.unwrap();
    registry.end_delivery(&first).await.unwrap();
    let second = take(0).await.unwrap();
    registry.put_off_delivery(&second, at(1)).await.unwrap();
    registry.put_off_webhook(&all.webhook_id, at(1)).await.unwrap();
    assert!(take(0).await.is_none(), "nobody is asked while nobody answers");
    let again = take(1).await.unwrap();
    assert_eq!((again.delivery_id, again.attempts, again.body), (second.delivery_id, 1, second.body));
    let disabled = WebhookUpdate { status: Some(WebhookStatus::Disabled), ..WebhookUpdate::default() };
    registry.update_webhook(&all.webhook_id, &disabled, "ana", now()).await.unwrap();
    assert!(take(100).await.is_none(), "what was to be sent is not sent later");
    registry.delete_webhook(&all.webhook_id, "ana", now()).await.unwrap();
    registry.webhook(&all.webhook_id).await.unwrap_err();
    let mut reader = registry.metadata().read().await.unwrap();
    let audited = format!("{:?}", audit::list(&mut reader, &audit::Filter::default()).await.unwrap());
    assert!(audited.contains("all.example") && audited.contains("webhook.delete"), "{audited}");
    for secret in ["unguessable", "token=1", "secret/path", "user:pass"] {
        assert!(!audited.contains(secret), "{secret}: {audited}");
    }
}

#[tokio::test]
async fn pages_begin_after_a_webhook() {
    let office = Office::open().await;
    for number in 0..5 {
        webhook(&office, &format!("w{number}"), &ALL[..1], WebhookStatus::Active).await;
    }
    let (mut token, mut names) = (None, Vec::new());
    loop {
        let page = office.registry.webhooks(2, token.as_deref()).await.unwrap();
        names.extend(page.items.into_iter().map(|one| one.name));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["w4", "w3", "w2", "w1", "w0"]);
    office.registry.webhooks(2, Some("made up")).await.unwrap_err();
}
