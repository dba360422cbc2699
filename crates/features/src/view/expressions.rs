//! Expression features: what their names mean, and in which order they are computed.

use karat_core::{Column, DataType, Schema, ValueType};

use super::arguments::Arguments;
use super::slots::Slots;
use super::{FeaturePlan, Input};
use crate::definition::{Definition, DefinitionError};
use crate::expression::Expression;
use karat_project::spec::FeatureKind;

pub(super) const AS_OF: &str = "as_of";

/// What is known of a feature's plan.
pub(super) enum Planned {
    /// An expression that was not compiled yet.
    Waiting,
    Ready(FeaturePlan, ValueType),
    /// It does not compile, or reads one that does not: the problem is told.
    Wrong,
}

/// The problem that keeps an expression from compiling; `None` where it is another feature's.
type Problem = Option<DefinitionError>;

pub(super) struct Expressions<'a, 'b> {
    pub(super) definition: &'a Definition,
    pub(super) arguments: &'a mut Arguments<'b>,
    pub(super) slots: &'a mut Slots,
    /// By output: known for aggregates from the start, for expressions once compiled.
    pub(super) plans: Vec<Planned>,
    pub(super) order: Vec<usize>,
    /// The expressions being compiled, outermost first.
    pub(super) path: Vec<usize>,
    pub(super) problems: &'a mut Vec<DefinitionError>,
}

impl Expressions<'_, '_> {
    /// The feature's type; `None` where it does not compile.
    pub(super) fn compile(&mut self, output: usize) -> Option<ValueType> {
        match &self.plans[output] {
            Planned::Ready(_, value_type) => return Some(*value_type),
            Planned::Wrong => return None,
            Planned::Waiting => {}
        }
        let depth = self.path.len();
        let compiled = self.plan(output);
        self.path.truncate(depth);
        let (planned, value_type) = match compiled {
            Ok((plan, data_type)) => {
                let value_type = ValueType::One(data_type);
                (Planned::Ready(plan, value_type), Some(value_type))
            }
            Err(problem) => {
                self.problems.extend(problem);
                (Planned::Wrong, None)
            }
        };
        self.plans[output] = planned;
        value_type
    }

    fn plan(&mut self, output: usize) -> Result<(FeaturePlan, DataType), Problem> {
        let feature = &self.definition.features[output];
        let name = feature.name.as_str();
        let FeatureKind::Expression { sql } = &feature.feature.kind else {
            unreachable!("aggregates are compiled before expressions")
        };
        let wrong = |reason: &dyn ToString| Some(DefinitionError::feature(name, "expression", reason.to_string()));
        if self.path.contains(&output) {
            let mut names: Vec<&str> = self.path.iter().map(|index| self.feature_name(*index)).collect();
            names.push(name);
            return Err(wrong(&format!("it is computed from itself: {}", names.join(" from "))));
        }
        self.path.push(output);
        let mut inputs = Vec::new();
        let mut columns = Vec::new();
        for read in Expression::names(sql).map_err(|error| wrong(&error))? {
            if let Some((input, data_type)) = self.input(output, &read)? {
                inputs.push(input);
                columns.push(Column::new(read, data_type));
            }
        }
        // A name that means nothing is left out of the schema; the error then suggests among all that would.
        let all_known = Expression::names(sql).is_ok_and(|names| names.len() == columns.len());
        let schema = if all_known { Schema::new(columns) } else { self.everything(output) };
        let expression = Expression::compile(sql, &schema).map_err(|error| wrong(&error))?;
        let data_type = expression.data_type();
        let plan = match (expression.as_column(), inputs.as_slice()) {
            (Some(_), [Input::Slot(slot)]) => FeaturePlan::Slot(*slot),
            _ => {
                self.order.push(output);
                FeaturePlan::Expression { expression, inputs }
            }
        };
        Ok((plan, data_type))
    }

    /// `as_of`, else another feature, else a column.
    fn input(&mut self, output: usize, name: &str) -> Result<Option<(Input, DataType)>, Problem> {
        if name == AS_OF {
            return Ok(Some((Input::AsOf, DataType::Timestamp)));
        }
        let other = self.definition.features.iter().position(|feature| feature.name == name);
        if let Some(other) = other.filter(|other| *other != output) {
            return match self.compile(other).ok_or(None)? {
                ValueType::One(data_type) => Ok(Some((Input::Feature(other), data_type))),
                ValueType::List(_) => {
                    let reason = format!(
                        "`{name}` is a list, and expressions are of single values: read an aggregate over the same events, such \
                         as `{{mean: column, last: 5}}`"
                    );
                    Err(Some(DefinitionError::feature(self.feature_name(output), "expression", reason)))
                }
            };
        }
        let Some(column) = self.definition.source.columns.column(name) else { return Ok(None) };
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let argument = self
            .arguments
            .add(&quoted)
            .map_err(|error| Some(DefinitionError::feature(self.feature_name(output), "expression", error)))?;
        let slot = self.slots.column(argument, column.data_type);
        Ok(Some((Input::Slot(slot), column.data_type)))
    }

    fn everything(&self, output: usize) -> Schema {
        let mut columns = vec![Column::new(AS_OF, DataType::Timestamp)];
        let features = self.definition.features.iter().enumerate();
        let others = features.filter(|(index, feature)| *index != output && feature.name != AS_OF);
        columns.extend(others.map(|(_, feature)| Column::new(&feature.name, DataType::Int)));
        for column in self.definition.source.columns.columns() {
            if columns.iter().all(|known| known.name != column.name) {
                columns.push(column.clone());
            }
        }
        Schema::new(columns)
    }

    fn feature_name(&self, output: usize) -> &str {
        &self.definition.features[output].name
    }
}
