use karat_core::Window;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Lookup, Paths, Survives};

/// Where a source's rows come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin<'a> {
    Path(&'a Paths),
    Postgres(&'a Postgres),
    Command(&'a Command),
    Sql(&'a str),
    /// A service that is asked about one key at a time.
    Lookup(&'a Lookup),
    /// Nowhere: they are pushed, and nothing else.
    Pushed,
}

impl Origin<'_> {
    /// Whether rows come as bytes of a format, not from a query of ours.
    pub fn is_read(&self) -> bool {
        !matches!(self, Origin::Sql(_)) && !self.is_row_by_row()
    }

    /// Whether rows come one by one only, so that there is nothing to ingest.
    pub fn is_row_by_row(&self) -> bool {
        matches!(self, Origin::Lookup(_) | Origin::Pushed)
    }
}

/// A table of a PostgreSQL database, or what a query there gives. Exactly one of `table` and `query` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user:password@host:5432/database`, best as `${PG_URL}`: the definition keeps the reference only.
    pub url: String,
    /// A table or view, such as `public.loans`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// A `SELECT`, run as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// Rows that come one by one, over HTTP or from a command: what an answered push survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Push {
    #[serde(default)]
    pub survives: Survives,
}

/// How files write [`Push`].
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum PushForm {
    /// Whether rows are pushed.
    Pushed(bool),
    Full(Push),
}

/// A program whose standard output is read: CSV, JSON lines (by `format: json`) or an Arrow IPC stream, which tells
/// itself. It runs in the project folder, without a shell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "CommandForm")]
#[schemars(with = "CommandForm")]
pub struct Command {
    /// The program and its arguments; `${VAR}` may stand in any of them.
    pub run: Vec<String>,
    /// How long it may run.
    pub timeout: Window,
    pub stderr: Stderr,
}

/// What it means that a command that ended well wrote to its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stderr {
    /// Nothing is ingested.
    #[default]
    Fail,
    /// Nothing: some programs report progress there.
    Ignore,
}

impl Command {
    /// One hour.
    pub const TIMEOUT: Window = Window::Fixed(3600 * karat_core::time::MICROS_PER_SECOND);
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum CommandForm {
    /// The program and its arguments.
    Run(Vec<String>),
    Full(CommandFields),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CommandFields {
    /// The program and its arguments; `${VAR}` may stand in any of them.
    run: Vec<String>,
    /// How long it may run. Default: 1 hour.
    #[serde(default = "timeout")]
    timeout: Window,
    #[serde(default)]
    stderr: Stderr,
}

fn timeout() -> Window {
    Command::TIMEOUT
}

impl From<CommandForm> for Command {
    fn from(form: CommandForm) -> Command {
        match form {
            CommandForm::Run(run) => Command { run, timeout: timeout(), stderr: Stderr::default() },
            CommandForm::Full(CommandFields { run, timeout, stderr }) => Command { run, timeout, stderr },
        }
    }
}
