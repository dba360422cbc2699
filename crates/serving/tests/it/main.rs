#![expect(clippy::unwrap_used, reason = "test helpers fail the test they help")]

mod predict;
mod replay;
mod requests;
