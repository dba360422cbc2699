//! Answers decisions: features of a key as of an instant, the model's score, label and reasons, and a record of all of
//! it in the prediction log before the answer leaves.
//!
//! Invariant: knows no HTTP, and no query engine stands in a request's path.

mod checks;
mod decision;
mod deployment;
mod endpoint;
mod error;
mod gate;
mod known;
mod lookup;
mod model;
mod note;
mod pinned;
mod quality;
mod read;
mod reasons;
mod record;
mod replay;
mod request;
mod vectors;

pub use checks::Refusal;
pub use decision::{Decided, DecisionView};
pub use deployment::{Deployment, Served, ServedView, ViewAnswer};
pub use endpoint::{Asked, Endpoint, EndpointParts};
pub use error::ServingError;
pub use gate::{Inside, Turn, Until, Waiting};
pub use lookup::{LookedUp, LookingUp, Lookups, NoLookups};
pub use model::{ServingModel, VersionName};
pub use note::StateNote;
pub use pinned::{CHECKS, Input, InputOrigin, Pinned, PinnedView, REASONS, ReasonGroup};
pub use quality::QaFailure;
pub use read::{Answers, ReadView, read_view};
pub use reasons::{Explained, Reason, ReasonText, ReasonValue, ReasonView, Which};
pub use record::{PredictionEncoder, PredictionRecord, RecordReader, prediction_columns};
pub use replay::{Difference, FromHistory, arithmetic, gave_reasons, history, reasons_of};
pub use request::{Body, Subject};
pub use vectors::{FeatureRef, FeatureVector, Vectors};
