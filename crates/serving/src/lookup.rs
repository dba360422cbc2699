//! The seam to outside services: their answers are in history and online state before a decision reads features.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use karat_core::{Instant, Name, Value};

use crate::gate::Until;
use crate::request::{Body, Subject};
use crate::{Pinned, QaFailure, ServingError};

/// Look-ups of one request that are waited for at once; each service has its own bound besides.
const AT_ONCE: usize = 64;

pub type LookingUp<'a> = BoxFuture<'a, Result<LookedUp, String>>;

/// Services that are asked about keys.
pub trait Lookups: Send + Sync + Debug {
    /// Whether a source's rows are answers of a service.
    fn has(&self, source: &Name) -> bool;

    /// Sees to it that the newest row of a key (columns and their values) is one that may be decided on: an answer that is
    /// fresh, kept before or asked for now, or what stands in for one. An error says why there is none. Who stops waiting
    /// stops nothing: what comes is kept.
    fn look_up<'a>(&'a self, source: &'a Name, key: &'a [(&'a str, &'a Value)], until: Stopwatch) -> LookingUp<'a>;
}

/// The newest row of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// Its event time: decisions at later instants see it.
    pub at: Instant,
    /// Why it is not an answer but stands in for one.
    pub failure: Option<String>,
}

/// Where there are no services.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLookups;

impl Lookups for NoLookups {
    fn has(&self, _: &Name) -> bool {
        false
    }

    fn look_up<'a>(&'a self, source: &'a Name, _: &'a [(&'a str, &'a Value)], _: Stopwatch) -> LookingUp<'a> {
        Box::pin(async move { Err(format!("nobody looks up {source} here")) })
    }
}

/// The sources that a version's features come from and that are looked up.
pub(crate) fn sources(pinned: &Pinned, lookups: &dyn Lookups) -> Vec<Name> {
    let mut sources: Vec<Name> = Vec::new();
    for view in &pinned.views {
        let source = &view.definition.source.name;
        if lookups.has(source) && !sources.contains(source) {
            sources.push(source.clone());
        }
    }
    sources
}

/// What a request's look-ups came to.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The newest row that is to be seen.
    pub newest: Option<Instant>,
    /// By the subject's place.
    failures: HashMap<usize, Vec<(Name, String)>>,
}

/// Looks up every key of a request. One that states its `as_of` reads what is kept: what a service says now was not known
/// then.
pub(crate) async fn all(
    lookups: &Arc<dyn Lookups>,
    sources: &[Name],
    pinned: &Pinned,
    body: &Body,
    until: &Until,
) -> Result<Answers, ServingError> {
    let mut answers = Answers::default();
    if sources.is_empty() || body.as_of.is_some() {
        return Ok(answers);
    }
    // Boxed one by one: a closure that makes them has lifetimes that a handler's future cannot name.
    let mut looking: Vec<BoxFuture<'_, Found<'_>>> = Vec::new();
    for (place, subject) in body.subjects.iter().enumerate() {
        if let Subject::Key(key) = subject {
            for source in sources {
                let Some(columns) = pinned.of_source(source, key) else { continue };
                // Part of a key that is said to be none has no history, and nothing to ask about.
                if columns.iter().all(|(_, value)| !value.is_null()) {
                    answerable(&columns, source, body, place)?;
                    let subject = (place, key.as_slice());
                    looking.push(Box::pin(one(lookups.as_ref(), source, pinned, subject, columns, until)));
                }
            }
        }
    }
    let mut looking = stream::iter(looking).buffer_unordered(AT_ONCE);
    while let Some((place, source, looked_up)) = looking.try_next().await? {
        answers.newest = answers.newest.max(Some(looked_up.at));
        if let Some(failure) = looked_up.failure {
            answers.failures.entry(place).or_default().push((source.clone(), failure));
        }
    }
    Ok(answers)
}

/// No row of a source has a text with a NUL byte, an answer's neither.
fn answerable(columns: &[(&str, &Value)], source: &Name, body: &Body, place: usize) -> Result<(), ServingError> {
    let holds_nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if !columns.iter().any(|(_, value)| holds_nul(value)) {
        return Ok(());
    }
    let field = if body.single { "key".to_owned() } else { format!("keys[{place}]") };
    let message = format!("`{field}` holds a NUL byte: no row has such a key, and {source} is asked about none");
    Err(ServingError::Field { field, message })
}

/// The place of a subject, what was looked up for it, and the row.
type Found<'a> = Result<(usize, &'a Name, LookedUp), ServingError>;

async fn one<'a>(
    lookups: &dyn Lookups,
    source: &'a Name,
    pinned: &Pinned,
    (place, key): (usize, &[Value]),
    columns: Vec<(&str, &Value)>,
    until: &Until,
) -> Found<'a> {
    match lookups.look_up(source, &columns, until.deadline()).await {
        Ok(looked_up) => Ok((place, source, looked_up)),
        Err(problem) => {
            Err(ServingError::LookupFailed { lookup: source.to_string(), subject: pinned.subject(key), problem })
        }
    }
}

impl Answers {
    /// What a person should know of a subject's values: those that rest on no answer.
    pub fn told(&self, place: usize, pinned: &Pinned, values: &[Value]) -> Vec<QaFailure> {
        let Some(failures) = self.failures.get(&place) else { return Vec::new() };
        let mut told = Vec::new();
        for (input, value) in pinned.inputs.iter().zip(values) {
            let Some((view, _)) = input.view_output() else { continue };
            let source = &pinned.views[view].definition.source.name;
            let failure = failures.iter().find(|(failed, _)| failed == source);
            told.extend(failure.map(|(_, failure)| QaFailure {
                feature: input.name.clone(),
                value: value.to_json(),
                check: format!("look-up of {source} failed: {failure}; its default instead"),
            }));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_no_row_can_have_is_the_callers_mistake() {
        let source = Name::new("bureau").unwrap();
        let (good, bad) = (Value::text("ab"), Value::text("a\0b"));
        let body = |single| Body { subjects: Vec::new(), fields: Vec::new(), single, as_of: None, reasons: None };
        answerable(&[("client", &good), ("n", &Value::Int(0))], &source, &body(true), 0).unwrap();
        for (single, field) in [(true, "key"), (false, "keys[3]")] {
            let wrong = answerable(&[("client", &good), ("town", &bad)], &source, &body(single), 3).unwrap_err();
            assert_eq!(wrong.field(), Some(field));
            assert!(wrong.to_string().contains("holds a NUL byte"), "{wrong}");
        }
    }
}
