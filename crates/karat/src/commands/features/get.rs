use karat_jobs::Workspace;
use karat_jobs::catalog::listed;
use karat_jobs::features_get::KeyFeatures;

use crate::output::{heading, indent, quoted, table};

pub fn human(found: &KeyFeatures, workspace: &Workspace) -> String {
    let view = &workspace.project.views()[&found.view];
    let known = if found.known_at == found.as_of { String::new() } else { format!(", as known at {}", found.known_at) };
    let title =
        format!("{} of {} {}, as of {}{known}", found.view, listed(&view.entities), quoted(&found.key), found.as_of);
    let rows = found.features.iter().map(|(name, value)| {
        let words = view.features.get(name).and_then(|feature| feature.words.clone());
        [name.clone(), quoted(value), words.unwrap_or_default()]
    });
    let mut text = format!("{}\n{}", heading(&title), indent(&table(["", "", ""], &[1], rows)));
    if found.no_history {
        text.push_str(&format!("\nno event of this {} was visible then", listed(&view.entities)));
    }
    text.push_str(&format!("\ndefinition {}, {} up to commit {}", found.definition.short(), view.source, found.commit));
    text
}
