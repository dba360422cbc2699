//! LightGBM's threads wait for each other after every step of every tree, by default spinning: on a machine that does
//! anything else besides, most of the time is then spent waiting (measured: 186 s instead of 18).

use crate::args::{Cli, Command, RunsCommand};

const POLICY: &str = "OMP_WAIT_POLICY";
const ASLEEP: &str = "passive";

/// Starts the process anew with threads that sleep while they wait, for commands that train and unless the caller chose.
/// OpenMP reads its settings when its library is loaded, before `main`: setting them here would be too late.
pub fn wait_asleep(cli: &Cli) {
    let trains =
        matches!(cli.command, Command::Train { .. } | Command::Demo(_) | Command::Runs(RunsCommand::Reproduce { .. }));
    if trains && std::env::var_os(POLICY).is_none() {
        start_anew();
    }
}

/// For a process that trains, unless who started this one chose.
pub fn asleep() -> Option<(&'static str, &'static str)> {
    std::env::var_os(POLICY).is_none().then_some((POLICY, ASLEEP))
}

/// Returns only where that is not possible: then it goes on as it is.
#[cfg(unix)]
fn start_anew() {
    use std::os::unix::process::CommandExt;
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env(POLICY, ASLEEP).exec();
    tracing::debug!(%error, "training threads will spin while they wait");
}

#[cfg(not(unix))]
fn start_anew() {}
