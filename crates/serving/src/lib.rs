//! Answers decisions: features of a key as of an instant, the model's score, label and reasons, and a record of all of
//! it in the prediction log before the answer leaves.
//!
//! Invariant: knows no HTTP, and no query engine stands in a request's path.

mod answer;
mod deployment;
mod endpoint;
mod error;
mod note;
mod pinned;
mod quality;
mod record;
mod replay;
mod request;

pub use answer::{Answer, ModelName, QaFailure, Reason};
pub use deployment::{Deployment, Served, ServedView, ViewAnswer};
pub use endpoint::{Endpoint, EndpointParts, ServingModel, VersionName, read_view};
pub use error::ServingError;
pub use note::StateNote;
pub use pinned::{Input, InputOrigin, Pinned, PinnedView};
pub use record::{PredictionEncoder, PredictionRecord, prediction_columns};
pub use replay::{Difference, arithmetic, history};
pub use request::{Body, Subject};
