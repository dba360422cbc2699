//! A runtime of its own for what has to be awaited while a thread reads and blocks: object stores, databases. Readers
//! block wherever they stand, inside another runtime too.

use std::future::Future;
use std::io::{self, Read};
use std::sync::OnceLock;

use bytes::{Buf, Bytes};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Pieces under way between whoever fetches them and whoever reads.
const IN_FLIGHT: usize = 8;

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("karat-remote").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Waits for the answer, on whatever thread this is.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime()?.spawn(async move {
        let _ = sender.send(work.await);
    });
    receiver.recv().map_err(|_| io::Error::other("the work was given up"))
}

/// The sending end of a [`Piped`]; an error ends it.
pub(super) type Pipe = mpsc::Sender<io::Result<Bytes>>;

/// Bytes that come from elsewhere, a piece at a time.
pub(super) struct Piped {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Piped {
    /// Starts `work`, which sends the pieces; it is dropped once nobody reads them.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Pipe) -> F) -> io::Result<Piped> {
        let (sender, pieces) = mpsc::channel(IN_FLIGHT);
        runtime()?.spawn(work(sender));
        Ok(Piped { pieces, piece: Bytes::new() })
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match futures::executor::block_on(self.pieces.recv()) {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}
