use super::scope::Scope;
use crate::kind::Kind;
use crate::spec::Endpoint;
use crate::yaml::Aim;

pub(super) fn check(scope: &mut Scope<'_>, endpoint: &Endpoint) {
    scope.reference(Kind::Model, &endpoint.model, "model", Aim::Value);
}
