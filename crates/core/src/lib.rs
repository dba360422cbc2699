//! The words every other crate speaks: names, ids, time, types, values, digests, kinds of error.
//!
//! Invariant: no I/O and no async runtime; clocks and randomness are passed in.

mod clock;
mod digest;
mod error;
pub mod hidden;
mod id;
pub mod key;
mod name;
mod number_text;
pub mod one_or_many;
mod online;
pub mod profile;
pub mod statistics;
pub mod time;
mod time_format;
mod types;
mod unrepeated;
mod value;

pub use clock::{Clock, FixedClock, SystemClock};
pub use digest::{Digest, DigestWriter};
pub use error::ErrorKind;
pub use id::{PredictionId, RunId, fresh_id};
pub use key::KeyView;
pub use name::{Name, NameError, nearest};
pub use number_text::thousands;
pub use online::{
    Fetched, Fetching, HEADED, LONGEST_KEY, OnlineError, OnlineStore, StateEntries, StateNote, StateOf, TellNote,
    WithEach, WithNoted, by_definition, kept_key,
};
pub use time::{Instant, TimeError, Window, Zone};
pub use time_format::{TimeFormat, TimeFormatError};
pub use types::{Column, DataType, Schema, ValueType};
pub use unrepeated::Unrepeated;
pub use value::{AsJson, Value, ValueError};

/// The product's version, as logged with every prediction and run.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
