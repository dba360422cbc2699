use std::path::Path;

use karat_registry::{OWN_FILES, Run};

use crate::output::{duration, exact, heading, indent, millis, table};

/// `artifacts`: the folder of Karat's own.
pub fn human(run: &Run, artifacts: &Path) -> String {
    let took = run.end_time_ms.map(|end| format!(", took {}", duration((end - run.start_time_ms) as f64 / 1000.0)));
    let title = format!(
        "run {} ({}), {} by {} at {}{}",
        run.run_id,
        run.name,
        run.status.to_string().to_lowercase(),
        run.user,
        millis(run.start_time_ms),
        took.unwrap_or_default()
    );
    // A curve's points are in `--format json` of the run's files; its last point says little.
    let metrics = run.metrics.iter().filter(|metric| !metric.key.contains(".curve."));
    let metrics = metrics.map(|metric| [metric.key.clone(), exact(metric.value)]);
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        let rows: Vec<[String; 2]> = map.iter().map(|(name, value)| [name.clone(), value.clone()]).collect();
        table(["", ""], &[], rows)
    };
    let inputs = run.inputs.iter().map(|input| [input.context.clone(), input.name.clone(), input.digest.clone()]);
    let sections = [
        ("measures", table(["", ""], &[1], metrics)),
        ("parameters", pairs(&run.params)),
        ("data", table(["", "", ""], &[], inputs)),
        ("environment", pairs(&run.tags)),
    ];
    let mut text = heading(&title);
    for (name, section) in sections.into_iter().filter(|(_, section)| !section.is_empty()) {
        text.push_str(&format!("\n\n{}\n{}", heading(name), indent(&section)));
    }
    // As clients ask for them, unless they are at hand.
    let files = match run.artifact_uri.strip_prefix(OWN_FILES) {
        Some(own) => artifacts.join(own.trim_start_matches('/')).display().to_string(),
        None => run.artifact_uri.clone(),
    };
    text.push_str(&format!("\n\nits files: {files}"));
    if run.artifact_uri.starts_with(OWN_FILES) {
        text.push_str(&format!("\nagain: karat runs reproduce {}", run.run_id));
    }
    text
}
