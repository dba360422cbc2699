//! From a model's file and the compiled views to what a version of it pins.

use karat_core::{DataType, ValueType, nearest};
use karat_project::Project;
use karat_project::spec::{Model, ModelFeatures, key_columns};
use karat_serving::{Input, InputOrigin, Pinned, PinnedView, ReasonGroup};

use crate::Catalog;
use crate::catalog::{entities, listed};
use crate::train::metrics::unmeasurable;

/// What keeps the model from being trained, each with the path in its file.
pub fn problems(catalog: &Catalog, project: &Project, model: &Model) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let spine = catalog.sources.get(&model.spine.source);
    if let Some(source) = spine {
        let schema = source.plan.schema();
        let mut need = |at: &str, name: &str, fits: &dyn Fn(DataType) -> bool, wanted: &str| {
            let problem = match schema.column(name) {
                Some(column) if fits(column.data_type) => return,
                Some(column) => format!("`{name}` is {}, where {wanted} is needed", column.data_type),
                None => {
                    let hint = nearest(name, schema.names()).map(|n| format!("; did you mean `{n}`?"));
                    format!("source {} has no column `{name}`{}", model.spine.source, hint.unwrap_or_default())
                }
            };
            problems.push((at.to_owned(), problem));
        };
        if let Some(as_of) = &model.spine.as_of {
            need("spine.as_of", as_of, &DataType::is_time, "a date or timestamp");
        }
        if let Some(label) = model.spine.label.column() {
            let is_label = |t| matches!(t, DataType::Bool | DataType::Int | DataType::Float);
            need("spine.label", label, &is_label, "a bool, or a number that is 0 or 1,");
        }
        if let Some(label_time) = &model.spine.label_time {
            need("spine.label_time", label_time, &DataType::is_time, "a date or timestamp");
        }
        for (place, column) in model.profile.iter().enumerate() {
            need(&format!("profile[{place}]"), column, &|_| true, "anything");
        }
        for (name, wanted) in &model.request {
            need(&format!("request.{name}"), name, &|found| found == *wanted, &wanted.with_article());
        }
        if let Some(column) = &model.split.column {
            need("split.column", column, &|_| true, "anything");
        }
        for (place, entity) in entities(project, &model.spine.entities).iter().enumerate() {
            let at = match model.spine.entities.len() {
                1 => "spine.entity".to_owned(),
                _ => format!("spine.entities[{place}]"),
            };
            for key in &entity.keys {
                let wanted = format!("{}, the key of {},", key.data_type, entity.name);
                need(&at, &key.name, &|found| found == key.data_type, &wanted);
            }
        }
    }
    problems.extend(crate::training_set::label::define(catalog, project, model).err().into_iter().flatten());
    for (place, gate) in model.gates.iter().enumerate() {
        let problem = match karat_registry::gates::Gate::parse(gate) {
            Ok(gate) => unmeasurable(&gate, model),
            Err(error) => Some(error.to_string()),
        };
        problems.extend(problem.map(|problem| (format!("gates[{place}]"), problem)));
    }
    if spine.is_some()
        && let Err(problem) = pin(catalog, project, model)
    {
        problems.push(problem);
    }
    problems
}

/// The model's inputs in the order its file lists them; a failure comes with its path in the file.
pub fn pin(catalog: &Catalog, project: &Project, model: &Model) -> Result<Pinned, (String, String)> {
    let keys = key_columns(&entities(project, &model.spine.entities));
    let mut views = Vec::new();
    let mut inputs: Vec<Input> = Vec::new();
    for (place, taken) in model.features.iter().enumerate() {
        let at = format!("features[{place}]");
        let lists: Vec<(&karat_core::Name, Option<&Vec<String>>)> = match taken {
            ModelFeatures::All(view) => vec![(view, None)],
            ModelFeatures::Some(list) => list.0.iter().map(|(view, names)| (view, Some(names))).collect(),
        };
        for (name, chosen) in lists {
            let Some(planned) = catalog.views.get(name) else {
                return Err((at, format!("view {name} does not compile, or does not exist")));
            };
            if let Some(foreign) = planned.spec.entities.iter().find(|entity| !model.spine.entities.contains(entity)) {
                let spine = listed(&model.spine.entities);
                return Err((at, format!("view {name} describes {foreign}, and the spine is about {spine}")));
            }
            for (output, column) in planned.view.outputs().iter().enumerate() {
                if chosen.is_some_and(|chosen| !chosen.contains(&column.name)) {
                    continue;
                }
                let ValueType::One(data_type) = column.value_type else {
                    let problem = format!(
                        "feature `{}` is a {}, and a model takes single values: name the features it takes, without it",
                        column.name, column.value_type
                    );
                    return Err((at, problem));
                };
                if data_type.is_time() {
                    let problem =
                        format!("feature `{}` is a {data_type}: turn it into a number with an expression", column.name);
                    return Err((at, problem));
                }
                let feature = &planned.spec.features[&column.name];
                let reason = model.reasons.get(&column.name);
                let words = reason.and_then(|reason| reason.words.clone()).or_else(|| feature.words.clone());
                inputs.push(Input {
                    name: column.name.clone(),
                    data_type,
                    origin: InputOrigin::View { view: views.len(), output },
                    words: words.unwrap_or_else(|| column.name.replace('_', " ")),
                    code: reason.and_then(|reason| reason.code.clone()),
                    checks: feature.checks.iter().cloned().map(|check| check.of_type(data_type)).collect(),
                });
            }
            views.push(PinnedView {
                name: name.clone(),
                digest: planned.digest.clone(),
                definition: planned.view.definition().clone(),
                stale_after: planned.spec.stale_after,
                online_horizon: planned.spec.online_horizon,
            });
        }
    }
    for (name, data_type) in &model.request {
        let reason = model.reasons.get(name);
        inputs.push(Input {
            name: name.clone(),
            data_type: *data_type,
            origin: InputOrigin::Request,
            words: reason.and_then(|reason| reason.words.clone()).unwrap_or_else(|| name.replace('_', " ")),
            code: reason.and_then(|reason| reason.code.clone()),
            checks: Vec::new(),
        });
    }
    let groups = groups(model, &inputs)?;
    Ok(Pinned::new(model.spine.entities.clone(), keys, views, inputs).with_groups(groups))
}

/// Inputs that are one reason, as the model's file names them.
fn groups(model: &Model, inputs: &[Input]) -> Result<Vec<ReasonGroup>, (String, String)> {
    let mut groups = Vec::new();
    for (name, reason) in model.reasons.iter().filter(|(_, reason)| !reason.features.is_empty()) {
        let places = reason.features.iter().map(|feature| {
            let place = inputs.iter().position(|input| input.name == *feature);
            place.ok_or_else(|| (format!("reasons.{name}"), format!("the model has no feature `{feature}`")))
        });
        groups.push(ReasonGroup {
            name: name.clone(),
            words: reason.words.clone().unwrap_or_else(|| name.replace('_', " ")),
            code: reason.code.clone(),
            inputs: places.collect::<Result<_, _>>()?,
        });
    }
    Ok(groups)
}
