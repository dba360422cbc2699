//! Reads the project folder into validated specs; publishes their JSON Schemas; reports every mistake with its place.
//!
//! Invariant: opens no data and no store.

pub mod spec;
