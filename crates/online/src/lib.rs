//! Online feature state: opaque bytes under (definition digest, key), in LMDB.
//!
//! Invariant: no feature arithmetic; what the bytes mean is the `features` crate's business.

mod lmdb;

pub use lmdb::{LmdbOptions, LmdbStore};
