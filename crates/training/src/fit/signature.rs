use karat_core::DataType;
use karat_model::{Input, Label, Monotone, Signature, Transform};
use karat_project::spec::{self, Direction};

use crate::TrainingData;

/// The features in their order, as serving will read them.
pub(super) fn signature(data: &TrainingData, spec: &spec::Model, transforms: Vec<Transform>) -> Signature {
    let schema = data.features.schema();
    let inputs = schema.fields().iter().zip(transforms).map(|(field, transform)| {
        let data_type = DataType::of_arrow(field.data_type()).expect("feature types were checked before");
        let name = field.name();
        let reason = spec.reasons.get(name);
        let words = reason.and_then(|reason| reason.words.clone()).or_else(|| data.words.get(name).cloned());
        let monotone = match spec.monotone.get(name) {
            None => Monotone::None,
            Some(Direction::Increasing) => Monotone::Increasing,
            Some(Direction::Decreasing) => Monotone::Decreasing,
        };
        let code = reason.and_then(|reason| reason.code.clone());
        Input { words, code, monotone, ..Input::new(name, data_type, transform) }
    });
    Signature { inputs: inputs.collect() }
}

pub(super) fn labels(spec: &spec::Model) -> [Label; 2] {
    match &spec.labels {
        Some(names) => names.clone().map(Label::Text),
        None => [Label::Bool(false), Label::Bool(true)],
    }
}
