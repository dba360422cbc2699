//! The native API under `/v1`.

pub mod endpoints;
pub mod features;
pub mod predict;
pub mod prediction;
