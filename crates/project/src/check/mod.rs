//! What must hold between a project's resources, as far as names and types tell without opening data.
//!
//! Columns of SQL sources and of Parquet sources that declare none are known only once their schemas are: checks on
//! them are left to that stage, which places its problems through [`crate::Project::problem`].

mod columns;
mod contract;
mod cycles;
mod endpoint;
mod entity;
mod estimator;
mod feature;
mod lookup;
mod model;
mod model_features;
mod scope;
mod service;
mod source;
mod source_time;
mod spine;
mod split;
mod view;

use crate::draft::Draft;
use crate::kind::Kind;
use crate::problem::Problem;
use scope::Scope;

pub(crate) fn check(draft: &Draft) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in draft.sources.values() {
        let mut scope = Scope::new(draft, &mut problems, Kind::Source, &source.name);
        source::check(&mut scope, source);
        source_time::check(&mut scope, source);
        lookup::check(&mut scope, source);
        contract::check(&mut scope, source);
    }
    cycles::check(draft, &mut problems);
    for entity in draft.entities.values() {
        entity::check(&mut Scope::new(draft, &mut problems, Kind::Entity, &entity.name), entity);
    }
    for view in draft.views.values() {
        view::check(&mut Scope::new(draft, &mut problems, Kind::FeatureView, &view.name), view);
    }
    for model in draft.models.values() {
        let mut scope = Scope::new(draft, &mut problems, Kind::Model, &model.name);
        model::check(&mut scope, model);
        model_features::check(&mut scope, model);
        split::check(&mut scope, model);
        estimator::check(&mut scope, model);
    }
    for service in draft.services.values() {
        service::check(&mut Scope::new(draft, &mut problems, Kind::FeatureService, &service.name), service);
    }
    for endpoint in draft.endpoints.values() {
        endpoint::check(&mut Scope::new(draft, &mut problems, Kind::Endpoint, &endpoint.name), endpoint);
    }
    problems
}
