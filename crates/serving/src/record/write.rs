//! Records as they are written: straight from a decision, without building a [`super::PredictionRecord`] first.

use karat_core::{AsJson, DataType, Digest, Instant, Name, PredictionId, VERSION, Value};
use karat_history::HistoryError;
use karat_history::log::Records;
use karat_project::spec;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::FORMAT_VERSION;
use crate::decision::{Decided, DecisionView};
use crate::reasons::Explained;
use crate::{InputOrigin, QaFailure};

/// What a record of a dozen features takes.
const USUAL_BYTES: usize = 2560;

/// The records of one answer's decisions, one after the other.
pub(crate) fn write(endpoint: &spec::Endpoint, decided: &Decided) -> Result<Records, HistoryError> {
    let mut records = Records::with_capacity(USUAL_BYTES * decided.len());
    for view in decided.iter() {
        records.push(|bytes| {
            serde_json::to_writer(bytes, &Record::new(endpoint, view)).expect("a prediction record serialises to JSON");
        })?;
    }
    Ok(records)
}

/// Field by field as [`super::PredictionRecord`] reads it.
#[derive(Serialize)]
struct Record<'d> {
    format_version: u32,
    prediction_id: PredictionId,
    at: Instant,
    endpoint: &'d Name,
    release: u64,
    release_digest: &'d Digest,
    model: &'d Name,
    version: u64,
    model_digest: &'d Digest,
    karat: &'d str,
    as_of: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<AsJson<'d>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sent: bool,
    #[serde(skip_serializing_if = "Map::is_empty")]
    commits: Map<'d>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    view_commits: Map<'d>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    definitions: Map<'d>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<'d>,
    features: Map<'d>,
    #[serde(skip_serializing_if = "NoHistory::is_empty")]
    no_history: NoHistory<'d>,
    score: f64,
    label: &'d str,
    threshold: f64,
    reasons: Reasons<'d>,
    explained: Explained,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    qa_failures: &'d [QaFailure],
}

impl<'d> Record<'d> {
    fn new(endpoint: &'d spec::Endpoint, view: DecisionView<'d>) -> Record<'d> {
        let (model, decision) = (view.model(), view.decision);
        Record {
            format_version: FORMAT_VERSION,
            prediction_id: decision.id,
            at: view.decided.at,
            endpoint: &endpoint.name,
            release: model.name.release,
            release_digest: &model.name.release_digest,
            model: &model.name.model,
            version: model.name.version,
            model_digest: model.model.digest(),
            karat: VERSION,
            as_of: view.decided.as_of,
            key: decision.key.as_ref().map(AsJson),
            sent: decision.sent,
            commits: Map { of: Of::Commits, view },
            view_commits: Map { of: Of::ViewCommits, view },
            definitions: Map { of: Of::Definitions, view },
            fields: Map { of: Of::Fields, view },
            features: Map { of: Of::Features, view },
            no_history: NoHistory(view),
            score: view.score(),
            label: view.label(),
            threshold: view.threshold(),
            reasons: Reasons(view),
            explained: decision.explained,
            qa_failures: &decision.qa_failures,
        }
    }
}

/// One of a record's maps.
struct Map<'d> {
    of: Of,
    view: DecisionView<'d>,
}

enum Of {
    Commits,
    ViewCommits,
    Definitions,
    Fields,
    Features,
}

impl Map<'_> {
    fn is_empty(&self) -> bool {
        match self.of {
            // Where the caller sent the features, no view was read.
            Of::Commits | Of::ViewCommits | Of::Definitions => self.view.decision.views.is_empty(),
            Of::Fields => self.view.model().pinned.request_fields().next().is_none(),
            Of::Features => false,
        }
    }
}

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (pinned, decision) = (&self.view.model().pinned, self.view.decision);
        let mut map = serializer.serialize_map(None)?;
        match self.of {
            Of::Commits => {
                let source = |place: usize| &pinned.views[place].definition.source.name;
                for place in 0..decision.views.len() {
                    // Views of one source name it once.
                    if (0..place).all(|before| source(before) != source(place)) {
                        let same = (place..decision.views.len()).filter(|other| source(*other) == source(place));
                        map.serialize_entry(source(place), &same.map(|other| decision.views[other].0).max())?;
                    }
                }
            }
            Of::ViewCommits => {
                for (view, (commit, _)) in pinned.views.iter().zip(&decision.views) {
                    map.serialize_entry(&view.name, commit)?;
                }
            }
            Of::Definitions => {
                for view in &pinned.views {
                    map.serialize_entry(&view.name, &view.digest)?;
                }
            }
            Of::Fields | Of::Features => {
                let every = matches!(self.of, Of::Features);
                for (input, value) in pinned.inputs.iter().zip(&decision.values) {
                    if every || input.origin == InputOrigin::Request {
                        map.serialize_entry(&input.name, &Logged { t: input.data_type, v: value })?;
                    }
                }
            }
        }
        map.end()
    }
}

/// As [`super::LoggedValue`].
struct Logged<'d> {
    t: DataType,
    v: &'d Value,
}

impl Serialize for Logged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("t", &self.t)?;
        map.serialize_entry("v", &AsJson(self.v))?;
        map.end()
    }
}

struct NoHistory<'d>(DecisionView<'d>);

impl NoHistory<'_> {
    fn is_empty(&self) -> bool {
        self.0.no_history().next().is_none()
    }
}

impl Serialize for NoHistory<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.no_history())
    }
}

struct Reasons<'d>(DecisionView<'d>);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.reasons().len()))?;
        for reason in self.0.reasons() {
            list.serialize_element(&reason)?;
        }
        list.end()
    }
}
