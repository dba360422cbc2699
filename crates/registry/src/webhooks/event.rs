//! What webhooks are told of, as MLflow names it and in the form of its payloads.

use karat_core::{Instant, fresh_id};
use karat_metadata::{Bind, WriteTx, query_scalar};
use serde_json::{Value as Json, json};

use crate::{ModelVersion, RegisteredModel, RegistryError};

/// MLflow's events. Those of prompts and budgets can be asked for and never happen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    entity: &'static str,
    action: &'static str,
}

const ALL: [(&str, &[&str]); 10] = [
    ("registered_model", &["created"]),
    ("model_version", &["created"]),
    ("model_version_tag", &["set", "deleted"]),
    ("model_version_alias", &["created", "deleted"]),
    ("prompt", &["created"]),
    ("prompt_version", &["created"]),
    ("prompt_tag", &["set", "deleted"]),
    ("prompt_version_tag", &["set", "deleted"]),
    ("prompt_alias", &["created", "deleted"]),
    ("budget_policy", &["exceeded"]),
];

impl Event {
    pub fn of(entity: &str, action: &str) -> Option<Event> {
        let (entity, actions) = ALL.iter().find(|(name, _)| *name == entity)?;
        let action = actions.iter().find(|name| **name == action)?;
        Some(Event { entity, action })
    }

    /// `entity.action`
    pub fn parse(text: &str) -> Option<Event> {
        let (entity, action) = text.split_once('.')?;
        Event::of(entity, action)
    }

    /// What may happen to an entity; `None` where there is no such entity.
    pub fn actions(entity: &str) -> Option<&'static [&'static str]> {
        ALL.iter().find(|(name, _)| *name == entity).map(|(_, actions)| *actions)
    }

    pub fn entity(self) -> &'static str {
        self.entity
    }

    pub fn action(self) -> &'static str {
        self.action
    }

    /// What is sent when a webhook is tried.
    pub fn example(self) -> Json {
        let thing = match self.entity.starts_with("prompt") {
            true => "prompt",
            false => "model",
        };
        let name = format!("example_{thing}");
        let (tags, version) = (json!({"example_key": "example_value"}), "1");
        match (self.entity, self.action) {
            ("registered_model" | "prompt", _) => {
                let described = if thing == "model" { "registered model" } else { "prompt" };
                json!({"name": name, "tags": tags, "description": format!("An example {described}")})
            }
            ("model_version", _) => json!({"name": name, "version": version, "source": "models:/123",
                "run_id": "abcd1234abcd5678", "tags": tags, "description": "An example model version"}),
            ("prompt_version", _) => json!({"name": name, "version": version, "template": "Hello {{name}}!",
                "tags": tags, "description": "An example prompt version"}),
            ("prompt_tag", "set") => json!({"name": name, "key": "example_key", "value": "example_value"}),
            ("prompt_tag", _) => json!({"name": name, "key": "example_key"}),
            ("model_version_tag" | "prompt_version_tag", "set") => {
                json!({"name": name, "version": version, "key": "example_key", "value": "example_value"})
            }
            ("model_version_tag" | "prompt_version_tag", _) => {
                json!({"name": name, "version": version, "key": "example_key"})
            }
            ("model_version_alias" | "prompt_alias", "created") => {
                json!({"name": name, "alias": "example_alias", "version": version})
            }
            ("model_version_alias" | "prompt_alias", _) => json!({"name": name, "alias": "example_alias"}),
            _ => json!({"budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0,
                "current_spend": 105.5, "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "ENDPOINT",
                "workspace": "default", "target_value": "ep-abc123", "window_start": 1_704_067_200_000_i64}),
        }
    }

    /// What is sent.
    pub fn body(self, data: &Json, at: Instant) -> String {
        // As Python writes UTC, which its readers before 3.11 insist on.
        let at = at.to_string().replace('Z', "+00:00");
        json!({"entity": self.entity, "action": self.action, "timestamp": at, "data": data}).to_string()
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.entity, self.action)
    }
}

/// A change that webhooks are told of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happened<'a> {
    ModelCreated(&'a RegisteredModel),
    /// Its files are there.
    VersionCreated(&'a ModelVersion),
    TagSet {
        version: (&'a str, u64),
        tag: (&'a str, &'a str),
    },
    TagDeleted {
        version: (&'a str, u64),
        key: &'a str,
    },
    AliasSet {
        version: (&'a str, u64),
        alias: &'a str,
    },
    AliasDeleted {
        model: &'a str,
        alias: &'a str,
    },
}

impl Happened<'_> {
    fn event(self) -> Event {
        let (entity, action) = match self {
            Happened::ModelCreated(_) => ("registered_model", "created"),
            Happened::VersionCreated(_) => ("model_version", "created"),
            Happened::TagSet { .. } => ("model_version_tag", "set"),
            Happened::TagDeleted { .. } => ("model_version_tag", "deleted"),
            Happened::AliasSet { .. } => ("model_version_alias", "created"),
            Happened::AliasDeleted { .. } => ("model_version_alias", "deleted"),
        };
        Event { entity, action }
    }

    fn data(self) -> Json {
        match self {
            Happened::ModelCreated(model) => {
                json!({"name": model.name, "tags": model.tags, "description": model.description})
            }
            Happened::VersionCreated(version) => {
                let run_id = version.run_id.as_ref().map_or(version.source_run_id.as_str(), |run_id| run_id.as_str());
                let said = |text: &str| if text.is_empty() { Json::Null } else { text.into() };
                json!({"name": version.model, "version": version.version.to_string(), "source": version.source_uri(),
                    "run_id": said(run_id), "tags": version.tags, "description": said(&version.description)})
            }
            Happened::TagSet { version: (model, number), tag: (key, value) } => {
                json!({"name": model, "version": number.to_string(), "key": key, "value": value})
            }
            Happened::TagDeleted { version: (model, number), key } => {
                json!({"name": model, "version": number.to_string(), "key": key})
            }
            Happened::AliasSet { version: (model, number), alias } => {
                json!({"name": model, "alias": alias, "version": number.to_string()})
            }
            Happened::AliasDeleted { model, alias } => json!({"name": model, "alias": alias}),
        }
    }
}

/// Keeps for every webhook that wants it what is to be sent of a change, with the change or not at all.
pub(crate) async fn tell(tx: &mut WriteTx, what: Happened<'_>, now: Instant) -> Result<(), RegistryError> {
    let event = what.event();
    let name = event.to_string();
    let wanted: Vec<String> = query_scalar(
        "SELECT e.webhook_id FROM webhook_events e JOIN webhooks w ON w.webhook_id = e.webhook_id \
         WHERE e.event = $1 AND w.status = 'ACTIVE' ORDER BY e.webhook_id",
    )
    .bind(&name)
    .fetch_all(tx)
    .await?;
    if wanted.is_empty() {
        return Ok(());
    }
    let body = event.body(&what.data(), now);
    let rows = wanted.into_iter().map(|webhook_id| {
        [fresh_id().bound(), webhook_id.bound(), (&name).bound(), (&body).bound(), now.micros().bound(), 0_i64.bound()]
    });
    let head = "INSERT INTO webhook_deliveries (delivery_id, webhook_id, event, body, due, attempts)";
    tx.insert(head, rows, "").await?;
    Ok(())
}
