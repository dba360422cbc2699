//! Who is told of changes to registered models.

use karat_jobs::webhooks::Tried;
use karat_registry::{Event, NewWebhook, Webhook, WebhookStatus, WebhookUpdate};
use serde_json::{Map, Value as Json, json};

use super::error::MlflowError;
use super::experiments::token;
use super::fields::Fields;
use super::{Answer, Tracking, wire};

const LONGEST_NAME: usize = 63;
const MOST: i64 = 1_000;
/// What a page has where nothing is said.
const USUAL: i64 = 100;

pub async fn create(tracking: Tracking, mut fields: Fields) -> Answer {
    let (name, url) = (fields.required("name")?.to_owned(), fields.required("url")?.to_owned());
    let missing = match fields.has("events") {
        true => MlflowError::invalid("Webhook events must be a non-empty list of WebhookEvent objects: []."),
        false => fields.missing("events"),
    };
    let events = events(&mut fields)?;
    let new = NewWebhook {
        name: named(&name)?,
        url: address(&tracking, &url).await?,
        events: events.ok_or(missing)?,
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        secret: fields.text("secret")?.unwrap_or_default().to_owned(),
        status: status(&fields)?.unwrap_or(WebhookStatus::Active),
    };
    answer(&tracking.registry().create_webhook(&new, tracking.caller(), tracking.now()).await?)
}

pub async fn list(tracking: Tracking, fields: Fields) -> Answer {
    let most = fields.int("max_results")?.filter(|most| *most != 0).unwrap_or(USUAL);
    let within = u32::try_from(most).ok().filter(|_| (1..=MOST).contains(&most));
    let most = within.ok_or_else(|| MlflowError::invalid("max_results must be between 1 and 1000."))?;
    let page = tracking.registry().webhooks(most, token(&fields)?.as_deref()).await?;
    let mut answer = Map::new();
    wire::put(&mut answer, "webhooks", page.items.iter().map(webhook).collect());
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.into());
    }
    Ok(Json::Object(answer))
}

pub async fn get(tracking: Tracking, fields: Fields) -> Answer {
    answer(&tracking.registry().webhook(fields.required("webhook_id")?).await?)
}

pub async fn update(tracking: Tracking, mut fields: Fields) -> Answer {
    let given = |name: &str| Ok::<_, MlflowError>(fields.text(name)?.map(str::to_owned));
    let (name, url) = (given("name")?.filter(|name| !name.is_empty()), given("url")?.filter(|url| !url.is_empty()));
    let (description, secret) = (given("description")?, given("secret")?);
    let update = WebhookUpdate {
        name: name.as_deref().map(named).transpose()?,
        url: match url {
            Some(url) => Some(address(&tracking, &url).await?),
            None => None,
        },
        description,
        secret,
        status: status(&fields)?,
        events: events(&mut fields)?,
    };
    let webhook_id = fields.required("webhook_id")?;
    answer(&tracking.registry().update_webhook(webhook_id, &update, tracking.caller(), tracking.now()).await?)
}

pub async fn delete(tracking: Tracking, fields: Fields) -> Answer {
    let webhook_id = fields.required("webhook_id")?;
    tracking.registry().delete_webhook(webhook_id, tracking.caller(), tracking.now()).await?;
    Ok(json!({}))
}

pub async fn try_out(tracking: Tracking, mut fields: Fields) -> Answer {
    let event = fields.message("event")?;
    let named = event.text("entity").ok().flatten().is_some() || event.int("entity").ok().flatten().is_some();
    let event = if named { Some(self::event(&event)?) } else { None };
    let result = match tracking.webhooks().try_out(fields.required("webhook_id")?, event).await? {
        Tried::Answered(answered) => {
            let mut result = json!({"success": answered.status < 400, "response_status": answered.status});
            if !answered.body.is_empty() {
                result["response_body"] = answered.body.into();
            }
            result
        }
        Tried::Failed(failure) => {
            json!({"success": false, "error_message": format!("Failed to test webhook: {failure}")})
        }
    };
    Ok(json!({"result": result}))
}

fn answer(found: &Webhook) -> Answer {
    Ok(json!({"webhook": webhook(found)}))
}

/// Without its secret, as MLflow shows it.
fn webhook(webhook: &Webhook) -> Json {
    let upper = |text: &str| text.to_ascii_uppercase();
    let event = |event: &Event| json!({"entity": upper(event.entity()), "action": upper(event.action())});
    let mut fields = Map::from_iter([
        ("webhook_id".to_owned(), Json::from(webhook.webhook_id.as_str())),
        ("name".to_owned(), webhook.name.as_str().into()),
        ("url".to_owned(), webhook.url.as_str().into()),
        ("events".to_owned(), webhook.events.iter().map(event).collect()),
        ("status".to_owned(), webhook.status.as_str().into()),
        ("creation_timestamp".to_owned(), webhook.creation_time_ms.into()),
        ("last_updated_timestamp".to_owned(), webhook.last_update_time_ms.into()),
    ]);
    if !webhook.description.is_empty() {
        fields.insert("description".to_owned(), webhook.description.as_str().into());
    }
    Json::Object(fields)
}

fn named(name: &str) -> Result<String, MlflowError> {
    let ends = |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    match inside && ends(name.chars().next()) && ends(name.chars().last()) && name.len() <= LONGEST_NAME {
        true => Ok(name.to_owned()),
        false => Err(MlflowError::invalid(format!(
            "Webhook name '{name}' is invalid. It must start and end with a letter or digit, be less than 63 characters \
             long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
        ))),
    }
}

async fn address(tracking: &Tracking, url: &str) -> Result<String, MlflowError> {
    let refused = |failure| MlflowError::invalid(format!("Invalid webhook URL '{url}': {failure}"));
    tracking.webhooks().check(url).await.map_err(refused)?;
    Ok(url.to_owned())
}

/// `None` where none are named.
fn events(fields: &mut Fields) -> Result<Option<Vec<Event>>, MlflowError> {
    let each = fields.messages("events")?;
    let events = each.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(events).filter(|events| !events.is_empty()))
}

/// By MLflow's numbers, where they are not named.
const ENTITIES: [&str; 11] = [
    "ENTITY_UNSPECIFIED",
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
];
const ACTIONS: [&str; 6] = ["ACTION_UNSPECIFIED", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED"];
const STATUSES: [&str; 3] = ["", "ACTIVE", "DISABLED"];

fn event(fields: &Fields) -> Result<Event, MlflowError> {
    let (entity, action) = (word(fields, "entity", &ENTITIES)?, word(fields, "action", &ACTIONS)?);
    let lower = |word: Option<String>| word.unwrap_or_default().to_ascii_lowercase();
    let (entity, action) = (lower(entity), lower(action));
    let Some(actions) = Event::actions(&entity) else {
        return Err(MlflowError::invalid(format!("'{entity}' is not a valid WebhookEntity")));
    };
    Event::of(&entity, &action).ok_or_else(|| {
        let mut actions = actions.to_vec();
        actions.sort_unstable();
        let valid = actions.iter().map(|action| format!("'{action}'")).collect::<Vec<_>>().join(", ");
        MlflowError::invalid(format!("Invalid action '{action}' for entity '{entity}'. Valid actions are: [{valid}]"))
    })
}

fn status(fields: &Fields) -> Result<Option<WebhookStatus>, MlflowError> {
    let word = word(fields, "status", &STATUSES)?;
    let status = |word: String| WebhookStatus::parse(&word).ok_or_else(|| fields.refused("status"));
    word.map(status).transpose()
}

/// A word of an enumeration, which protobuf's JSON also writes as its number.
fn word(fields: &Fields, name: &str, words: &[&str]) -> Result<Option<String>, MlflowError> {
    if let Ok(text) = fields.text(name) {
        return Ok(text.map(str::to_owned));
    }
    let number = fields.int(name)?.and_then(|number| usize::try_from(number).ok());
    let word = number.and_then(|number| words.get(number)).ok_or_else(|| fields.refused(name))?;
    Ok(Some((*word).to_owned()))
}
