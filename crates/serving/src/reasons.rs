//! Which of a decision's contributions are given as its reasons, and in which words.

use std::cell::RefCell;
use std::fmt;

use karat_core::{AsJson, Value};
use karat_project::spec::{ReasonMode, Reasons};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Pinned, ServingModel};

/// The reasons of one decision: which were wanted, and how many at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    pub which: Which,
    pub most: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// What moved the score most, up or down.
    #[default]
    All,
    /// What raised the score most: what tells against an applicant whose second label is bad news.
    Adverse,
    None,
}

impl Which {
    pub(crate) const WORDS: [(&str, Which); 3] =
        [("all", Which::All), ("adverse", Which::Adverse), ("none", Which::None)];
}

impl Explained {
    /// What an answer carries: what the request asks for, else what the endpoint says of answers on this side of the
    /// threshold.
    pub(crate) fn of(endpoint: Reasons, asked: Option<Which>, side: usize) -> Explained {
        let which = asked.unwrap_or(match (endpoint.mode, side) {
            (ReasonMode::Always, _) => Which::All,
            (ReasonMode::Adverse, 1) => Which::Adverse,
            (ReasonMode::Adverse | ReasonMode::OnRequest, _) => Which::None,
        });
        Explained { which, most: endpoint.most }
    }
}

/// What a reason can be about: an input of the model, or a group of them whose contributions are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReasonSource {
    pub(crate) name: String,
    pub(crate) words: String,
    pub(crate) code: Option<String>,
    /// Places among the inputs.
    pub(crate) inputs: Vec<usize>,
    pub(crate) is_group: bool,
}

impl ReasonSource {
    /// Each input is in exactly one; a group stands where its first input does.
    pub(crate) fn all(pinned: &Pinned) -> Result<Vec<ReasonSource>, String> {
        let mut group_of = vec![None; pinned.inputs.len()];
        for (place, group) in pinned.groups.iter().enumerate() {
            for input in &group.inputs {
                match group_of.get_mut(*input) {
                    Some(slot @ None) => *slot = Some(place),
                    _ => {
                        return Err(format!(
                            "the group of reasons `{}` takes an input that is not its to take",
                            group.name
                        ));
                    }
                }
            }
        }
        let mut sources = Vec::new();
        for (place, input) in pinned.inputs.iter().enumerate() {
            match group_of[place].map(|group| &pinned.groups[group]) {
                None => sources.push(ReasonSource {
                    name: input.name.clone(),
                    words: input.words.clone(),
                    code: input.code.clone(),
                    inputs: vec![place],
                    is_group: false,
                }),
                Some(group) if group.inputs.iter().min() == Some(&place) => sources.push(ReasonSource {
                    name: group.name.clone(),
                    words: group.words.clone(),
                    code: group.code.clone(),
                    inputs: group.inputs.clone(),
                    is_group: true,
                }),
                Some(_) => {}
            }
        }
        Ok(sources)
    }

    fn contribution(&self, contributions: &[f64]) -> f64 {
        let mut parts = self.inputs.iter().map(|input| contributions[*input]);
        let first = parts.next().unwrap_or(0.0);
        parts.fold(first, |sum, part| sum + part)
    }
}

/// One reason: what it is about, and by how much that moved the raw score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Because {
    /// Place among the model's sources of reasons.
    pub(crate) source: usize,
    pub contribution: f64,
}

/// The reasons of an encoded row.
pub(crate) fn because(model: &ServingModel, row: &[f64], explained: Explained) -> Vec<Because> {
    if explained.which == Which::None || explained.most == 0 {
        return Vec::new();
    }
    SCRATCH.with_borrow_mut(|(contributions, reasons)| {
        contributions.resize(row.len() + 1, 0.0);
        model.model.contributions(row, contributions);
        let sources = model.reason_sources().iter().enumerate();
        reasons.clear();
        reasons.extend(
            sources
                .map(|(source, described)| Because { source, contribution: described.contribution(contributions) })
                .filter(|because| explained.which == Which::All || because.contribution > 0.0),
        );
        // Of equal ones the first source comes first.
        reasons.sort_unstable_by(|a, b| {
            b.contribution.abs().total_cmp(&a.contribution.abs()).then(a.source.cmp(&b.source))
        });
        reasons[..reasons.len().min(usize::from(explained.most))].to_vec()
    })
}

thread_local! {
    /// Of the row explained last on this thread.
    static SCRATCH: RefCell<(Vec<f64>, Vec<Because>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// A reason as people and programs read it, borrowed from a decision.
#[derive(Debug, Clone, Copy)]
pub struct ReasonView<'d> {
    source: &'d ReasonSource,
    values: &'d [Value],
    names: &'d Pinned,
    contribution: f64,
}

impl<'d> ReasonView<'d> {
    pub(crate) fn new(model: &'d ServingModel, values: &'d [Value], because: Because) -> ReasonView<'d> {
        let source = &model.reason_sources()[because.source];
        ReasonView { source, values, names: &model.pinned, contribution: because.contribution }
    }

    /// The input's name, or the group's.
    pub fn feature(&self) -> &'d str {
        &self.source.name
    }

    pub fn contribution(&self) -> f64 {
        self.contribution
    }

    pub fn code(&self) -> Option<&'d str> {
        self.source.code.as_deref()
    }

    /// The input's value; of a group, an object of its inputs' values.
    pub fn value(&self) -> ReasonValue<'d> {
        ReasonValue(*self)
    }

    /// `share of earlier months paid late (0.25) raises the risk`
    pub fn text(&self) -> ReasonText<'d> {
        ReasonText(*self)
    }

    fn inputs(&self) -> impl Iterator<Item = (&'d str, &'d Value)> {
        let ReasonView { source, values, names, .. } = *self;
        source.inputs.iter().map(move |place| (names.inputs[*place].name.as_str(), &values[*place]))
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ReasonValue<'d>(ReasonView<'d>);

impl Serialize for ReasonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.0.source.is_group {
            return match self.0.inputs().next() {
                Some((_, value)) => AsJson(value).serialize(serializer),
                None => serializer.serialize_unit(),
            };
        }
        let mut map = serializer.serialize_map(Some(self.0.source.inputs.len()))?;
        for (name, value) in self.0.inputs() {
            map.serialize_entry(name, &AsJson(value))?;
        }
        map.end()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ReasonText<'d>(ReasonView<'d>);

impl fmt::Display for ReasonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.source.words)?;
        if let (false, Some((_, value))) = (self.0.source.is_group, self.0.inputs().next()) {
            write!(f, " ({value})")?;
        }
        f.write_str(if self.0.contribution >= 0.0 { " raises the risk" } else { " lowers the risk" })
    }
}

impl Serialize for ReasonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ReasonView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("feature", self.feature())?;
        map.serialize_entry("value", &self.value())?;
        map.serialize_entry("contribution", &self.contribution)?;
        if let Some(code) = self.code() {
            map.serialize_entry("code", code)?;
        }
        map.serialize_entry("text", &self.text())?;
        map.end()
    }
}

/// A reason on its own, as the log gives it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    pub feature: String,
    pub value: serde_json::Value,
    /// On the model's raw (log-odds) scale: positive towards the second label.
    pub contribution: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub text: String,
}

impl From<ReasonView<'_>> for Reason {
    fn from(view: ReasonView<'_>) -> Reason {
        Reason {
            feature: view.feature().to_owned(),
            value: serde_json::to_value(view.value()).expect("values serialise to JSON"),
            contribution: view.contribution(),
            code: view.code().map(ToOwned::to_owned),
            text: view.text().to_string(),
        }
    }
}
