//! Loading projects from folders: what is accepted, and every message about what is not.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod cases;
mod manifest;
mod mutation;
mod places;
mod schema;
mod support;
mod tests;
