//! Where behind the server a file of a run, of a version or of a logged model lies.

use super::error::{Code, MlflowError};
use super::fields::Fields;
use super::{Tracking, model_versions, paths, validate};

pub async fn run_file(tracking: Tracking, fields: Fields) -> Result<String, MlflowError> {
    in_run(&tracking, fields.run_id()?, fields.required("path")?).await
}

pub async fn version_file(tracking: Tracking, fields: Fields) -> Result<String, MlflowError> {
    let (name, version) = (fields.required("name")?, fields.required("version")?);
    validate::model_name(name)?;
    let found = tracking.registry().active_version(name, validate::version(name, version)?).await?;
    let (folder, path) = (model_versions::location(&found), fields.required("path")?);
    match folder.strip_prefix("runs:/").and_then(|rest| rest.split_once('/')) {
        Some((run_id, within)) => in_run(&tracking, run_id, &format!("{within}/{path}")).await,
        None => below(&folder, path),
    }
}

pub async fn model_file(tracking: Tracking, fields: Fields) -> Result<String, MlflowError> {
    let missing = || MlflowError::invalid("Request must include the \"artifact_file_path\" query parameter.");
    let path = fields.text("artifact_file_path")?.filter(|path| !path.is_empty()).ok_or_else(missing)?;
    let model = tracking.registry().logged_model(fields.required("model_id")?, false).await?;
    below(&model.artifact_location, path)
}

pub async fn in_run(tracking: &Tracking, run_id: &str, path: &str) -> Result<String, MlflowError> {
    let run = tracking.registry().run_by_id(run_id).await?;
    below(&run.artifact_uri, path)
}

/// A path below a folder of ours.
fn below(uri: &str, path: &str) -> Result<String, MlflowError> {
    // As a path of its own it is what clients may say; where the whole leads is looked at again where the file is opened.
    paths::checked(path)?;
    let elsewhere = || {
        let message = format!("the files at {uri} are not behind this server: clients read and write them there");
        MlflowError::new(Code::NotImplemented, message)
    };
    let folder = paths::of_uri(uri).ok_or_else(elsewhere)?;
    Ok([folder, path].join("/"))
}
