#![expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]

mod endpoint;
mod pinned;
mod predict;
mod reasons;
mod replay;
mod requests;
mod settled;
