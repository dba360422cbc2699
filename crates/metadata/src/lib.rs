//! The one SQL database of a project: pool, migrations, write transactions, the audit chain, history's commits and their tags.
//!
//! Invariant: no business rules; what a row means belongs to the crate that writes it. One implementation: SQLite today,
//! in statements that PostgreSQL accepts too.
//!
//! Everything that reads takes a [`Connection`], so that it reads the same inside a transaction ([`WriteTx`]) and outside
//! ([`Metadata::read`]).

pub mod audit;
pub mod commits;
mod error;
pub mod generations;
mod location;
mod migrate;
mod open;
pub mod statistics;
pub mod stored;
pub mod tags;
mod transaction;

pub use error::MetadataError;
pub use open::{Metadata, ReadConnection};
pub use transaction::WriteTx;

/// What statements run on: `sqlx::query(…).execute(&mut *connection)`.
pub type Connection = sqlx::SqliteConnection;
pub type Row = sqlx::sqlite::SqliteRow;

/// What this crate's asynchronous functions return: boxed, so that callers do not compile them again.
pub type Answer<'a, T> = futures::future::BoxFuture<'a, Result<T, MetadataError>>;
