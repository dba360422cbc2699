//! A project compiled: sources in the order they can be ingested, views with their definitions, all mistakes in one go.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use arrow::array::ArrayRef;
use indexmap::IndexMap;
use karat_core::{Column, DataType, Digest, Name, Schema, Value, key};
use karat_features::{CompiledView, Definition, DefinitionError, Identity, SourceDefinition};
use karat_project::spec::{Entity, FeatureService, FeatureView, Model, ModelFeatures, Source, key_columns};
use karat_project::{Kind, Problem, Problems, Project, ResourceRef};
use karat_query::{QueryError, RowsDefinition, SourcePlan};

use crate::Usage;

pub struct Catalog {
    /// Upstream sources come before those that read them.
    pub sources: IndexMap<Name, PlannedSource>,
    pub views: IndexMap<Name, PlannedView>,
}

pub struct PlannedSource {
    pub plan: SourcePlan,
    pub definition: SourceDefinition,
    /// What makes its rows what they are.
    pub rows: RowsDefinition,
    /// The sources its query and its checks read.
    pub upstream: BTreeSet<Name>,
}

pub struct PlannedView {
    pub spec: FeatureView,
    pub view: CompiledView,
    pub digest: Digest,
}

impl PlannedView {
    /// A key as people write it.
    pub fn key(&self, text: &str) -> Result<Vec<Value>> {
        let key = key::parse(self.view.key_columns(), text);
        key.map_err(|error| Usage(format!("the key of {}: {error}", self.entities())).into())
    }

    /// `client`; `client, employer`.
    pub fn entities(&self) -> String {
        listed(&self.spec.entities)
    }
}

/// Names with commas between.
pub fn listed(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// Keys by column, as spines have them.
pub(crate) fn key_arrays<'k>(columns: &[Column], keys: impl IntoIterator<Item = &'k [Value]>) -> Vec<ArrayRef> {
    let keys: Vec<&[Value]> = keys.into_iter().collect();
    let array = |(place, column): (usize, &Column)| {
        let values: Vec<Value> = keys.iter().map(|key| key[place].clone()).collect();
        Value::to_array(&values, column.data_type)
    };
    columns.iter().enumerate().map(array).collect()
}

/// The entities of these names, as far as the project has them.
pub(crate) fn entities(project: &Project, names: &[Name]) -> Vec<Entity> {
    names.iter().filter_map(|name| project.entities().get(name).cloned()).collect()
}

impl Catalog {
    /// Fails with every problem found, each at its place in the project's files.
    pub fn compile(project: &Project) -> Result<Catalog> {
        let mut problems = Vec::new();
        let sources = compile_sources(project, &mut problems);
        let mut views = IndexMap::new();
        for (name, spec) in project.views() {
            let entities = entities(project, &spec.entities);
            let Some(source) = sources.get(&spec.source).filter(|_| entities.len() == spec.entities.len()) else {
                // The source's or the entity's own problem is reported already.
                continue;
            };
            match compile_view(spec, &entities, source) {
                Ok(view) => {
                    views.insert(name.clone(), view);
                }
                Err(wrong) => problems.extend(
                    wrong.into_iter().map(|(at, message)| problem(project, Kind::FeatureView, name, &at, message)),
                ),
            }
        }
        let catalog = Catalog { sources, views };
        for (name, spec) in project.models() {
            for (at, message) in crate::pinned::problems(&catalog, project, spec) {
                // That one of its views does not compile is reported at the view.
                if at.starts_with("features[") && !catalog.has_all_views_of(spec) {
                    continue;
                }
                problems.push(problem(project, Kind::Model, name, &at, message));
            }
        }
        match Problems::of(problems) {
            None => Ok(catalog),
            Some(problems) => Err(problems.into()),
        }
    }
}

impl Catalog {
    /// The features of a service, in its order, by view.
    pub fn features_of(&self, service: &FeatureService) -> Vec<(Name, Vec<String>)> {
        let all = |view: &Name| {
            let outputs = self.views.get(view).map(|planned| planned.view.outputs()).unwrap_or_default();
            outputs.iter().map(|output| output.name.clone()).collect()
        };
        let mut features = Vec::new();
        for chosen in &service.features {
            match chosen {
                ModelFeatures::All(view) => features.push((view.clone(), all(view))),
                ModelFeatures::Some(list) => features.extend(list.0.clone()),
            }
        }
        features
    }

    fn has_all_views_of(&self, model: &Model) -> bool {
        model.features.iter().all(|taken| match taken {
            ModelFeatures::All(view) => self.views.contains_key(view),
            ModelFeatures::Some(list) => list.0.keys().all(|view| self.views.contains_key(view)),
        })
    }
}

/// A problem's path in its file, and the problem.
type Wrong = (String, String);

fn problem(project: &Project, kind: Kind, name: &Name, at: &str, message: String) -> Problem {
    project.problem(&ResourceRef::new(kind, name.clone()), at, message)
}

/// A source above which something does not compile is left out: that problem is reported already.
fn compile_sources(project: &Project, problems: &mut Vec<Problem>) -> IndexMap<Name, PlannedSource> {
    let mut done: IndexMap<Name, PlannedSource> = IndexMap::new();
    for source in project.sources_in_order() {
        let needs: BTreeSet<Name> = project.upstream(source).into_iter().collect();
        if !needs.iter().all(|need| done.contains_key(need)) {
            continue;
        }
        match compile_source(project, source, &needs, &done) {
            Ok(planned) => {
                done.insert(source.name.clone(), planned);
            }
            Err(wrong) => problems.extend(
                wrong.into_iter().map(|(at, message)| problem(project, Kind::Source, &source.name, &at, message)),
            ),
        }
    }
    done
}

fn compile_source(
    project: &Project,
    source: &Source,
    needs: &BTreeSet<Name>,
    done: &IndexMap<Name, PlannedSource>,
) -> Result<PlannedSource, Vec<Wrong>> {
    let schemas: BTreeMap<Name, Schema> =
        needs.iter().map(|need| (need.clone(), done[need].plan.schema().clone())).collect();
    let placed = |error: QueryError| match error {
        QueryError::Source { at, problem, .. } => (at, problem),
        other => ("name".to_owned(), other.to_string()),
    };
    let plan = SourcePlan::check(source, project.root(), &schemas)
        .map_err(|problems| problems.into_iter().map(placed).collect::<Vec<_>>())?;
    let above = needs.iter().map(|need| (need.clone(), done[need].rows.clone())).collect();
    let rows = RowsDefinition::of(&plan, &above);
    let definition = SourceDefinition {
        name: source.name.clone(),
        columns: plan.schema().clone(),
        keys: source.keys.clone(),
        event_time: source.event_time.clone(),
        known_time: source.known_time.clone(),
        available_after: source.available_after,
        include_as_of: source.include_as_of,
        time_zone: source.zone(),
        sequence: source.sequence.clone(),
        identity: match &plan.shape().identity {
            karat_query::Identity::Columns(columns) if source.keys.is_empty() => Identity::EventId(columns.join(",")),
            karat_query::Identity::Columns(columns) => Identity::Keys(columns.clone()),
            karat_query::Identity::FileRow => Identity::FileRow,
        },
        upstream: rows.narrowed(plan.schema().names()),
    };
    Ok(PlannedSource { plan, definition, rows, upstream: needs.clone() })
}

/// What a check allows, and what it puts in a feature's place, is of the feature's type.
fn check_checks(spec: &FeatureView, view: &CompiledView) -> Result<(), Vec<Wrong>> {
    let mut wrong = Vec::new();
    for output in view.outputs() {
        let Some(data_type) = output.value_type.one() else { continue };
        for (index, check) in spec.features[&output.name].checks.iter().enumerate() {
            for (at, problem) in check.misfits(data_type) {
                let path = format!("features.{}.checks[{index}].{at}", output.name);
                let of = if at == "on_failure.substitute" { "in place of feature" } else { "feature" };
                wrong.push((path, format!("{of} `{}`: {problem}", output.name)));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn compile_view(spec: &FeatureView, entities: &[Entity], source: &PlannedSource) -> Result<PlannedView, Vec<Wrong>> {
    if key_columns(entities).iter().any(|key| key.data_type == DataType::Float) {
        return Err(vec![("entity".to_owned(), "a key is no float: two floats that look equal may not be".to_owned())]);
    }
    let placed = |error: DefinitionError| (error.path(), error.to_string());
    let mut definition = Definition::check(spec, entities, source.definition.clone())
        .map_err(|problems| problems.into_iter().map(placed).collect::<Vec<_>>())?;
    // How the columns that the view uses come about; others may change without it.
    definition.source.upstream = source.rows.narrowed(definition.source.columns.names());
    let digest = definition.digest();
    let view = CompiledView::compile(definition).map_err(|error| vec![placed(error)])?;
    view.retention(spec.online_horizon).map_err(|error| vec![("online_horizon".to_owned(), error.to_string())])?;
    check_checks(spec, &view)?;
    Ok(PlannedView { spec: spec.clone(), view, digest })
}
