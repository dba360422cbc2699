//! Self-contained pages: figures in, one HTML file out, with its charts drawn as SVG inside and nothing loaded from a network.
//!
//! Invariant: no I/O, and no arithmetic beyond what a picture needs.
