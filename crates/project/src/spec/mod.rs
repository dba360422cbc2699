//! What a project's files say, as validated data: one type per kind of resource.
//!
//! These are the types other crates read. They carry no places; a problem found later is placed by asking the
//! [`crate::Project`] for the place of a path such as `features.age.expression`.

mod config;
mod contract;
mod csv;
pub(crate) mod endpoint;
mod entity;
mod feature_check;
mod feature_service;
mod feature_view;
mod lookup;
pub(crate) mod model;
mod ordered;
mod origin;
mod paths;
pub(crate) mod raw_feature;
mod size;
mod source;
mod spine;
mod test;

pub use config::{Config, Engine, Secret, Server, Stores};
pub use contract::{Action, Check, LAST_DELIVERIES, Moment, Rule};
pub use csv::{Csv, ENCODING_LABELS, encoding_of};
pub use endpoint::{Endpoint, Limits, Log, ReasonMode, Reasons, Survives, UnknownKey};
pub use entity::{Entity, key_columns};
pub use feature_check::{FeatureCheck, OnFailure};
pub use feature_service::FeatureService;
pub use feature_view::{Aggregate, Feature, FeatureKind, FeatureView, Fraction, Rows};
pub use lookup::{Breaker, Lookup, Method, OnLookupFailure};
pub use model::{
    Approval, Direction, Estimator, FeatureList, Goal, LightGbm, Model, ModelFeatures, Reason, Split, SplitBy,
    SplitPart, Task, Threshold,
};
pub use origin::{Command, Origin, Postgres, Push, Stderr};
pub use paths::Paths;
pub use size::ByteSize;
pub use source::{ColumnSpec, Compression, Delivery, Format, Source, Told};
pub use spine::{EventLabel, Keep, KeepEnd, Label, Spine};
pub use test::{
    Bounds, Delivered, ExpectContract, ExpectDecision, ExpectFeatures, ExpectQuery, ExpectTrain, Expectation, Expected,
    GatesOutcome, Given, GivenRow, Quarantined, QuarantinedRow, Test,
};
