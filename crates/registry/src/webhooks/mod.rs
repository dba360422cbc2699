//! Who is told of changes to registered models, as MLflow's clients say it: an address, and the events that it wants.
//!
//! What is to be sent is written in the transaction of the change, whoever changes (`outbox`); a server sends it.

mod event;
mod manage;
mod outbox;

pub use event::Event;
pub(crate) use event::{Happened, tell};
pub use manage::{NewWebhook, WebhookUpdate};
pub use outbox::{Delivery, next_try};

use crate::RegistryError;

/// Without its secret, which nobody reads back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub webhook_id: String,
    pub name: String,
    pub description: String,
    pub url: String,
    /// By name.
    pub events: Vec<Event>,
    pub status: WebhookStatus,
    pub creation_time_ms: i64,
    pub last_update_time_ms: i64,
}

/// MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookStatus {
    Active,
    /// What happens meanwhile is not sent later.
    Disabled,
}

impl WebhookStatus {
    pub fn parse(word: &str) -> Option<WebhookStatus> {
        match word {
            "ACTIVE" => Some(WebhookStatus::Active),
            "DISABLED" => Some(WebhookStatus::Disabled),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            WebhookStatus::Active => "ACTIVE",
            WebhookStatus::Disabled => "DISABLED",
        }
    }
}

fn missing(webhook_id: &str) -> RegistryError {
    RegistryError::NotFound(format!("Webhook with ID {webhook_id} not found."))
}
