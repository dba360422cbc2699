//! One file a command: calls the job, shows its outcome, gives the exit code.

mod apply;
mod audit;
mod check;
mod context;
mod experiments;
pub mod features;
mod import;
mod init;
mod init_from;
mod lineage;
pub mod models;
mod query;
pub mod replay;
mod runs;
mod schema;
pub mod serve;
mod serve_catalogue;
pub mod serve_registrar;
pub mod sources;
mod test;
pub mod train;

use std::process::ExitCode;

use anyhow::Result;
use karat_core::Instant;
use karat_jobs::Usage;

pub use context::{Context, around};

use crate::args::{Cli, Command};
use crate::demo;

pub async fn run(cli: Cli) -> Result<ExitCode> {
    let context = Context::new(cli.global);
    // Boxed one by one: the largest of them would otherwise size the one future that holds them all.
    match cli.command {
        Command::Init(args) => init::run(&context, &args),
        Command::Check => check::run(&context),
        Command::Schema { kind } => schema::run(&kind),
        Command::Apply { dry_run } => {
            let extent = if dry_run { apply::Extent::Plan } else { apply::Extent::Record };
            Box::pin(apply::run(&context, extent)).await
        }
        Command::Demo(args) => Box::pin(demo::run(&context, &args)).await,
        Command::Test { filter } => Box::pin(test::run(&context, &filter)).await,
        Command::Train { model, at } => Box::pin(train::run(&context, &model, at.as_deref())).await,
        Command::Serve(args) => Box::pin(serve::run(&context, &args)).await,
        Command::Replay { prediction_id } => Box::pin(replay::run(&context, &prediction_id)).await,
        Command::Query { sql, limit } => Box::pin(query::run(&context, &sql, limit)).await,
        Command::Sources(command) => Box::pin(sources::run(&context, command)).await,
        Command::Features(command) => Box::pin(features::run(&context, command)).await,
        Command::Lineage { name, output } => Box::pin(lineage::run(&context, name.as_deref(), output.as_deref())).await,
        Command::Experiments(command) => Box::pin(experiments::run(&context, command)).await,
        Command::Runs(command) => Box::pin(runs::run(&context, command)).await,
        Command::Models(command) => Box::pin(models::run(&context, command)).await,
        Command::Import(command) => Box::pin(import::run(&context, command)).await,
        Command::RegisterLogged => Box::pin(serve_registrar::work()).await,
        Command::Audit(command) => Box::pin(audit::run(&context, command)).await,
    }
}

/// An instant of the command line.
fn instant(flag: &str, text: Option<&str>) -> Result<Option<Instant>> {
    let parsed = text.map(Instant::parse_with_offset).transpose();
    parsed.map_err(|error| Usage(format!("{flag}: {error}")).into())
}

/// What a verdict means to the caller.
fn exit(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
