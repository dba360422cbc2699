//! Online state: one key's projected events and checkpoint as bytes, and the features read from them.
//!
//! A state answers exactly or not at all: a reader whom the checkpoint would tell too much is refused.

mod bytes;
mod checkpoint;
mod columns;
mod layout;
mod merge;
mod read;
mod states;

pub use read::{FeatureRow, NulledFeature, ReadAt};
pub use states::{StateBuilder, States};
