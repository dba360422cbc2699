#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy sees only what is marked #[test]")]

mod card;
mod lineage;
mod page;
mod profile;
