//! Who changed what, when: entries chained by hash, each appended inside the transaction of its change.
//!
//! Anyone who can write the database can also rewrite the whole chain, so integrity is proven only up to a [`Head`] that
//! was kept elsewhere (`karat audit head`).
//!
//! People and programs that act appear by name (`actor`). Clients, whom the data describes, never appear by their keys:
//! an entry about one of them names it by a keyed hash (HMAC-SHA256 of the key under a secret kept outside the database),
//! so that the log can be shown and kept without being personal data. The callers of [`append`] hold to that.

mod append;
mod entry;
mod list;
mod verify;

pub use append::append;
pub use entry::{Entry, Head, HeadError, NewEntry, Subject};
pub use list::{Filter, head, list};
pub use verify::{Breach, Verdict, verify};
