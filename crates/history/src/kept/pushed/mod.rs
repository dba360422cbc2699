//! What is pushed to a source, until it is sealed into a commit: `SOURCE/pushed-000101/`, a log whose first record says
//! what its rows are, and each other one is a group of rows under the source's next number.
//!
//! The folder is named by the first number it may hold. Sealing writes the rows of a range of numbers as one commit,
//! numbered like the last of them; only then the folder goes. Readers pass over records that a commit holds, so a crash
//! at any point leaves each row readable once. Whoever pushes holds the source's lock, as whoever commits does.

mod format;
mod seal;
mod tail;
mod writer;

pub(super) use format::{Group, Head};
pub(super) use seal::{Sealed, delivery, seal};
pub(super) use tail::Tail;

pub use seal::Sealing;
pub use writer::{PushHead, PushWriter, PushedRows};

use karat_core::Name;
use object_store::path::Path;

const PREFIX: &str = "pushed-";

fn folder(source: &Name, first: u64) -> Path {
    Path::from(format!("{source}/{PREFIX}{first:06}"))
}
