//! A decision of a model: the one the test trained, else the project's champion, read where it was registered.

use anyhow::{Context, Result, bail};
use arrow::array::Int64Array;
use karat_core::{Name, Value, key};
use karat_features::Spine;
use karat_project::Project;
use karat_project::spec::ExpectDecision;
use karat_serving::{InputOrigin, ServingModel};
use serde_json::Value as Json;

use super::Around;
use super::expect::{Report, or_now};
use super::world::World;
use crate::catalog::key_arrays;
use crate::training_set::as_of_pass_over;
use crate::{Workspace, artifact};

pub(super) async fn check(
    project: &Project,
    world: &World,
    expected: &ExpectDecision,
    around: Around<'_>,
    at: &str,
    report: &mut Report<'_>,
) -> Result<()> {
    let model = model(project, world, &expected.decision, around).await?;
    if let Some(unknown) = expected.fields.keys().find(|name| !is_sent(&model, name)) {
        let names: Vec<&str> = model.pinned.request_fields().map(|(_, input)| input.name.as_str()).collect();
        let got = match names.as_slice() {
            [] => "no such field; the model takes none from a request".to_owned(),
            names => format!("no such field; the model takes {}", names.join(", ")),
        };
        report.failed(&format!("{at}.fields.{unknown}"), format!("field {unknown}"), "a field of the request", got);
        return Ok(());
    }
    let mut values = match &expected.row {
        Some(row) => {
            let inputs = &model.pinned.inputs;
            if let Some(unknown) = row.0.keys().find(|name| !inputs.iter().any(|input| input.name == **name)) {
                let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                let got = format!("no such input; the model has {}", names.join(", "));
                report.failed(&format!("{at}.row.{unknown}"), format!("input {unknown}"), "an input of the model", got);
                return Ok(());
            }
            let typed = inputs.iter().map(|input| {
                let value = row.0.get(&input.name).unwrap_or(&Json::Null);
                Value::from_json(value, input.data_type).with_context(|| format!("input {}", input.name))
            });
            typed.collect::<Result<Vec<Value>>>()?
        }
        None => of_key(world, &model, expected).await?,
    };
    let about = match &expected.key {
        Some(key) => format!("{} on {key}", expected.decision),
        None => format!("{} on the row", expected.decision),
    };
    for (input, value) in model.pinned.inputs.iter().zip(&mut values) {
        if let Err(refusal) = input.settle(value) {
            let got = format!("refused: {} fails its check `{}`", input.name, refusal.words());
            report.failed(at, about, "a decision", got);
            return Ok(());
        }
    }
    let mut row = vec![0.0; values.len()];
    model.model.encode_into(&values, &mut row)?;
    let score = model.model.score(&row);
    if let Some(wanted) = &expected.score {
        report.compare(&format!("{at}.score"), format!("the score of {about}"), wanted, &Json::from(score));
    }
    if let Some(wanted) = &expected.label {
        let got = model.model.label(score).to_string();
        if *wanted != got {
            let got = format!("{got} (score {score:.6}, threshold {:.6})", model.model.threshold());
            report.failed(&format!("{at}.label"), format!("the label of {about}"), wanted, got);
        }
    }
    Ok(())
}

fn is_sent(model: &ServingModel, field: &str) -> bool {
    model.pinned.request_fields().any(|(_, input)| input.name == field)
}

/// The model's inputs for a key, by the definitions it was trained with, from the given rows.
async fn of_key(world: &World, model: &ServingModel, expected: &ExpectDecision) -> Result<Vec<Value>> {
    let key = expected.key.as_ref().context("a decision has a key or a row")?;
    let key = key::from_json(&model.pinned.keys, key).context("the key of the decision")?;
    let mut rows = Vec::new();
    for (place, view) in model.views().iter().map(|read| &read.view).enumerate() {
        let spine = Spine {
            keys: key_arrays(view.key_columns(), [model.key_of(place, &key).as_slice()]),
            as_of: Int64Array::from(vec![or_now(world, expected.as_of).micros()]),
            known_at: None,
            since: None,
        };
        // Given rows stand in for the source's own, whatever the version was trained on.
        let snapshot = world.workspace.snapshot(&view.definition().source.name, None).await?;
        rows.push(as_of_pass_over(&world.workspace, view, &spine, snapshot).await?.0);
    }
    let values = model.pinned.inputs.iter().map(|input| match input.origin {
        InputOrigin::View { view, output } => Ok(Value::from_array(rows[view].column(output), 0)),
        InputOrigin::Request => {
            let sent = expected.fields.get(&input.name).unwrap_or(&Json::Null);
            Value::from_json(sent, input.data_type).with_context(|| format!("field {}", input.name))
        }
    });
    values.collect()
}

async fn model(project: &Project, world: &World, name: &Name, around: Around<'_>) -> Result<ServingModel> {
    let trained = world.workspace.registry.models().await?.into_iter().find(|model| model.name == name.as_str());
    if let Some(trained) = trained.filter(|model| model.versions > 0) {
        return load(&world.workspace, name, trained.versions).await;
    }
    let Some(registered) = Box::pin(Workspace::open_existing(project.clone(), around())).await? else {
        bail!("the test trains no {name}, and the project has none: expect `train: {name}` before its decision");
    };
    let models = registered.registry.models().await?;
    let found = models.iter().find(|model| model.name == name.as_str());
    let champion = found.and_then(|model| model.aliases.get(karat_registry::CHAMPION).copied());
    match champion {
        Some(champion) => load(&registered, name, champion).await,
        None => bail!("{name} has no champion yet: approve a version, or expect `train: {name}` before its decision"),
    }
}

async fn load(workspace: &Workspace, name: &Name, number: u64) -> Result<ServingModel> {
    let version = workspace.registry.version(name, number).await?;
    let digest = workspace.project.digest();
    artifact::serving_model(workspace, &version, (0, digest)).await
}
