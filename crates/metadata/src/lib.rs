//! The one SQL database of a project: pool, migrations, write transactions, the audit chain, history's commits, their tags
//! and compactions.
//!
//! Invariant: no business rules; what a row means belongs to the crate that writes it. One implementation in two dialects,
//! SQLite's and PostgreSQL's: statements are written in words that both accept ([`query`], [`QueryBuilder`]), and where there
//! are none this crate knows the difference ([`Dialect`]).
//!
//! Everything that reads takes a [`Connection`], so that it reads the same inside a transaction ([`WriteTx`]) and outside
//! ([`Metadata::read`]).

pub mod audit;
mod bind;
mod blocking;
mod builder;
mod cells;
pub mod commits;
pub mod compactions;
mod connection;
mod error;
pub mod generations;
pub mod identity;
mod insert;
mod location;
mod migrate;
mod open;
mod postgres;
mod query;
mod row;
mod sqlite;
pub mod statistics;
pub mod stored;
pub mod tags;
mod transaction;

pub use bind::{Bind, Bound};
pub use builder::{QueryBuilder, Separated};
pub use cells::Cells;
pub use connection::{Connection, Dialect};
pub use error::MetadataError;
pub use open::{Metadata, ReadConnection};
pub use query::{Query, Scalar, query, query_scalar};
pub use row::{Column, Row};
pub use transaction::WriteTx;

/// What this crate's asynchronous functions return: boxed, so that callers do not compile them again.
pub type Answer<'a, T> = futures::future::BoxFuture<'a, Result<T, MetadataError>>;
