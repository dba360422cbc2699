//! The `karat` command: reads the command line, wires the back ends, prints.
//!
//! Invariant: holds no logic of its own beyond the demo's story; every operation is a job.

mod allocator;
mod args;
mod commands;
mod demo;
mod failure;
mod openmp;
mod output;
mod progress;
mod prompt;
mod templates;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(&cli);
    openmp::wait_asleep(&cli);
    // Two workers: passes over data block the one they run on, and the server beside them goes on answering.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error.into()),
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

/// To stderr. A server says what it does; other commands only what is wrong; `KARAT_LOG` overrules.
fn start_logging(cli: &Cli) {
    let default = match (cli.global.verbose, &cli.command) {
        (0, Command::Serve(_)) => "info",
        // The story itself shows what its server finds.
        (0, Command::Demo(_)) => "warn,karat_serving=error",
        (0, _) => "warn",
        (1, _) => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KARAT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}
