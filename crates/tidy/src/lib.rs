//! The rules of the house, as tests over `cargo metadata`: which crate may use which, and how heavy crates are built.
//!
//! Invariant: uses no other crate of ours, so that the rules are checked before anything heavy is compiled.
