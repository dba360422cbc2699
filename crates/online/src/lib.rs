//! Online feature state: opaque bytes under (definition digest, key), in LMDB or in Redis.
//!
//! Invariant: no feature arithmetic; what the bytes mean is the `features` crate's business.

mod lmdb;
mod redis;

pub use lmdb::{LmdbOptions, LmdbStore};
pub use redis::{RedisOptions, RedisStore};

fn kept(key: Vec<u8>) -> Vec<u8> {
    if key.len() <= karat_core::LONGEST_KEY { key } else { karat_core::kept_key(&key).into_owned() }
}
