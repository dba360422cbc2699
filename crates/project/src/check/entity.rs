use karat_core::DataType;

use super::scope::Scope;
use crate::spec::Entity;

pub(super) fn check(scope: &mut Scope<'_>, entity: &Entity) {
    if entity.key.trim().is_empty() {
        scope.at("key", "an entity's key is a column");
    } else if entity.key.starts_with('_') {
        scope.at("key", format!("key `{}` begins with `_`, as only Karat's own columns do", entity.key));
    } else if entity.key == "as_of" {
        scope.at("key", "`as_of` is the instant features are read at, not a key");
    }
    if matches!(entity.key_type, DataType::Float | DataType::Bool) {
        scope.at_with_help(
            "type",
            format!("a key of type {} identifies nothing", entity.key_type),
            "use int, text or date",
        );
    }
}
