//! `karat serve`: decisions over HTTP, until told to stop.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use karat_jobs::deploy::{self, Deployed};
use karat_jobs::webhooks::Webhooks;
use karat_jobs::{Usage, Workspace};
use karat_server::{AppState, ListenOptions, Parts, Tracking};
use serde_json::json;
use tokio::net::TcpListener;

use super::serve_catalogue::Told;
use super::serve_registrar::Registrations;
use super::{Context, around};
use crate::args::ServeArgs;
use crate::output::count;
use crate::progress;

pub async fn run(context: &Context, args: &ServeArgs) -> Result<ExitCode> {
    let workspace = open(context, args).await?;
    let server = &workspace.project.config().server;
    let host = args.host.as_deref().unwrap_or(&server.host);
    let port = args.port.unwrap_or(server.port);
    // First what another process may have, so that it is told before the work: the log, then the port. Who connects
    // meanwhile is answered once all is loaded.
    let log = deploy::open_log(&workspace)?;
    let listener = bind(host, port).await?;
    let deployed = deploy::run(&workspace, log).await?;
    let url = url(&listener)?;
    let served = deployed.deployment.served();
    let waiting: Vec<String> =
        served.endpoints.values().filter_map(|endpoint| endpoint.model().err()).map(|e| e.to_string()).collect();
    let document = json!({"url": url, "project": served.project, "release": served.release,
        "endpoints": served.endpoints.keys().collect::<Vec<_>>()});
    context.output.print(&document, |_| {
        format!("listening on {url} ({}; pages at {url}/docs)", count(served.endpoints.len(), "endpoint", "endpoints"))
    })?;
    for reason in waiting {
        tracing::warn!("{reason}");
    }
    let registrar = Arc::new(Registrations::of(&workspace, context.environment()));
    serve(Arc::new(workspace), registrar, listener, deployed, signalled()).await?;
    Ok(ExitCode::SUCCESS)
}

/// The project with the stores that the command line names. Outside a project, the folder of `--data` becomes one.
async fn open(context: &Context, args: &ServeArgs) -> Result<Workspace> {
    let (project, data) = match (context.root(), &args.data) {
        (Err(error), None) => {
            let message = format!("{error}; `karat serve --data DIR` needs none, to track runs and models alone");
            return Err(Usage(message).into());
        }
        (Err(_), Some(folder)) => (context.within(&blank(folder)?).load()?, None),
        _ => (context.load()?, args.data.as_deref().map(absolute).transpose()?),
    };
    let artifacts = match args.artifacts.as_deref() {
        Some(uri) if uri.contains("://") && !uri.starts_with("file://") => {
            let message = format!(
                "--artifacts {uri}: what comes through the server is kept in a folder; where clients write to a store \
                 themselves, it is --default-artifact-root {uri}"
            );
            return Err(Usage(message).into());
        }
        Some(path) => Some(absolute(Path::new(path.strip_prefix("file://").unwrap_or(path)))?),
        None => None,
    };
    let project = project.with_stores(|stores| {
        stores.data = data.map(|path| format!("file://{}", path.display())).or(stores.data.take());
        stores.artifacts = artifacts.map(|path| format!("file://{}", path.display())).or(stores.artifacts.take());
        stores.metadata = args.metadata.clone().or(stores.metadata.take());
        stores.default_artifact_root = args.default_artifact_root.clone().or(stores.default_artifact_root.take());
    });
    Box::pin(Workspace::open(project, around(progress::observer()))).await
}

/// A project of nothing but a name, made where there is none.
fn blank(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("karat.yaml");
    if !file.exists() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let text =
            "# Made by `karat serve --data`: experiments, runs and models of MLflow's clients.\nname: tracking\n";
        std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    absolute(folder)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} has no place", path.display()))
}

pub async fn bind(host: &str, port: u16) -> Result<TcpListener> {
    match TcpListener::bind((host, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("{host}:{port} is in use: choose another with --port, or 0 for a free one")
        }
        Err(error) => Err(error).with_context(|| format!("{host}:{port} cannot be listened on")),
    }
}

pub fn url(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// Answers, following releases and aliases, until `stop` resolves; then finishes requests under way and the log.
pub async fn serve(
    workspace: Arc<Workspace>,
    registrar: Arc<Registrations>,
    listener: TcpListener,
    deployed: Deployed,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let config = &workspace.project.config().server;
    let log = deployed.log();
    let (pushes, refreshes) = (deployed.pushes.clone(), deployed.refreshes.clone());
    let catalogue = Arc::new(Told::of(&workspace).await?);
    let metrics = karat_server::install_metrics()?;
    let webhooks = Webhooks::new(workspace.registry.clone(), &config.webhook_origins, workspace.clock.clone())?;
    let tracking = tracking(&workspace, webhooks.clone()).await?;
    let (deployment, pushed) = (deployed.deployment.clone(), pushes.clone());
    let parts = Parts { deployment, catalogue, pushes: pushed, refreshes, registrar, tracking };
    let state = AppState::new(parts, metrics, config);
    // A task of its own, which hears the signal itself: taking up a new version may take long, and meanwhile connections
    // are accepted, or no longer.
    let stopped = async {
        stop.await;
        tracing::info!("stopping: requests under way are finished");
    };
    let mut server = tokio::spawn(karat_server::serve(listener, state, ListenOptions::from(config), stopped));
    tokio::select! {
        ended = &mut server => ended.context("the server ended")??,
        () = deployed.follow(workspace) => unreachable!("following ends with the process"),
        () = webhooks.send() => unreachable!("so does sending"),
    }
    pushes.close().await;
    Deployed::close(&log)
}

/// Experiments and runs, as MLflow's clients read and write them.
async fn tracking(workspace: &Workspace, webhooks: Webhooks) -> Result<Option<Tracking>> {
    workspace.registry.ensure_default_experiment(workspace.clock.now()).await?;
    let artifacts = workspace.tracked_artifacts();
    std::fs::create_dir_all(&artifacts).with_context(|| format!("{} cannot be made", artifacts.display()))?;
    let own = workspace.artifacts.directory().to_owned();
    Ok(Some(Tracking::new(workspace.registry.clone(), artifacts, own, webhooks, workspace.clock.clone())))
}

/// Ctrl-C, or the signal to end.
pub async fn signalled() {
    let interrupt = async { tokio::signal::ctrl_c().await.ok() };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<Option<()>>();
    tokio::select! {
        _ = interrupt => {}
        _ = terminate => {}
    }
}
