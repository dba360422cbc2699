use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use karat_project::{NewFolder, WriteError};

use super::Plan;

/// Writes the project: refuses, before the first write, a folder that holds one or a file that would be changed. The
/// file that makes it a project comes last, so that a folder that has it is complete.
pub fn write(plan: &Plan, dir: &Path) -> Result<Vec<String>> {
    let files: Vec<(&str, &[u8])> = plan.files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
    let folder = NewFolder::new(dir, &files)?;
    let mut written: Vec<String> = plan.files.iter().map(|(path, _)| path.clone()).collect();
    if let Some((from, to)) = &plan.copy {
        let to_path = dir.join(to);
        if to_path.exists() && !alike(from, &to_path)? {
            return Err(WriteError::WouldChange(to_path).into());
        }
        let data = to_path.parent().context("a file in a project's folder lies in a folder")?;
        std::fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
        std::fs::copy(from, &to_path).with_context(|| format!("{} cannot be written", to_path.display()))?;
        written.push(to.clone());
    }
    folder.write()?;
    Ok(written)
}

fn alike(one: &Path, other: &Path) -> Result<bool> {
    let digest = |path: &Path| -> Result<karat_core::Digest> {
        let mut digest = karat_core::DigestWriter::new();
        let mut file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(digest.finish()),
                read => digest.update(&buffer[..read]),
            }
        }
    };
    Ok(digest(one)? == digest(other)?)
}
