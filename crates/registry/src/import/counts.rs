use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

/// What of a tracking server is counted, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    Experiments,
    ExperimentTags,
    Runs,
    Params,
    Tags,
    /// Latest values.
    Metrics,
    /// Whole histories.
    MetricPoints,
    /// Data sets that runs read.
    Inputs,
    /// Logged models that runs read or made.
    ModelLinks,
    LoggedModels,
    LoggedModelParams,
    LoggedModelTags,
    LoggedModelMetrics,
    RegisteredModels,
    RegisteredModelTags,
    Versions,
    VersionTags,
    Aliases,
    Files,
    Bytes,
}

impl Noun {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Noun::Experiments => "experiments",
            Noun::ExperimentTags => "tags of experiments",
            Noun::Runs => "runs",
            Noun::Params => "params",
            Noun::Tags => "tags",
            Noun::Metrics => "metrics",
            Noun::MetricPoints => "points of metrics",
            Noun::Inputs => "data set inputs",
            Noun::ModelLinks => "models read and made",
            Noun::LoggedModels => "logged models",
            Noun::LoggedModelParams => "their params",
            Noun::LoggedModelTags => "their tags",
            Noun::LoggedModelMetrics => "their metrics",
            Noun::RegisteredModels => "registered models",
            Noun::RegisteredModelTags => "tags of models",
            Noun::Versions => "versions",
            Noun::VersionTags => "tags of versions",
            Noun::Aliases => "aliases",
            Noun::Files => "artifact files",
            Noun::Bytes => "artifact bytes",
        }
    }
}

/// How many of each; what is not named is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<Noun, u64>);

impl Counts {
    pub fn of<const N: usize>(counts: [(Noun, usize); N]) -> Counts {
        Counts(counts.into_iter().map(|(noun, count)| (noun, count as u64)).filter(|(_, count)| *count > 0).collect())
    }

    pub fn add(&mut self, noun: Noun, count: u64) {
        if count > 0 {
            *self.0.entry(noun).or_default() += count;
        }
    }

    pub fn get(&self, noun: Noun) -> u64 {
        self.0.get(&noun).copied().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn nouns(&self) -> impl Iterator<Item = Noun> + '_ {
        self.0.keys().copied()
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        for (noun, count) in &other.0 {
            self.add(*noun, *count);
        }
    }
}
