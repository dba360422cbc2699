//! [`OnlineStore`] on one Redis server, for several machines.
//!
//! Laid out as LMDB's: a definition's record names its base generation and, while a large `put` is being merged, an
//! overlay generation that readers look into first; a generation is a hash of keys and states, and one of what stands behind
//! the [heads](karat_core::HEADED) of those that have one, for which nobody waits who only answers. All of it is read and
//! written by scripts inside the server ([`scripts`]), which run one at a time: a read of several views is one round trip
//! of one moment, and so is a small write. Larger ones are filled in many steps under a generation nobody points at,
//! by a writer whose turn it is ([`turn`]), and appear by one change of the record. A generation being filled is listed as
//! garbage: a killed writer leaves only that, and whoever has the next turn removes it.
//!
//! | key | what |
//! |---|---|
//! | `PREFIX:format` | version of this layout |
//! | `PREFIX:definitions` | set of digests |
//! | `PREFIX:definition:DIGEST` | hash: `note`, `base`, `overlay`, `keys` (in both together) |
//! | `PREFIX:filling:DIGEST` | hash: `note`, `base`, `keys` of a state filled in parts, which readers do not see |
//! | `PREFIX:states:GENERATION` | hash: key to state, or to its head |
//! | `PREFIX:tails:GENERATION` | hash: key to what stands behind its head (from format 2 on: before, it stood there) |
//! | `PREFIX:generation` | the newest generation's number |
//! | `PREFIX:garbage` | set of generations being filled, or left behind |
//! | `PREFIX:writer` | token of the writer whose turn it is; expires |

mod address;
mod errors;
mod filling;
mod link;
mod pool;
mod read;
mod scripts;
mod shared;
mod turn;
mod write;

use std::sync::Arc;
use std::time::Duration;

use karat_core::{Digest, Fetching, OnlineError, OnlineStore, StateEntries, StateNote, StateOf, TellNote, WithEach};

use link::Server;
use pool::Pool;
use shared::Shared;

/// Old versions must stay readable; a newer one is refused.
const FORMAT_VERSION: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisOptions {
    /// The most connections that reads and small writes share; who finds all of them in use waits. Fetching has one a runtime
    /// beside them.
    pub connections: usize,
    /// How much one step writes: readers wait for it, so it is kept to a millisecond or two.
    pub chunk_bytes: usize,
    /// How long a killed writer keeps others waiting.
    pub turn: Duration,
    pub connect_timeout: Duration,
    /// For each answer, and for a connection to be free.
    pub answer_timeout: Duration,
}

impl Default for RedisOptions {
    fn default() -> RedisOptions {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        RedisOptions {
            connections: (4 * threads).max(16),
            chunk_bytes: 512 << 10,
            turn: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(5),
        }
    }
}

pub struct RedisStore {
    server: Arc<Server>,
    pool: Pool,
    shared: Shared,
}

impl RedisStore {
    /// Connects to `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]`, or by TLS to `rediss://…`.
    pub fn open(uri: &str, options: RedisOptions) -> Result<RedisStore, OnlineError> {
        let server = Arc::new(Server::new(uri, options)?);
        let pool = Pool::new(server.clone());
        pool.check()?;
        let shared = Shared::new(server.clone());
        Ok(RedisStore { server, pool, shared })
    }
}

/// Without the password.
impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RedisStore").field(&self.server.place).finish()
    }
}

impl OnlineStore for RedisStore {
    fn is_remote(&self) -> bool {
        true
    }

    fn read(&self, definition: &Digest, key: &[u8], with: &mut dyn FnMut(&[u8])) -> Result<bool, OnlineError> {
        let mut found = false;
        self.read_whole(&StateOf { definition, key }, &mut |_, _, state| {
            found = state.is_some();
            state.map(&mut *with);
        })?;
        Ok(found)
    }

    fn read_each(&self, asked: &[StateOf<'_>], with: WithEach<'_>) -> Result<(), OnlineError> {
        self.read_states_noted(asked, with)
    }

    fn fetch(&self, asked: &[StateOf<'_>]) -> Fetching<'_> {
        self.fetch_states(asked)
    }

    fn put(&self, definition: &Digest, note: &StateNote, entries: StateEntries<'_>) -> Result<(), OnlineError> {
        self.put_states(definition, note, entries)
    }

    fn put_after(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.put_states_after(definition, expected, note, entries)
    }

    fn replace_with(
        &self,
        definition: &Digest,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<(), OnlineError> {
        self.replace_states(definition, entries, note)
    }

    fn note(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.read_note(definition)
    }

    fn scan(&self, definition: &Digest, with: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), OnlineError> {
        self.scan_states(definition, with)
    }

    fn definitions(&self) -> Result<Vec<(Digest, u64)>, OnlineError> {
        self.list_definitions()
    }

    fn filling(&self, definition: &Digest) -> Result<Option<StateNote>, OnlineError> {
        self.note_of_filling(definition)
    }

    fn begin_filling(
        &self,
        definition: &Digest,
        expected: Option<&StateNote>,
        note: &StateNote,
    ) -> Result<bool, OnlineError> {
        self.begin_filling_states(definition, expected, note)
    }

    fn fill(
        &self,
        definition: &Digest,
        expected: &StateNote,
        note: &StateNote,
        entries: StateEntries<'_>,
    ) -> Result<bool, OnlineError> {
        self.fill_states(definition, expected, note, entries)
    }

    fn finish_filling(
        &self,
        definition: &Digest,
        expected: &StateNote,
        entries: StateEntries<'_>,
        note: TellNote<'_>,
    ) -> Result<bool, OnlineError> {
        self.finish_filling_states(definition, expected, entries, note)
    }

    fn drop_definition(&self, definition: &Digest) -> Result<(), OnlineError> {
        self.forget(definition)
    }
}
