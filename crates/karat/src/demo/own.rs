//! What the story says of a project it knows nothing about but its files.

use anyhow::{Context, Result};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use karat_jobs::catalog::listed;
use karat_jobs::{Workspace, example, query};
use karat_project::spec::key_columns;

use super::story::Story;
use crate::output::{percent, thousands};

/// The decision that is asked for, and how the story speaks of it.
pub struct Asked {
    pub body: String,
    /// `client`
    pub who: String,
    /// `a late month`
    pub chance_of: String,
}

/// What there is to learn from.
pub async fn label(workspace: &Workspace, model: &str, story: &mut Story) -> Result<()> {
    let model = workspace.model(model)?;
    let spine = &model.spine;
    let name = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let keys = key_columns(spine.entities.iter().map(|entity| &workspace.project.entities()[entity]));
    let keys: Vec<String> = keys.iter().map(|key| name(&key.name)).collect();
    let counted = match keys.as_slice() {
        [one] => one.clone(),
        several => format!("struct({})", several.join(", ")),
    };
    // What later events make of a row is known once it is trained on.
    let label = spine.label.column().map_or_else(|| "CAST(NULL AS BIGINT)".to_owned(), name);
    let sql = format!(
        "SELECT count(*), count(DISTINCT {}), count({label}), coalesce(sum(CAST({label} AS BIGINT)), 0) FROM {}",
        counted,
        name(&spine.source),
    );
    let answered = query::run(workspace, &sql).await?;
    let counts = answered.batches.first().context("a count has one row")?;
    let count = |place: usize| -> Result<u64> {
        Ok(cast(counts.column(place), &DataType::UInt64)?.as_primitive::<UInt64Type>().value(0))
    };
    let [rows, different, labelled, positives] = [count(0)?, count(1)?, count(2)?, count(3)?];
    story.say(&format!(
        "{} rows of {}, {} different {}",
        thousands(rows),
        spine.source,
        thousands(different),
        keys.join(", ")
    ));
    if let Some(events) = spine.label.events() {
        story.say(&format!("the label: what {} says of the {} after each row's as_of", events.source, events.observe));
    } else {
        let share = percent(positives as f64 / (labelled as f64).max(1.0));
        story.say(&format!(
            "{} of {} with a label are {}: {share}",
            thousands(positives),
            thousands(labelled),
            chance_of(model)
        ));
    }
    for (name, number) in [("rows", rows), ("keys", different), ("labelled", labelled), ("positives", positives)] {
        story.keep(name, number);
    }
    Ok(())
}

/// The latest row that turned out as predicted, asked about again as of its own time.
pub async fn asked(workspace: &Workspace, model: &str) -> Result<Asked> {
    let model = workspace.model(model)?;
    let example = example::run(workspace, model).await?;
    let body = serde_json::to_string(&example)?;
    Ok(Asked { body, who: listed(&model.spine.entities), chance_of: chance_of(model) })
}

/// The outcome that is predicted, in the model's words: `late_flag = late`.
fn chance_of(model: &karat_project::spec::Model) -> String {
    let positive = model.labels.as_ref().map_or("true", |[_, positive]| positive);
    format!("{} = {positive}", model.spine.label.name())
}
