//! Where pages are written: `.karat/reports/`, or where the caller says.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Workspace;

/// A page by its name: `model-credit_default-1`, `source-loans`.
pub fn place(workspace: &Workspace, name: &str) -> PathBuf {
    let plain = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    workspace.state().join("reports").join(format!("{}.html", name.chars().map(plain).collect::<String>()))
}

/// The file appears whole or not at all.
pub fn write(path: &Path, html: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let name = path.file_name().with_context(|| format!("{} is no name of a file", path.display()))?;
    let part = folder.join(format!(".{}.part", name.to_string_lossy()));
    let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(html.as_bytes()));
    let renamed = written.and_then(|()| std::fs::rename(&part, path));
    if renamed.is_err() {
        std::fs::remove_file(&part).ok();
    }
    renamed.with_context(|| format!("{} cannot be written", path.display()))
}
