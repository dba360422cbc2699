//! How a server measures what runs have logged: in a process of its own, which is this program again. It needs a training
//! set's memory and all cores for a while, and gives both back; whatever becomes of it, decisions are answered.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use futures::future::BoxFuture;
use karat_core::ErrorKind;
use karat_jobs::{Workspace, kind_of, register};
use karat_project::Project;
use karat_project::spec::Stores;
use karat_server::{LoggedRun, RegisteredRun, Registrar, RegistrarError};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, TryAcquireError};

use super::around;
use crate::openmp;
use crate::progress;

/// The hidden command that [`work`] is behind.
pub const COMMAND: &str = "register-logged";

/// What the process is told, on its standard input: stores may hold passwords.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    root: PathBuf,
    environment: Option<String>,
    stores: Stores,
    run: String,
    model: String,
    path: Option<String>,
    who: String,
}

/// What it says at its end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Registered { version: u64, is_new: bool },
    Failed { status: u16, message: String },
}

#[derive(Debug)]
pub struct Registrations {
    root: PathBuf,
    environment: Option<String>,
    stores: Stores,
    turn: Arc<Semaphore>,
    /// The process's own.
    threads: Handle,
}

impl Registrations {
    pub fn of(workspace: &Workspace, environment: Option<String>) -> Registrations {
        let project = &workspace.project;
        Registrations {
            root: project.root().to_owned(),
            environment,
            stores: project.config().stores.clone(),
            turn: Arc::new(Semaphore::new(1)),
            threads: Handle::current(),
        }
    }
}

impl Registrar for Registrations {
    fn register(&self, logged: LoggedRun) -> BoxFuture<'static, Result<RegisteredRun, RegistrarError>> {
        let turn = match self.turn.clone().try_acquire_owned() {
            Ok(turn) => turn,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                return Box::pin(async { Err(RegistrarError::Busy) });
            }
        };
        let task = Task {
            root: self.root.clone(),
            environment: self.environment.clone(),
            stores: self.stores.clone(),
            run: logged.run_id.to_string(),
            model: logged.model,
            path: logged.path,
            who: logged.who,
        };
        // It ends on its own, also if who asked has gone.
        let running = self.threads.spawn(async move {
            let _turn = turn;
            ask(&task).await
        });
        Box::pin(async move {
            let internal = |message: String| RegistrarError::Failed { kind: ErrorKind::Internal, message };
            match running.await {
                Ok(Ok(Outcome::Registered { version, is_new })) => Ok(RegisteredRun { version, is_new }),
                Ok(Ok(Outcome::Failed { status, message })) => {
                    Err(RegistrarError::Failed { kind: kind_with(status), message })
                }
                Ok(Err(error)) => Err(internal(format!("{error:#}"))),
                Err(failed) => Err(internal(failed.to_string())),
            }
        })
    }
}

async fn ask(task: &Task) -> Result<Outcome> {
    let program = std::env::current_exe().context("this program is not where it was")?;
    let mut command = Command::new(program);
    command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(openmp::asleep());
    let mut child = command.spawn().context("the process that measures a run")?;
    let mut input = child.stdin.take().context("it has a standard input")?;
    input.write_all(&serde_json::to_vec(task)?).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    match serde_json::from_slice(&output.stdout) {
        Ok(outcome) => Ok(outcome),
        Err(_) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            bail!("the process that measures a run ended with {}: {}", output.status, last.join(" / "))
        }
    }
}

/// What the process does.
pub async fn work() -> Result<ExitCode> {
    let task: Task = serde_json::from_reader(std::io::stdin().lock()).context("what to register")?;
    let outcome = match register(task).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed { status: kind_of(&error).http_status(), message: format!("{error:#}") },
    };
    serde_json::to_writer(std::io::stdout().lock(), &outcome)?;
    Ok(ExitCode::SUCCESS)
}

async fn register(task: Task) -> Result<Outcome> {
    let Task { root, environment, stores, run, model, path, who } = task;
    let project = Project::load(&root, environment.as_deref())?.with_stores(|held| *held = stores);
    let around = karat_jobs::Surroundings { actor: who, ..around(progress::observer()) };
    let workspace = Box::pin(Workspace::open(project, around)).await?;
    let trial = register::run(&workspace, &run, Some(&model), path.as_deref()).await?;
    Ok(Outcome::Registered { version: trial.version, is_new: trial.new_version })
}

/// Kinds are told apart by their statuses.
fn kind_with(status: u16) -> ErrorKind {
    let kinds = [
        ErrorKind::Invalid,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Refused,
        ErrorKind::Unavailable,
        ErrorKind::Internal,
    ];
    kinds.into_iter().find(|kind| kind.http_status() == status).unwrap_or(ErrorKind::Internal)
}
