use std::process::ExitCode;

use anyhow::Result;
use indexmap::IndexMap;
use karat_core::Digest;
use karat_jobs::Workspace;
use karat_project::spec::Feature;
use serde::Serialize;
use serde_json::Value as Json;

use crate::commands::Context;
use crate::output::{heading, indent, quoted, table};

#[derive(Debug, Serialize)]
struct Listed {
    view: String,
    description: Option<String>,
    entity: String,
    source: String,
    definition: Digest,
    features: IndexMap<String, ListedFeature>,
}

#[derive(Debug, Serialize)]
struct ListedFeature {
    #[serde(rename = "type")]
    data_type: String,
    /// As its file has it.
    definition: Json,
    words: Option<String>,
}

pub fn run(context: &Context, workspace: &Workspace) -> Result<ExitCode> {
    let catalog = workspace.catalog()?;
    let views = catalog.views.iter().map(|(name, planned)| {
        let features = planned.view.outputs().iter().map(|output| {
            let feature = &planned.spec.features[&output.name];
            let listed = ListedFeature {
                data_type: output.data_type.to_string(),
                definition: definition(feature),
                words: feature.words.clone(),
            };
            (output.name.clone(), listed)
        });
        Listed {
            view: name.to_string(),
            description: planned.spec.description.clone(),
            entity: planned.entity.name.to_string(),
            source: planned.spec.source.to_string(),
            definition: planned.digest.clone(),
            features: features.collect(),
        }
    });
    let views: Vec<Listed> = views.collect();
    context.output.print(&views, |views| views.iter().map(human).collect::<Vec<_>>().join("\n\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What computes it, without what only describes it.
fn definition(feature: &Feature) -> Json {
    let mut json = serde_json::to_value(feature).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|name, value| !matches!(name.as_str(), "words" | "description" | "checks") && !value.is_null());
    }
    json
}

fn human(listed: &Listed) -> String {
    let title = format!(
        "{} of {} from {} (definition {})",
        listed.view,
        listed.entity,
        listed.source,
        listed.definition.short()
    );
    let rows = listed.features.iter().map(|(name, feature)| {
        let fields = feature.definition.as_object().into_iter().flatten();
        let definition: Vec<String> = fields.map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
        [name.clone(), feature.data_type.clone(), definition.join(", "), feature.words.clone().unwrap_or_default()]
    });
    format!("{}\n{}", heading(&title), indent(&table(["feature", "type", "how", "words"], &[], rows)))
}
