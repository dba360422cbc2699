//! One connection: HTTP/1.1, as long as the client keeps its pace.

use std::pin::pin;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

use super::patience::Patient;
use super::{ListenOptions, Taken};

pub(super) async fn converse(taken: Taken, router: Router, options: ListenOptions, mut stopped: watch::Receiver<bool>) {
    let Taken { stream, place: _place } = taken;
    // The stream is the acceptor's; here it belongs to the reactor of this thread.
    let Ok(stream) = stream.into_std().and_then(tokio::net::TcpStream::from_std) else { return };
    // Answers are small, and each is written whole.
    stream.set_nodelay(true).ok();
    let io = TokioIo::new(Patient::new(stream, options.write_timeout));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    let mut connection = pin!(http.serve_connection(io, TowerToHyperService::new(router)));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        // A sender that is gone means the same.
        () = async { stopped.wait_for(|stopped| *stopped).await.map(drop).ok().unwrap_or_default() } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client's doing: it went away, was too slow, or spoke something else.
        tracing::debug!(error = %Whole(&error), "a connection ended early");
    }
}

/// An error with those behind it.
struct Whole<'e>(&'e hyper::Error);

impl std::fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
