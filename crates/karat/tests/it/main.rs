//! The binary from outside: its documents and its commands.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod catalogue;
mod champions;
mod compile_cases;
mod credit_risk;
mod deploying;
mod docs_console;
mod docs_yaml;
mod employers;
mod feast;
mod feast_writes;
mod filled;
mod hammered;
mod init_cases;
mod journey;
mod labels;
mod learning;
mod lists;
mod lookups;
mod mistakes;
mod mlflow;
mod mlflow_attacks;
mod mlflow_files;
mod mlflow_import;
mod own_files;
mod pages;
mod past_beliefs;
mod people;
mod postgres;
mod pushed;
mod redefined;
mod redis;
mod refreshed;
mod run_records;
mod settled;
mod small;
mod soak;
mod sources;
mod spilled;
mod spreads;
mod support;
mod tagged;
mod tampering;
mod testing;
mod webhooks;
