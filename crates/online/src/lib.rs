//! Online feature state: opaque bytes under (definition digest, key), in LMDB or in Redis.
//!
//! Invariant: no feature arithmetic; what the bytes mean is the `features` crate's business.

mod lmdb;
mod redis;

use karat_core::{ErrorKind, OnlineError};

pub use lmdb::{LmdbOptions, LmdbStore};
pub use redis::{RedisOptions, RedisStore};

/// The longest key of the contract; with a generation before it, it stays under LMDB's own 511 bytes.
const MAX_KEY_BYTES: usize = 480;

fn check_key(key: &[u8]) -> Result<(), OnlineError> {
    if key.len() <= MAX_KEY_BYTES {
        return Ok(());
    }
    let message = format!("a key of {} bytes is longer than the {MAX_KEY_BYTES} allowed: use shorter keys", key.len());
    Err(OnlineError { kind: ErrorKind::Invalid, message })
}
