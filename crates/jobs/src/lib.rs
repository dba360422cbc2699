//! One file an operation: check, apply, ingest, train, materialize, verify, deploy, replay, query. The command line, a
//! server and (later) a pipeline's steps run the same code.
//!
//! Invariant: a job knows neither its caller nor how its outcome is shown.

pub mod apply;
pub mod artifact;
pub mod card;
pub mod catalog;
pub mod catalogue;
pub mod compact;
pub mod deploy;
pub mod diff;
pub mod example;
mod failure;
pub mod features_get;
pub mod features_why;
mod freshness;
pub mod gc;
pub mod import;
pub mod ingest;
pub mod init;
pub mod lookup;
pub mod materialize;
mod observer;
pub mod pages;
mod pinned;
pub mod profile;
pub mod push;
pub mod query;
mod reading;
pub mod refresh;
pub mod register;
mod released;
pub mod replay;
pub mod reproduce;
mod spill;
pub mod states;
mod statistics;
pub mod tags;
pub mod test;
pub mod train;
pub mod training_set;
pub mod verify;
pub mod webhooks;
mod workspace;

pub use catalog::Catalog;
pub use failure::{NotFound, Usage, kind_of};
pub use observer::{Observer, Silent, Stage, Unit};
pub use workspace::{OpenOnline, Surroundings, Workspace};
