//! The other version: the champion beside a challenger, or the challenger beside the champion.

use anyhow::Result;
use karat_registry::{CHAMPION, ModelVersion, RegisteredModel, Run};
use karat_report::card::{Evaluation, Measured, Part, Rival, Split};
use serde::Deserialize;

use super::Traces;
use crate::Workspace;
use crate::train::champion::COMPARISON_FILE;

const CHALLENGER: &str = "challenger";

/// As far as a card needs a run's comparison.
#[derive(Deserialize)]
struct Compared {
    champion_digest: String,
    rows: u64,
    #[serde(default)]
    from: Option<karat_core::Instant>,
    challenger_evaluation: Part,
    champion_evaluation: Part,
}

pub async fn find(
    workspace: &Workspace,
    version: &ModelVersion,
    model: &RegisteredModel,
    own: Option<&Evaluation>,
) -> Result<Option<Rival>> {
    let champion = model.aliases.get(CHAMPION).copied();
    let newest_other = (1..=model.versions).rev().find(|number| *number != version.version);
    let (number, role) = match champion {
        Some(champion) if champion != version.version => (Some(champion), CHAMPION),
        _ => match model.aliases.get(CHALLENGER).copied().filter(|number| *number != version.version) {
            Some(number) => (Some(number), CHALLENGER),
            None => (newest_other, ""),
        },
    };
    let Some(number) = number else { return Ok(None) };
    let other = workspace.registry.version(&version.model, number).await?;
    let mut unsaid = Vec::new();
    let (ours, theirs) =
        (Traces::find(workspace, version, &mut unsaid).await?, Traces::find(workspace, &other, &mut unsaid).await?);
    let rival = |this: Option<Part>, part: Part, measured: Measured| Rival {
        label: other.label(),
        role: role.to_owned(),
        standing: other.standing.to_string(),
        this,
        other: part,
        measured,
    };
    let fair = |compared: &Compared| Measured::NewToBoth { rows: compared.rows, from: compared.from };
    let is = |digest: &str, version: &ModelVersion| version.digest.as_ref().is_some_and(|own| own.as_str() == digest);
    let comparison = async |run: &Traces| run.optional::<Compared>(workspace, COMPARISON_FILE).await.ok().flatten();
    if let Some(compared) = comparison(&ours).await.filter(|compared| is(&compared.champion_digest, &other)) {
        let measured = fair(&compared);
        return Ok(Some(rival(Some(compared.challenger_evaluation), compared.champion_evaluation, measured)));
    }
    if let Some(compared) = comparison(&theirs).await.filter(|compared| is(&compared.champion_digest, version)) {
        let measured = fair(&compared);
        return Ok(Some(rival(Some(compared.champion_evaluation), compared.challenger_evaluation, measured)));
    }
    let evaluation = theirs.optional::<Evaluation>(workspace, "evaluation.json").await.ok().flatten();
    let Some(evaluation) = evaluation else { return Ok(None) };
    let splits = (
        ours.optional::<Split>(workspace, "split.json").await.ok().flatten(),
        theirs.optional::<Split>(workspace, "split.json").await.ok().flatten(),
    );
    let same_commits = match (&ours.run, &theirs.run) {
        (Some(ours), Some(theirs)) => commits(ours) == commits(theirs),
        _ => false,
    };
    let same_test = match &splits {
        (Some(ours), Some(theirs)) => {
            let of =
                |split: &Split| (split.test.rows, split.test.positives, split.test.first_as_of, split.test.last_as_of);
            of(ours) == of(theirs)
        }
        _ => false,
    };
    if let (Some(own), true) = (own, same_test && same_commits) {
        return Ok(Some(rival(Some(own.test.clone()), evaluation.test, Measured::SameTestPart)));
    }
    Ok(Some(rival(None, evaluation.test, Measured::OwnTestParts)))
}

/// What a run read, by source.
fn commits(run: &Run) -> Vec<(&String, &String)> {
    run.params.iter().filter(|(name, _)| name.starts_with("commit.")).collect()
}
