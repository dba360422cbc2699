//! Feature views compiled once: expressions and accumulators over Arrow batches, run offline and online by one code.
//!
//! Invariant: no I/O, no sessions; nothing is planned after a view is compiled.

mod expression;

pub use expression::{Expression, ExpressionError, SEMANTICS, function_names};
