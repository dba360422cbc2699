#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy sees only what is marked #[test]")]

mod any_bytes;
mod cases;
mod contract;
mod credit;
mod csv;
mod deliver;
mod model;
mod parquet;
mod profile;
mod remote;
mod sql;
mod unique;
mod world;
