//! What a model version was trained with, kept in its artifact: endpoints and replays use these definitions, never
//! today's folder.

use indexmap::IndexMap;
use karat_core::{Column, DataType, Digest, KeyView, Name, Value, Window};
use karat_features::{CompiledView, Definition, DefinitionError};
use karat_project::spec::FeatureCheck;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The artifact's file that holds a [`Pinned`].
pub const FILE: &str = "features.json";

/// Where [`Pinned::identity`] has the digest of the checks: no view can be called so.
pub const CHECKS: &str = "feature checks";

/// Where it has the digest of the words, codes and groups of reasons.
pub const REASONS: &str = "reason words";

/// Format 2 has groups of reasons, format 3 checks that do more than report, format 4 keys of several columns; what has
/// none of them is written as format 1, which older Karats read.
const FORMAT_VERSION: u32 = 4;

/// A model's inputs in the order of its signature, and the views they are computed by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    format_version: u32,
    /// Whom a decision is about.
    #[serde(rename = "entity", with = "karat_core::one_or_many")]
    pub entities: Vec<Name>,
    /// The key columns of all of them: every view's are among these.
    #[serde(rename = "key", with = "karat_core::one_or_many")]
    pub keys: Vec<Column>,
    pub views: Vec<PinnedView>,
    pub inputs: Vec<Input>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ReasonGroup>,
}

/// Inputs whose contributions are one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonGroup {
    pub name: String,
    /// What reasons call it.
    pub words: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Places among [`Pinned::inputs`].
    pub inputs: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PinnedView {
    pub name: Name,
    pub digest: Digest,
    pub definition: Definition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_horizon: Option<Window>,
}

/// One input of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
    pub origin: InputOrigin,
    /// What reasons call it.
    pub words: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<FeatureCheck>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputOrigin {
    /// An output of a view: places in [`Pinned::views`] and among the view's outputs.
    View { view: usize, output: usize },
    /// A field of the request.
    Request,
}

impl Pinned {
    pub fn new(entities: Vec<Name>, keys: Vec<Column>, views: Vec<PinnedView>, inputs: Vec<Input>) -> Pinned {
        let format_version = match (keys.len(), inputs.iter().any(Input::checks_act)) {
            (2.., _) => 4,
            (_, true) => 3,
            (_, false) => 1,
        };
        Pinned { format_version, entities, keys, views, inputs, groups: Vec::new() }
    }

    pub fn with_groups(self, groups: Vec<ReasonGroup>) -> Pinned {
        let format_version = self.format_version.max(if groups.is_empty() { 1 } else { 2 });
        Pinned { format_version, groups, ..self }
    }

    pub fn to_file(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("pinned definitions serialise to JSON")
    }

    /// Refuses files of a newer format, and files whose places point nowhere.
    pub fn from_file(bytes: &[u8]) -> Result<Pinned, String> {
        let pinned: Pinned = serde_json::from_slice(bytes).map_err(|e| format!("{FILE} is not readable: {e}"))?;
        if pinned.format_version > FORMAT_VERSION {
            return Err(format!(
                "{FILE} has format {}, newer than this Karat's {FORMAT_VERSION}",
                pinned.format_version
            ));
        }
        for view in &pinned.views {
            if view.definition.digest() != view.digest {
                return Err(format!("{FILE}: the definition of view {} is not the one its digest names", view.name));
            }
        }
        if let Some(view) = pinned.views.iter().find(|view| pinned.places(&view.definition.keys).is_none()) {
            return Err(format!("{FILE}: the key of view {} is not among the model's", view.name));
        }
        for input in &pinned.inputs {
            if let Some(problem) = input.wrong_substitute() {
                return Err(format!("{FILE}: the substitute of input {}: {problem}", input.name));
            }
        }
        Ok(pinned)
    }

    /// Where these key columns stand among the model's; `None` where one of them does not.
    pub fn places(&self, keys: &[Column]) -> Option<Vec<usize>> {
        keys.iter().map(|key| self.keys.iter().position(|known| known == key)).collect()
    }

    /// Of a whole key, the columns and values that views over a source are read by; `None` where there is no such view.
    pub(crate) fn of_source<'k>(&'k self, source: &Name, key: &'k [Value]) -> Option<Vec<(&'k str, &'k Value)>> {
        let view = self.views.iter().find(|view| view.definition.source.name == *source)?;
        let places = self.places(&view.definition.keys)?;
        Some(places.into_iter().map(|place| (self.keys[place].name.as_str(), &key[place])).collect())
    }

    /// Whom a decision is about, for messages: `client 5008806`, `client_id=5,employer_id=7`.
    pub fn subject(&self, key: &[Value]) -> String {
        let shown = KeyView::new(&self.keys, key);
        match self.entities.as_slice() {
            [entity] => format!("{entity} {shown}"),
            _ => shown.to_string(),
        }
    }

    pub fn compile(&self) -> Result<Vec<CompiledView>, DefinitionError> {
        self.views.iter().map(|view| CompiledView::compile(view.definition.clone())).collect()
    }

    /// What it takes to compute the inputs and nothing else: the views are without features that no input is or depends on, and
    /// their digests are still those of the whole. For computing, never for what lies under a digest.
    pub fn narrowed(&self) -> Result<Pinned, DefinitionError> {
        let mut narrowed = self.clone();
        for (place, view) in self.compile()?.iter().enumerate() {
            let of_view = |input: &Input| input.view_output().filter(|(view, _)| *view == place);
            let taken: Vec<usize> = self.inputs.iter().filter_map(of_view).map(|(_, output)| output).collect();
            // A view has features, whoever takes them.
            let needed = view.needed_for(if taken.is_empty() { vec![0] } else { taken });
            let features = &mut narrowed.views[place].definition.features;
            *features = needed.iter().map(|output| features[*output].clone()).collect();
            for (input, own) in narrowed.inputs.iter_mut().zip(&self.inputs) {
                if let Some((view, output)) = of_view(own) {
                    let output = needed.binary_search(&output).expect("what an input takes is needed");
                    input.origin = InputOrigin::View { view, output };
                }
            }
        }
        Ok(narrowed)
    }

    /// The fields a request carries, in the order of the inputs.
    pub fn request_fields(&self) -> impl Iterator<Item = (usize, &Input)> {
        self.inputs.iter().enumerate().filter(|(_, input)| input.origin == InputOrigin::Request)
    }

    /// The views' digests by name.
    pub fn digests(&self) -> IndexMap<Name, Digest> {
        self.views.iter().map(|view| (view.name.clone(), view.digest.clone())).collect()
    }

    /// What a version is registered as beside its model's digest: what makes its values, and what its reasons say. Two versions
    /// are one where both agree.
    pub fn identity(&self) -> serde_json::Value {
        let mut identity = self.values_identity();
        identity[REASONS] = json!(self.reasons_digest());
        identity
    }

    /// Whether a version with these definitions may have this in its file. Earlier ones were registered without what their
    /// reasons say.
    pub fn may_be(&self, definitions: &serde_json::Value) -> bool {
        *definitions == self.identity() || *definitions == self.values_identity()
    }

    /// Whether a version with these definitions computes the same values, whatever its reasons say.
    pub fn has_values_of(&self, definitions: &serde_json::Value) -> bool {
        let mut of_values = definitions.clone();
        if let Some(definitions) = of_values.as_object_mut() {
            definitions.remove(REASONS);
        }
        of_values == self.values_identity()
    }

    /// The views' digests by name, and that of the checks that put other values in place of those, or refuse them, where
    /// there are any.
    pub fn values_identity(&self) -> serde_json::Value {
        let mut identity = json!(self.digests());
        let acting: Vec<_> = self
            .inputs
            .iter()
            .filter(|input| input.checks_act())
            .map(|input| json!({"input": input.name, "checks": input.checks.iter().filter(|check| !check.on_failure().is_report()).collect::<Vec<_>>()}))
            .collect();
        if !acting.is_empty() {
            identity[CHECKS] = json!(Digest::of_json(&json!(acting)));
        }
        identity
    }

    /// Of the words, codes and groups that reasons are made of.
    pub fn reasons_digest(&self) -> Digest {
        let inputs = self.inputs.iter().map(|input| json!({"words": input.words, "code": input.code}));
        Digest::of_json(&json!({"inputs": inputs.collect::<Vec<_>>(), "groups": self.groups}))
    }
}
