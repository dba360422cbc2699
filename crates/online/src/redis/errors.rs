//! Redis's errors in the words of whoever has to act on them.

use ::redis::{ErrorKind as Kind, RedisError, ServerErrorKind};
use karat_core::{ErrorKind, OnlineError};

/// How often a message names the setting.
const SETTING: &str = "stores.online in karat.yaml";

pub(super) fn convert(place: &str, error: &RedisError) -> OnlineError {
    let (kind, message) = match (error.kind(), error.code()) {
        (_, Some("KARATLOST")) => return lost(place),
        (_, Some("WRONGTYPE")) => (
            ErrorKind::Corrupt,
            format!(
                "{place} holds keys that Karat did not write: give the project a database number or a ?prefix= of its own"
            ),
        ),
        (Kind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => (
            ErrorKind::Unavailable,
            format!("{place} does not take the user and password, or wants one: set them in {SETTING}"),
        ),
        (Kind::Server(ServerErrorKind::NoPerm), _) => (
            ErrorKind::Unavailable,
            format!(
                "{place} does not allow what is needed: the user needs EVALSHA, SCRIPT LOAD and every command on its keys ({})",
                detail(error)
            ),
        ),
        (_, Some("OOM")) => (
            ErrorKind::Unavailable,
            format!("{place} is full: raise its maxmemory, or drop definitions no longer served"),
        ),
        (_, Some("MISCONF")) => (
            ErrorKind::Unavailable,
            format!("{place} takes no writes, as it cannot write its own disk: its log says why"),
        ),
        (Kind::Server(ServerErrorKind::ReadOnly), _) => {
            (ErrorKind::Unavailable, format!("{place} is a read-only replica: name the primary in {SETTING}"))
        }
        (Kind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::TryAgain), _)
        | (_, Some("BUSY")) => (ErrorKind::Unavailable, format!("{place} is not ready yet: {}", detail(error))),
        (
            Kind::Server(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::CrossSlot
                | ServerErrorKind::ClusterDown,
            ),
            _,
        ) => (
            ErrorKind::Refused,
            format!("{place} is a Redis Cluster: online state needs one server, replicas beside it or not"),
        ),
        (Kind::Server(ServerErrorKind::NoScript), _) => (
            ErrorKind::Unavailable,
            format!("{place} was told to forget its scripts in the middle of a write: write again"),
        ),
        (Kind::Io | Kind::Parse, _) if error.is_timeout() => {
            (ErrorKind::Unavailable, format!("{place} did not answer in time"))
        }
        (Kind::Io, _) if error.is_connection_refusal() => {
            (ErrorKind::Unavailable, format!("nothing listens at {place}: is Redis running? ({SETTING})"))
        }
        (Kind::Io | Kind::Client | Kind::InvalidClientConfig, _) => {
            (ErrorKind::Unavailable, format!("{place} cannot be reached: {error}"))
        }
        (_, Some("ERR")) if detail(error).contains("DB index") => {
            (ErrorKind::Invalid, format!("{place} has no such database: give another number in {SETTING}"))
        }
        _ => (ErrorKind::Internal, format!("{place}: {error}")),
    };
    OnlineError { kind, message }
}

fn detail(error: &RedisError) -> &str {
    error.detail().unwrap_or_else(|| error.category())
}

/// State that a record counts is not there.
pub(super) fn lost(place: &str) -> OnlineError {
    let message = format!(
        "{place} has lost state that was written (deleted, or evicted: its maxmemory-policy must be noeviction): \
         materialize again, it is rebuilt from history"
    );
    OnlineError { kind: ErrorKind::Corrupt, message }
}

pub(super) fn newer(place: &str, version: &str, known: u32) -> OnlineError {
    let message = format!(
        "{place} has format version {version}, this Karat knows {known}: use a newer Karat, or empty the database and \
         materialize again"
    );
    OnlineError { kind: ErrorKind::Refused, message }
}

pub(super) fn not_its_turn(place: &str) -> OnlineError {
    let message = format!(
        "{place}: this writer was held up for so long that its turn to write was over; nothing of it was written: write again"
    );
    OnlineError { kind: ErrorKind::Conflict, message }
}

pub(super) fn unexpected(place: &str, what: &str) -> OnlineError {
    OnlineError {
        kind: ErrorKind::Corrupt,
        message: format!("{place} is damaged ({what}): empty it and materialize again"),
    }
}
