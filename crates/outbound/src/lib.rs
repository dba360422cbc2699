//! Outgoing HTTP: outside services that are asked about a key, with a time-out, repetitions and a breaker;
//! APIs whose documents and files are read; signed messages to whoever asked to be told.
//!
//! Invariant: never decides what to ask, whom or when, nor what an answer means; what it says of failures holds nothing
//! that a service sent and nothing that a variable holds.

mod api;
mod breaker;
mod courier;
mod failure;
mod public;
mod request;
mod retry;
mod service;
mod signature;

pub use api::{Api, Login};
pub use breaker::{Breaker, BreakerState, Outcome};
pub use courier::{Answered, Courier, Parcel};
pub use failure::Failure;
pub use service::{Service, WHOLE_ANSWER};
