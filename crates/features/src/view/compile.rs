use karat_core::{Column, DataType, Schema, ValueType, hidden};
use karat_project::spec::FeatureKind;

use super::arguments::Arguments;
use super::expressions::{AS_OF, Expressions, Planned};
use super::slots::Slots;
use super::{CompiledView, FeaturePlan, Output, Plan};
use crate::definition::{Definition, DefinitionError, Identity};
use crate::expression::SEMANTICS;

impl CompiledView {
    /// Fails with the first problem; [`CompiledView::compile_all`] tells them all.
    pub fn compile(definition: Definition) -> Result<CompiledView, DefinitionError> {
        CompiledView::compile_all(definition).map_err(DefinitionError::first)
    }

    /// Fails with a problem for each feature that does not compile; those that read such a one are not told of.
    pub fn compile_all(definition: Definition) -> Result<CompiledView, Vec<DefinitionError>> {
        if definition.semantics != SEMANTICS {
            return Err(vec![DefinitionError::Semantics { made: definition.semantics, ours: SEMANTICS }]);
        }
        let mut problems = name_problems(&definition);
        let source = &definition.source;
        let mut arguments = Arguments::new(&source.columns);
        let mut slots = Slots::new(definition.ttl);
        let mut plans = Vec::with_capacity(definition.features.len());
        for feature in &definition.features {
            plans.push(match &feature.feature.kind {
                FeatureKind::Aggregate { aggregate, of } => {
                    let slot = slots.aggregate(
                        &feature.name,
                        *aggregate,
                        of.as_deref(),
                        &feature.feature.rows,
                        source.event_time.is_some(),
                        &mut arguments,
                    );
                    match slot {
                        Ok(slot) => Planned::Ready(FeaturePlan::Slot(slot), slots.slots[slot].value_type()),
                        Err(problem) => {
                            problems.push(problem);
                            Planned::Wrong
                        }
                    }
                }
                FeatureKind::Expression { .. } => Planned::Waiting,
            });
        }
        let mut expressions = Expressions {
            definition: &definition,
            arguments: &mut arguments,
            slots: &mut slots,
            plans,
            order: Vec::new(),
            path: Vec::new(),
            problems: &mut problems,
        };
        for output in 0..definition.features.len() {
            expressions.compile(output);
        }
        let (order, plans) = (expressions.order, expressions.plans);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (features, types): (Vec<FeaturePlan>, Vec<ValueType>) = plans
            .into_iter()
            .map(|plan| match plan {
                Planned::Ready(plan, value_type) => (plan, value_type),
                Planned::Waiting | Planned::Wrong => unreachable!("a feature without a plan has a problem"),
            })
            .unzip();
        let outputs = definition.features.iter().zip(types);
        let outputs = outputs.map(|(feature, value_type)| Output { name: feature.name.clone(), value_type }).collect();
        let alone = |problem: DefinitionError| vec![problem];
        let sequence = source.sequence.as_deref().map(|name| column(&definition, "sequence", name)).transpose();
        let mut plan = Plan {
            timed: source.event_time.is_some(),
            include_as_of: source.include_as_of,
            zone: source.time_zone.clone(),
            arguments: arguments.all,
            sequence: sequence.map_err(alone)?,
            identity: identity(&definition).map_err(alone)?,
            nulled: Vec::new(),
            accumulated_by: slots.accumulated_by(),
            lists: slots.lists,
            windows: slots.windows,
            frames: slots.frames,
            slots: slots.slots,
            features,
            order,
        };
        plan.nulled = reported_columns(&plan);
        let source_columns = source_columns(&definition, &plan).map_err(alone)?;
        Ok(CompiledView { digest: definition.digest(), definition, outputs, source_columns, plan })
    }
}

fn name_problems(definition: &Definition) -> Vec<DefinitionError> {
    let mut problems = Vec::new();
    if definition.keys.is_empty() {
        problems.push(DefinitionError::View(format!("view `{}` has no entity", definition.view)));
    }
    if definition.ttl.is_some() && definition.source.event_time.is_none() {
        let reason = format!("ttl: source `{}` has no event_time, so its rows have no age", definition.source.name);
        problems.push(DefinitionError::View(reason));
    }
    if definition.features.is_empty() {
        problems.push(DefinitionError::View(format!("view `{}` has no features", definition.view)));
    }
    let reserved = |name: &str| [AS_OF, crate::NO_HISTORY].contains(&name) || hidden::ALL.contains(&name);
    for (index, feature) in definition.features.iter().enumerate() {
        let mut wrong = |part, reason| problems.push(DefinitionError::feature(&feature.name, part, reason));
        if reserved(&feature.name) {
            wrong("", "the name is taken: choose another");
        }
        if definition.features[..index].iter().any(|other| other.name == feature.name) {
            wrong("", "two features share the name");
        }
        if feature.feature.rows.last == Some(0) {
            wrong("last", "`last: 0` keeps no events: write 1 or more");
        }
    }
    problems
}

fn column(definition: &Definition, what: &str, name: &str) -> Result<Column, DefinitionError> {
    let source = &definition.source;
    source
        .columns
        .column(name)
        .cloned()
        .ok_or_else(|| DefinitionError::View(format!("source `{}` has no column `{name}`, its {what}", source.name)))
}

fn identity(definition: &Definition) -> Result<Vec<Column>, DefinitionError> {
    match &definition.source.identity {
        Identity::Keys(names) if names.is_empty() => Err(DefinitionError::View(format!(
            "source `{}` has no keys to tell its rows apart",
            definition.source.name
        ))),
        Identity::Keys(names) => names.iter().map(|name| column(definition, "key", name)).collect(),
        Identity::EventId(name) => Ok(vec![column(definition, "event_id", name)?]),
        Identity::FileRow => {
            Ok(vec![Column::new(hidden::FILE, DataType::Text), Column::new(hidden::ROW, DataType::Int)])
        }
    }
}

/// The columns of values that are cells of events: of `first`, `last` and `list`, and of expressions.
fn reported_columns(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for argument in plan.slots.iter().filter(|slot| slot.kind.shows_cells()).filter_map(|slot| slot.argument) {
        names.extend(plan.arguments[argument].expression.columns().iter().cloned());
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// In the source's own order.
fn source_columns(definition: &Definition, plan: &Plan) -> Result<Schema, DefinitionError> {
    let mut names: Vec<&str> = definition.keys.iter().map(|key| key.name.as_str()).collect();
    names.extend(plan.arguments.iter().flat_map(|argument| argument.expression.columns()).map(String::as_str));
    names.extend(plan.sequence.iter().chain(&plan.identity).map(|column| column.name.as_str()));
    for key in &definition.keys {
        column(definition, "entity's key", &key.name)?;
    }
    let columns = definition.source.columns.columns();
    Ok(Schema::new(columns.iter().filter(|column| names.contains(&column.name.as_str())).cloned().collect()))
}
