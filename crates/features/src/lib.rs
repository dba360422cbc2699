//! Feature views compiled once: expressions and accumulators over Arrow batches, run offline and online by one code.
//!
//! A [`Definition`] pins what a view means, a [`CompiledView`] computes it: over a history and a spine by [`AsOfPass`],
//! or from one key's state, made by [`StateBuilder`] and read by [`CompiledView::read`].
//!
//! Invariant: no I/O, no sessions; nothing is planned after a view is compiled.

mod accumulate;
mod definition;
mod error;
mod events;
mod explain;
mod expression;
mod fold;
mod key;
mod key_set;
mod offline;
mod online;
mod parts;
mod view;

pub use definition::{Definition, DefinitionError, Identity, NamedFeature, SourceDefinition};
pub use error::{FeatureError, Needs};
pub use explain::{Explainer, Explanation, Part, PartOf, Standing};
pub use expression::{Expression, ExpressionError, SEMANTICS, function_names};
pub use key::{KeyError, decode_key, encode_key};
pub use key_set::KeySet;
pub use offline::{AsOfPass, MergeJoin, RowMerge, RowOrder, Spine};
pub use online::{FeatureRow, NulledFeature, ReadAt, StateBuilder, States};
pub use parts::KeyParts;
pub use view::{CompiledView, Output, Retention};

/// The boolean column of an offline pass that flags keys without visible events.
pub const NO_HISTORY: &str = "no_history";
