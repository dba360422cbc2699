//! What a client names as a version's files: never another's, never a path of this machine.

use percent_encoding::percent_decode_str;

use super::error::{Code, MlflowError};
use super::registered_models::version_by_alias;
use super::{Tracking, model_versions, validate};

/// To what a client says the files belong.
#[derive(Debug, Default)]
pub struct Claim {
    pub run_id: Option<String>,
    pub model_id: Option<String>,
}

#[derive(Debug)]
pub struct Found {
    pub source: String,
    pub storage_location: String,
    pub run_id: String,
    pub model_id: String,
}

/// Checks a source as MLflow does, and follows `models:/` to the files.
pub async fn resolve(tracking: &Tracking, source: &str, claim: Claim) -> Result<Found, MlflowError> {
    let uri = Uri::of(source);
    if uri.scheme == "models" {
        if uri.authority.is_some() {
            return Err(MlflowError::invalid(format!(
                "Invalid model version source: '{source}'. Registered model sources must use the active model registry."
            )));
        }
        if let Reference::Version { name, wanted } = reference(source, &uri)? {
            return copy(tracking, source, (&name, &wanted), claim).await;
        }
    }
    let of_model = claim.model_id.as_deref().is_some_and(|id| !id.is_empty());
    let claimed = if of_model { "model_id" } else { "run_id" };
    let not_theirs = || not_contained(source, claimed);
    if is_local(&uri) {
        return Err(local(source, claimed, of_model));
    }
    no_relative_parts(source)?;
    let mut found = Found {
        source: source.to_owned(),
        storage_location: source.to_owned(),
        run_id: claim.run_id.unwrap_or_default(),
        model_id: claim.model_id.unwrap_or_default(),
    };
    let root = match of_model {
        true => match tracking.registry().logged_model(&found.model_id, false).await {
            Ok(model) => {
                if found.run_id.is_empty() {
                    found.run_id = model.source_run_id.clone();
                }
                Some(model.artifact_location)
            }
            Err(_) => None,
        },
        false => None,
    };
    match uri.scheme.as_str() {
        "runs" => {
            let run_id = uri.path.trim_start_matches('/').split('/').next().unwrap_or_default();
            if of_model || uri.authority.is_some() || run_id.is_empty() || run_id != found.run_id {
                return Err(not_theirs());
            }
        }
        "models" => match reference(source, &uri)? {
            Reference::Logged(id) if of_model && id == found.model_id => {
                found.storage_location = root.ok_or_else(not_theirs)?;
            }
            _ => return Err(not_contained(source, "model_id")),
        },
        _ if is_artifact(&uri) => {
            let root = match of_model {
                true => root,
                false => run_root(tracking, &found.run_id).await?,
            };
            if !root.is_some_and(|root| contains(&Uri::of(&root), &uri)) {
                return Err(not_theirs());
            }
        }
        _ => {}
    }
    Ok(found)
}

/// Of `models:/NAME/…`: the files of that version, which say whose they are.
async fn copy(
    tracking: &Tracking,
    source: &str,
    (name, wanted): (&str, &str),
    claim: Claim,
) -> Result<Found, MlflowError> {
    tracking.registry().model_with_latest(name).await?;
    let version = match wanted.strip_prefix('@') {
        Some(alias) => version_by_alias(tracking, name, alias).await?,
        None => match wanted.parse() {
            Ok(number) => tracking.registry().active_version(name, number).await?,
            Err(_) => latest_of_stage(tracking, name, wanted).await?,
        },
    };
    let run_id = version.run_id.as_ref().map_or(version.source_run_id.clone(), |run_id| run_id.to_string());
    let differs = |claimed: &Option<String>, actual: &str| claimed.as_deref().is_some_and(|claimed| claimed != actual);
    if differs(&claim.run_id, &run_id) || differs(&claim.model_id, "") {
        return Err(MlflowError::invalid(format!(
            "Invalid model version source: '{source}'. The run_id and model_id request parameters must match the \
             referenced model version."
        )));
    }
    Ok(Found {
        source: format!("models:/{name}/{}", version.version),
        storage_location: model_versions::location(&version),
        run_id,
        model_id: String::new(),
    })
}

async fn latest_of_stage(
    tracking: &Tracking,
    name: &str,
    stage: &str,
) -> Result<karat_registry::ModelVersion, MlflowError> {
    if stage.eq_ignore_ascii_case("latest") {
        return version_by_alias(tracking, name, "latest").await;
    }
    let wanted = validate::stage(stage)?;
    let (_, latest) = tracking.registry().model_with_latest(name).await?;
    let missing = || format!("No versions of model with name '{name}' and stage '{stage}' found");
    let found = latest.into_iter().find(|version| version.stage == wanted);
    found.ok_or_else(|| MlflowError::new(Code::ResourceDoesNotExist, missing()))
}

async fn run_root(tracking: &Tracking, run_id: &str) -> Result<Option<String>, MlflowError> {
    if run_id.is_empty() {
        return Ok(None);
    }
    Ok(tracking.registry().run_by_id(run_id).await.ok().map(|run| run.artifact_uri))
}

/// What `models:/…` names.
enum Reference {
    Logged(String),
    /// `wanted`: a number, a stage, `latest`, or `@ALIAS`.
    Version {
        name: String,
        wanted: String,
    },
}

fn reference(source: &str, uri: &Uri) -> Result<Reference, MlflowError> {
    let parts: Vec<&str> = uri.path.trim_start_matches('/').split('/').collect();
    let blank = parts.iter().any(|part| part.trim().is_empty());
    let improper = !uri.path.starts_with('/') || blank;
    match parts.as_slice() {
        [name, wanted] if !improper => Ok(Reference::Version { name: (*name).into(), wanted: (*wanted).into() }),
        [one] if !improper => Ok(match one.rsplit_once('@') {
            Some((name, alias)) => Reference::Version { name: name.into(), wanted: format!("@{alias}") },
            None => Reference::Logged((*one).to_owned()),
        }),
        _ => Err(not_contained(source, "model_id")),
    }
}

fn not_contained(source: &str, claimed: &str) -> MlflowError {
    MlflowError::invalid(format!(
        "Invalid model version source: '{source}'. The {claimed} request parameter must identify the resource that \
         contains the source."
    ))
}

fn local(source: &str, claimed: &str, of_model: bool) -> MlflowError {
    let within = if of_model { "model_id" } else { "run_id" };
    MlflowError::invalid(format!(
        "Invalid model version source: '{source}'. To use a local path as a model version source, the {claimed} request \
         parameter has to be specified and the local path has to be contained within the artifact directory of the run \
         specified by the {within}."
    ))
}

/// As Python's `urlparse` takes it apart, as far as it matters here.
#[derive(Debug, PartialEq)]
struct Uri {
    /// In lower case; empty where there is none.
    scheme: String,
    authority: Option<String>,
    path: String,
}

impl Uri {
    fn of(text: &str) -> Uri {
        let is_scheme = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), text),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(hosted) => {
                let end = hosted.find(['/', '?', '#']).unwrap_or(hosted.len());
                (Some(hosted[..end].to_ascii_lowercase()), &hosted[end..])
            }
            None => (None, rest),
        };
        let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
        Uri { scheme, authority: authority.filter(|host| !host.is_empty()), path: path.to_owned() }
    }

    fn parts(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(unquoted).collect()
    }
}

fn is_local(uri: &Uri) -> bool {
    uri.scheme.is_empty() || uri.scheme == "file"
}

/// Whether the files lie behind a server like this.
fn is_artifact(uri: &Uri) -> bool {
    const ROUTE: [&str; 4] = ["api", "2.0", "mlflow-artifacts", "artifacts"];
    let over_http = matches!(uri.scheme.as_str(), "http" | "https");
    uri.scheme == "mlflow-artifacts" || over_http && uri.parts().windows(ROUTE.len()).any(|parts| parts == ROUTE)
}

fn contains(root: &Uri, uri: &Uri) -> bool {
    let (within, parts) = (root.parts(), uri.parts());
    root.scheme == uri.scheme && root.authority == uri.authority && !within.is_empty() && parts.starts_with(&within)
}

/// Nothing that another reading would lead elsewhere.
fn no_relative_parts(source: &str) -> Result<(), MlflowError> {
    let plain = unquoted(&source.replace('+', " "));
    let path = Uri::of(&plain).path;
    let path = path.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let moves = parts.iter().any(|part| matches!(*part, "." | ".."));
    if plain.contains('\0') || plain.split('/').any(|part| part == "..") || moves || !path.starts_with('/') {
        return Err(MlflowError::invalid(format!(
            "Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, \
             objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references \
             present. Please provide an absolute path."
        )));
    }
    Ok(())
}

/// Percent-decoded until nothing is left to decode.
fn unquoted(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return text;
        }
        text = decoded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart_as_python_does() {
        let uri = |scheme: &str, authority: Option<&str>, path: &str| Uri {
            scheme: scheme.into(),
            authority: authority.map(str::to_owned),
            path: path.into(),
        };
        for (text, expected) in [
            ("runs:/ab/model", uri("runs", None, "/ab/model")),
            ("s3://Bucket/a/b?x=1#y", uri("s3", Some("bucket"), "/a/b")),
            ("/local/path", uri("", None, "/local/path")),
            ("a:b", uri("a", None, "b")),
            ("1a:b", uri("", None, "1a:b")),
            ("mlflow-artifacts:/1/ab", uri("mlflow-artifacts", None, "/1/ab")),
        ] {
            assert_eq!(Uri::of(text), expected, "{text}");
        }
    }

    #[test]
    fn only_what_a_root_contains_is_within_it() {
        let root = Uri::of("mlflow-artifacts:/1/ab/artifacts");
        for (text, within) in [
            ("mlflow-artifacts:/1/ab/artifacts/model", true),
            ("mlflow-artifacts:/1/ab/artifacts", true),
            ("mlflow-artifacts:/1/ab", false),
            ("mlflow-artifacts:/1/ab/artifacts2", false),
            ("mlflow-artifacts://host/1/ab/artifacts", false),
            ("s3:/1/ab/artifacts", false),
        ] {
            assert_eq!(contains(&root, &Uri::of(text)), within, "{text}");
        }
    }

    #[test]
    fn relative_parts_are_found_in_every_disguise() {
        for bad in [
            "s3://b/a/../c",
            "s3://b/a/%2e%2e/c",
            "s3://b/a/%252e%252e/c",
            "s3://b/./c",
            "s3://b",
            "dbfs:a",
            "s3://b/a%00",
        ] {
            assert!(no_relative_parts(bad).is_err(), "{bad}");
        }
        for good in ["s3://b/a/c", "s3://b/a//c/", "runs:/ab/model", "gs://b/a..b/c"] {
            assert!(no_relative_parts(good).is_ok(), "{good}");
        }
    }
}
