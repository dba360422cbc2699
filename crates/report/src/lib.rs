//! Self-contained pages: plain figures in, one HTML file out, its charts drawn as SVG inside, nothing loaded from a network,
//! nothing that needs a script to be read.
//!
//! Invariant: no I/O, opens no store, and no arithmetic beyond what a picture needs.

pub mod card;
pub mod catalogue;
mod chart;
mod document;
pub mod lineage;
pub mod profile;
pub mod words;

/// A figure that a page cannot be made of.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be written: {0}")]
pub struct ReportError(#[from] askama::Error);
