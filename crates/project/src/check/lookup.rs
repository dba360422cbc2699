//! What a look-up is asked by, what it fills itself, and what stands in for an answer. Secrets stand in the environment.

use std::collections::HashSet;

use indexmap::IndexMap;
use karat_core::{DataType, Name, Value};
use serde_json::Value as Json;

use super::columns::{Columns, Reading};
use super::entity;
use super::scope::Scope;
use crate::spec::{ColumnSpec, Lookup, OnLookupFailure, Source};
use crate::suggest::ticked;
use crate::template::Template;
use crate::variables::has_variables;
use crate::yaml::path_key;

/// Repetitions of one request: more make a slow service slower.
const MOST_RETRIES: u32 = 10;

/// Parts of the names of headers that carry secrets.
const SECRET: [&str; 6] = ["authorization", "cookie", "key", "token", "secret", "password"];

pub(super) fn check(scope: &mut Scope<'_>, source: &Source) {
    let Some(lookup) = &source.lookup else { return };
    if source.columns.is_empty() && scope.is_sound() {
        let help = "write a line `name: type` for each column: of the key, of the answer and of its time";
        scope.at_key_with_help("lookup", "a look-up declares its columns: missing key `columns`", help);
        return;
    }
    check_url(scope, lookup);
    check_headers(scope, lookup);
    if lookup.body.is_some() && lookup.method.is_get() {
        scope.at_key_with_help("lookup.body", "a `GET` has no body", "say `method: POST`");
    }
    if lookup.retries > MOST_RETRIES {
        scope.at("lookup.retries", format!("at most {MOST_RETRIES}: more make a slow service slower"));
    }
    check_failure_column(scope, source);
    check_time(scope, source, lookup);
    check_asked_by(scope, source, lookup);
    if let OnLookupFailure::Default(values) = &lookup.on_failure {
        check_values(scope, source, lookup, values, "lookup.on_failure.default");
    }
    if let Some(values) = &lookup.not_found {
        check_values(scope, source, lookup, values, "lookup.not_found");
    }
}

/// The service is asked by what views over its answers are read by.
pub(super) fn check_view(scope: &mut Scope<'_>, entities: &[Name], keys: &[String], source: &Source) {
    let Some(lookup) = &source.lookup else { return };
    let asked_by = lookup.asked_by();
    let of_the_view = asked_by.len() == keys.len() && asked_by.iter().all(|column| keys.contains(column));
    if asked_by.is_empty() || keys.is_empty() || of_the_view {
        return;
    }
    let names = |names: &[String]| ticked(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let of = match entities {
        [entity] if keys.len() == 1 => format!("entity `{entity}` has the key"),
        _ => "the view's key is".to_owned(),
    };
    let message =
        format!("source `{}` asks its service by {}, and {of} {}", source.name, names(&asked_by), names(keys));
    scope.at(&entity::path_of(scope, "", 0), message);
}

fn check_url(scope: &mut Scope<'_>, lookup: &Lookup) {
    let url = &lookup.url;
    if Template::parse(url).is_none() {
        let help = "write `{column}`, and `{{` for the character itself";
        scope.at_with_help("lookup.url", "a `{` that names no column", help);
        return;
    }
    let begins = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    match begins {
        None if !url.starts_with("${") => {
            scope.at_with_help("lookup.url", "a service is asked over HTTP", "begin with `https://` or `http://`");
        }
        Some(rest) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let user = host.rsplit_once('@').map(|(user, _)| user);
            if user.is_some_and(|user| !has_variables(user)) {
                scope.at_with_help(
                    "lookup.url",
                    "a user in the URL stands in every Release",
                    "write `${VAR}`, or a header",
                );
            }
        }
        None => {}
    }
}

fn check_headers(scope: &mut Scope<'_>, lookup: &Lookup) {
    for (name, value) in &lookup.headers {
        let path = format!("lookup.headers.{}", path_key(name));
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            scope.at_key(&path, format!("`{}` is no name of a header", name.escape_debug()));
        }
        if value.chars().any(char::is_control) {
            scope.at(&path, "a header is one line");
        }
        let lower = name.to_ascii_lowercase();
        if SECRET.iter().any(|word| lower.contains(word)) && !has_variables(value) {
            let help = "write `${VAR}`: what it holds is read where it is used, and recorded nowhere";
            scope.at_with_help(&path, "a secret stands in the file, and would in every Release", help);
        }
    }
}

/// Histories tell answers from what stands in for them.
fn check_failure_column(scope: &mut Scope<'_>, source: &Source) {
    if let Some(index) = source.drop.iter().position(|name| name == Lookup::FAILURE) {
        scope.at(
            &format!("drop[{index}]"),
            format!("`{}` tells an answer from what stands in for one", Lookup::FAILURE),
        );
    }
    if source.prepare.contains_key(Lookup::FAILURE) {
        let message = format!("every look-up has a column `{}`, which Karat fills", Lookup::FAILURE);
        scope.at_key_with_help(&format!("prepare.{}", Lookup::FAILURE), message, "give yours another name");
    }
}

/// An answer happened, and was known, when it came.
fn check_time(scope: &mut Scope<'_>, source: &Source, lookup: &Lookup) {
    let Some(event_time) = &source.event_time else {
        if scope.is_sound() {
            let help = "declare a column such as `queried_at: timestamp`, and say `event_time: queried_at`";
            scope.at_key_with_help("lookup", "an answer has a time: missing key `event_time`", help);
        }
        return;
    };
    let plain = matches!(source.columns.get(event_time), Some(ColumnSpec::Type(DataType::Timestamp)));
    if !plain || source.prepare.contains_key(event_time) || lookup.asked_by().contains(event_time) {
        let message = format!("Karat fills `{event_time}` with the instant an answer came: declare it as `timestamp`");
        scope.at_with_help("event_time", message, "a time of the service's own is another column");
    }
    for (key, given) in
        [("known_time", source.known_time.is_some()), ("available_after", source.available_after.is_some())]
    {
        if given {
            scope.at_key(key, format!("an answer is known once it came: `{key}` has no meaning for a look-up"));
        }
    }
}

fn check_asked_by(scope: &mut Scope<'_>, source: &Source, lookup: &Lookup) {
    let asked_by = lookup.asked_by();
    if asked_by.is_empty() && Template::parse(&lookup.url).is_some() {
        let help = "write the key's column where its value goes, such as `/score/{client_id}`";
        scope.at_with_help("lookup.url", "the service is not told whom it is asked about", help);
    }
    let columns = Columns::of(scope.draft, source);
    let mut seen = HashSet::new();
    for column in asked_by {
        let in_url = Template::parse(&lookup.url).is_some_and(|url| url.columns().any(|there| there == column));
        let at = if in_url { "lookup.url" } else { "lookup.body" };
        columns.require(scope, &column, Reading::Kept, at);
        if source.prepare.contains_key(&column) && seen.insert(column.clone()) {
            scope
                .at(at, format!("`{column}` is prepared from an answer: a service is asked by a column as it is read"));
        }
    }
}

/// Values that stand in for those of an answer.
fn check_values(
    scope: &mut Scope<'_>,
    source: &Source,
    lookup: &Lookup,
    values: &IndexMap<String, Json>,
    section: &str,
) {
    let columns = Columns::of(scope.draft, source);
    let asked_by = lookup.asked_by();
    for (name, value) in values {
        let path = format!("{section}.{}", path_key(name));
        if asked_by.contains(name) || source.event_time.as_ref() == Some(name) || name == Lookup::FAILURE {
            scope.at_key(&path, format!("`{name}` is known of every row: only what a service answers has a default"));
            continue;
        }
        if source.prepare.contains_key(name) && !source.columns.contains_key(name) {
            scope.at_key(&path, format!("`{name}` is prepared: give what it is prepared from"));
            continue;
        }
        let Some(data_type) = columns.require(scope, name, Reading::Delivered, &path) else { continue };
        if Value::from_json(value, data_type).is_err() {
            scope.at(&path, format!("{value} is no {data_type}"));
        }
    }
}
