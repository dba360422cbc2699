//! The native API under `/v1`.

pub mod catalogue;
pub mod decisions;
pub mod endpoints;
pub mod features;
pub mod models;
pub mod predict;
pub mod prediction;
pub mod push;
pub mod versions;
