//! `karat serve`: decisions over HTTP, until told to stop.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use karat_history::files::{FilesError, in_folder};
use karat_jobs::deploy::{self, Deployed};
use karat_jobs::webhooks::Webhooks;
use karat_jobs::{Usage, Workspace};
use karat_server::{AppState, ListenOptions, Parts, Tracking};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::serve_catalogue::Told;
use super::serve_registrar::Registrations;
use super::{Context, around};
use crate::args::ServeArgs;
use crate::output::count;
use crate::progress;

/// How long starting waits for a bucket's word.
const BUCKET: Duration = Duration::from_secs(3);

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
    let stop = signalled()?;
    context.output.print(&document, |_| {
        format!("listening on {url} ({}; pages at {url}/docs)", count(served.endpoints.len(), "endpoint", "endpoints"))
    })?;
    for reason in waiting {
        tracing::warn!("{reason}");
    }
    let registrar = Arc::new(Registrations::of(&workspace, context.environment()));
    serve(Arc::new(workspace), registrar, listener, deployed, stop).await?;
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
    let artifacts = args.artifacts.as_deref().map(place).transpose()?;
    let project = project.with_stores(|stores| {
        stores.data = data.map(|path| format!("file://{}", path.display())).or(stores.data.take());
        stores.artifacts = artifacts.or(stores.artifacts.take());
        stores.metadata = args.metadata.clone().or(stores.metadata.take());
        stores.default_artifact_root = args.default_artifact_root.clone().or(stores.default_artifact_root.take());
    });
    Box::pin(Workspace::open(project, around(progress::observer()))).await
}

/// Where `--artifacts` says that files lie: a bucket, or a folder that is named from here.
fn place(uri: &str) -> Result<String> {
    match uri.split_once("://") {
        Some(("s3", _)) => Ok(uri.to_owned()),
        Some((scheme, _)) if scheme != "file" => {
            let message = format!(
                "--artifacts {uri}: what comes through the server is kept in a folder or below s3://BUCKET/PREFIX; where \
                 clients write to a store themselves, it is --default-artifact-root {uri}"
            );
            Err(Usage(message).into())
        }
        _ => Ok(format!("file://{}", absolute(Path::new(uri.strip_prefix("file://").unwrap_or(uri)))?.display())),
    }
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
    let artifacts = workspace.tracked_artifacts().clone();
    match tokio::time::timeout(BUCKET, artifacts.ready()).await {
        Ok(Err(error @ FilesError::Io { .. })) => return Err(error.into()),
        // Decisions are answered without it, and its clients are told what is wrong.
        Ok(Err(error)) => tracing::warn!("artifacts: {error}"),
        Err(_) => tracing::warn!("artifacts: {} does not answer", artifacts.describe("")),
        Ok(Ok(())) => {}
    }
    let own = in_folder(workspace.artifacts.directory());
    Ok(Some(Tracking::new(workspace.registry.clone(), artifacts, own, webhooks, workspace.clock.clone())))
}

/// Ends with Ctrl-C, or the signal to end. Heard from this call on, not from the first poll: whoever reads that a server listens
/// may end it at once, and a signal that nobody listens for kills.
pub fn signalled() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
