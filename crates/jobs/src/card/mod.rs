//! A model version's card: gathered from the registry, the artifacts of its run and of itself, and the prediction log.

mod decision;
mod origin;
mod rival;

use anyhow::Result;
use karat_core::{Instant, VERSION};
use karat_project::spec;
use karat_registry::{ApprovalRule, CHAMPION, DecisionKind, ModelVersion, Reference, Run};
use karat_report::card::{
    Card, Decided, Evaluation, FORMAT_VERSION, FeatureImportance, Gate, Importance, ImportanceMeasure, InputLine, Split,
};
use karat_serving::{Pinned, ReasonGroup};
use karat_training::{Explanation, Importance as Gain};
use serde::de::DeserializeOwned;

use crate::catalog::listed;
use crate::{Workspace, artifact};

/// Which decision the card takes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    /// The newest that the version made, if it made any.
    Newest,
    Prediction(&'a str),
}

/// `reference` is NAME, NAME/VERSION or NAME@ALIAS; a name alone means the champion, else the newest version.
pub async fn run(workspace: &Workspace, reference: &str, shown: Shown<'_>) -> Result<Card> {
    let version = version(workspace, reference).await?;
    let registered = workspace.registry.model(&version.model).await?;
    let loaded = artifact::load(workspace, &version).await?;
    let mut missing = Vec::new();
    let run = Traces::find(workspace, &version, &mut missing).await?;
    let evaluation: Option<Evaluation> = run.file(workspace, "evaluation.json", &mut missing).await;
    let split: Option<Split> = run.file(workspace, "split.json", &mut missing).await;
    let spec: Option<spec::Model> = run.file(workspace, "model.spec.json", &mut missing).await;
    let decision = decision::explain(workspace, &version, &loaded, shown, &mut missing).await?;
    let labels = loaded.model.labels().clone().map(|label| label.to_string());
    Ok(Card {
        format_version: FORMAT_VERSION,
        project: workspace.project.config().name.to_string(),
        written: workspace.clock.now(),
        karat: VERSION.to_owned(),
        model: version.model.clone(),
        version: version.version,
        description: registered.description.trim().to_owned(),
        owner: spec.as_ref().and_then(|spec| spec.owner.clone()),
        standing: version.standing.to_string(),
        aliases: version.aliases.clone(),
        made: Instant::from_micros(version.creation_time_ms.saturating_mul(1000)),
        labels,
        threshold: loaded.model.threshold(),
        threshold_rule: spec.as_ref().map_or_else(|| "its rule is not recorded".to_owned(), threshold_rule),
        trees: loaded.model.trees().trees().len() as u64,
        lineage: origin::lineage(&version, &loaded, run.run.as_ref(), spec.as_ref()),
        sources: origin::sources(workspace, &loaded).await?,
        inputs: inputs(&loaded),
        split,
        split_rule: spec.as_ref().map(split_rule).unwrap_or_default(),
        importance: importance(workspace, &run).await,
        gates: version.gates.iter().map(gate).collect(),
        approval_required: registered.approval != ApprovalRule::NotRequired,
        decisions: version.approvals.iter().map(decided).collect(),
        rival: rival::find(workspace, &version, &registered, evaluation.as_ref()).await?,
        evaluation,
        decision,
        missing,
    })
}

async fn version(workspace: &Workspace, reference: &str) -> Result<ModelVersion> {
    match reference.parse::<Reference>()? {
        Reference::Model { model } => {
            let held = workspace.registry.model(&model).await?;
            let number = held.aliases.get(CHAMPION).copied().unwrap_or(held.versions);
            Ok(workspace.registry.version(&model, number).await?)
        }
        Reference::Version { .. } | Reference::Alias { .. } => Ok(workspace.registry.resolve(reference).await?),
    }
}

/// What the run that gave a version left behind.
pub(super) struct Traces {
    run: Option<Run>,
}

impl Traces {
    async fn find(workspace: &Workspace, version: &ModelVersion, missing: &mut Vec<String>) -> Result<Traces> {
        match &version.run_id {
            Some(id) => Ok(Traces { run: Some(workspace.registry.run(id.as_str()).await?) }),
            None => {
                missing
                    .push(format!("{} came without a run: nothing is known of how it was measured.", version.label()));
                Ok(Traces { run: None })
            }
        }
    }

    /// A file of the run; one that is not there, or cannot be read, is noted.
    async fn file<T: DeserializeOwned>(
        &self,
        workspace: &Workspace,
        name: &str,
        missing: &mut Vec<String>,
    ) -> Option<T> {
        let run = self.run.as_ref()?;
        match self.optional(workspace, name).await {
            Ok(Some(found)) => Some(found),
            Ok(None) => {
                missing.push(format!("Run {} left no {name}.", run.run_id));
                None
            }
            Err(error) => {
                missing.push(format!("{name} of run {} cannot be read: {error:#}.", run.run_id));
                None
            }
        }
    }

    /// A file that runs of older versions did not leave.
    async fn optional<T: DeserializeOwned>(&self, workspace: &Workspace, name: &str) -> Result<Option<T>> {
        let Some(run) = &self.run else { return Ok(None) };
        let path = format!("runs/{}/{name}", run.run_id);
        if !workspace.artifacts.exists(&path).await? {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&workspace.artifacts.get(&path).await?)?))
    }
}

/// Contributions where the run recorded them, else gains.
async fn importance(workspace: &Workspace, run: &Traces) -> Option<Importance> {
    let explained: Option<Explanation> = run.optional(workspace, "explanation.json").await.ok().flatten();
    let mut importance = match explained {
        Some(explained) => Importance {
            measure: ImportanceMeasure::MeanAbsoluteContribution { part: explained.part, rows: explained.rows },
            features: explained
                .features
                .into_iter()
                .map(|weight| FeatureImportance { feature: weight.feature, value: weight.mean_absolute })
                .collect(),
        },
        None => {
            let gains: Vec<Gain> = run.optional(workspace, "importance.json").await.ok().flatten()?;
            let features = gains.into_iter().map(|gain| FeatureImportance { feature: gain.feature, value: gain.gain });
            Importance { measure: ImportanceMeasure::Gain, features: features.collect() }
        }
    };
    importance.features.sort_by(|a, b| b.value.total_cmp(&a.value));
    Some(importance)
}

fn inputs(loaded: &artifact::Loaded) -> Vec<InputLine> {
    let pinned = &loaded.pinned;
    let signature = &loaded.model.signature().inputs;
    let line = |(place, (input, scored)): (usize, (&karat_serving::Input, &karat_model::Input))| InputLine {
        name: input.name.clone(),
        data_type: input.data_type.to_string(),
        from: match input.origin {
            karat_serving::InputOrigin::View { view, .. } => pinned.views[view].name.to_string(),
            karat_serving::InputOrigin::Request => "the request".to_owned(),
        },
        words: input.words.clone(),
        code: code_of(pinned, place),
        group: group_of(pinned, place).map(|group| group.words.clone()),
        monotone: match scored.monotone {
            karat_model::Monotone::None => None,
            karat_model::Monotone::Increasing => Some("increasing".to_owned()),
            karat_model::Monotone::Decreasing => Some("decreasing".to_owned()),
        },
        checks: input.acting_checks(),
    };
    pinned.inputs.iter().zip(signature).enumerate().map(line).collect()
}

fn group_of(pinned: &Pinned, place: usize) -> Option<&ReasonGroup> {
    pinned.groups.iter().find(|group| group.inputs.contains(&place))
}

/// The code of the reason that an input is part of: its group's, where it has one.
pub(super) fn code_of(pinned: &Pinned, place: usize) -> Option<String> {
    match group_of(pinned, place) {
        Some(group) => group.code.clone(),
        None => pinned.inputs[place].code.clone(),
    }
}

fn gate(gate: &karat_registry::gates::GateResult) -> Gate {
    Gate {
        gate: gate.gate.clone(),
        measured: gate.measured,
        required: gate.required,
        passed: gate.passed,
        note: gate.note.clone(),
    }
}

fn decided(approval: &karat_registry::Approval) -> Decided {
    Decided {
        at: approval.at,
        decision: match approval.decision {
            DecisionKind::Approve => "approved",
            DecisionKind::Reject => "rejected",
        }
        .to_owned(),
        actor: approval.actor.clone(),
        why: approval.why.clone(),
    }
}

fn threshold_rule(spec: &spec::Model) -> String {
    match spec.threshold {
        spec::Threshold::Maximize(spec::Goal::Ks) => "the score where KS is greatest".to_owned(),
        spec::Threshold::Maximize(spec::Goal::F1) => "the score where F1 is greatest".to_owned(),
        spec::Threshold::Value(value) => format!("set to {value} by the model's file"),
        spec::Threshold::RecallAtLeast(share) => format!("the highest score that catches {share} of the positives"),
        spec::Threshold::PrecisionAtLeast(share) => {
            format!("the lowest score at which {share} of those flagged are positives")
        }
    }
}

fn split_rule(spec: &spec::Model) -> String {
    let part = |part: spec::SplitPart| match part {
        spec::SplitPart::Share(share) => format!("{share} of them"),
        spec::SplitPart::Window(window) => window.to_string(),
    };
    let split = &spec.split;
    let (validation, test) = (part(split.validation), part(split.test));
    match split.by {
        spec::SplitBy::Time => {
            format!("by time: the last {test} are the test part, the {validation} before them validation")
        }
        spec::SplitBy::Random => format!("at random: {test} are the test part, {validation} validation"),
        spec::SplitBy::Group => {
            let group = split.column.clone().unwrap_or_else(|| listed(&spec.spine.entities));
            format!(
                "by {group}, no one of which stands in two parts: {test} are the test part, {validation} validation"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use karat_core::DataType;
    use karat_serving::{Input, InputOrigin};

    use super::*;

    #[test]
    fn an_input_of_a_group_has_the_groups_code() {
        let input = |name: &str, code: &str| Input {
            name: name.to_owned(),
            data_type: DataType::Int,
            origin: InputOrigin::Request,
            words: name.to_owned(),
            code: Some(code.to_owned()),
            checks: Vec::new(),
        };
        let group = ReasonGroup {
            name: "late".to_owned(),
            words: "late".to_owned(),
            code: Some("G".to_owned()),
            inputs: vec![1],
        };
        let inputs = vec![input("a", "A"), input("b", "B")];
        let pinned = Pinned::new(Vec::new(), Vec::new(), Vec::new(), inputs).with_groups(vec![group]);
        assert_eq!([0, 1].map(|place| code_of(&pinned, place)), [Some("A".to_owned()), Some("G".to_owned())]);
    }
}
