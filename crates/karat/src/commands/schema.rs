//! `karat schema`: the JSON Schema of a kind of file, for editors. It is JSON whatever `--format` says.

use std::process::ExitCode;

use anyhow::Result;
use karat_core::nearest;
use karat_jobs::Usage;
use karat_project::{SCHEMA_KINDS, schema_of};

use crate::output;

pub fn run(kind: &str) -> Result<ExitCode> {
    let bare = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let known = SCHEMA_KINDS.into_iter().find(|known| bare(known) == bare(kind));
    let Some(schema) = known.and_then(schema_of) else {
        let hint = match nearest(kind, SCHEMA_KINDS) {
            Some(like) => format!("did you mean `{like}`?"),
            None => format!("there are {}", SCHEMA_KINDS.join(", ")),
        };
        return Err(Usage(format!("there is no kind `{kind}`: {hint}")).into());
    };
    output::line(&serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
