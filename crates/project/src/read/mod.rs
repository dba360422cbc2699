//! Located YAML into specs, field by field; every mistake is reported, none stops the rest.

mod config;
mod contract;
mod csv;
mod endpoint;
mod entity;
mod feature;
mod feature_check;
mod feature_service;
mod feature_view;
mod feature_windows;
mod lookup;
mod model;
mod origin;
mod reader;
mod scalar;
mod slips;
mod source;
mod spine;
mod test;

pub(crate) use config::config;
pub(crate) use endpoint::endpoint;
pub(crate) use entity::entity;
pub(crate) use feature_service::feature_service;
pub(crate) use feature_view::feature_view;
pub(crate) use feature_windows::one_feature_a_window;
pub(crate) use model::model;
pub(crate) use reader::Reader;
pub(crate) use source::source;
pub(crate) use test::test;
