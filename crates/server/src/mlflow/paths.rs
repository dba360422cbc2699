//! What a client calls a file, and where that is: never outside the folder of artifacts.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path as UrlPath};
use axum::http::request::Parts;
use karat_history::files::{FileStore, STAGED};

use super::Tracking;
use super::error::MlflowError;

/// The scheme of artifacts that lie behind the server.
pub const PROXIED: &str = "mlflow-artifacts:";

/// Checks a path that was percent-decoded once. Names that a second reading would take apart (`%2e`, `\`) are refused like
/// `..` itself.
pub fn checked(path: &str) -> Result<&str, MlflowError> {
    let bad = |name: &str| {
        name.is_empty() || matches!(name, "." | "..") || name.contains(['\\', '#', '\0']) || name.starts_with(STAGED)
    };
    let windows = path.as_bytes().get(1) == Some(&b':');
    let encoded = ["%2e", "%2f", "%5c", "%25", "%00"].iter().any(|code| path.to_ascii_lowercase().contains(code));
    match windows || encoded || path.split('/').any(bad) {
        true => Err(MlflowError::invalid("Invalid path")),
        false => Ok(path),
    }
}

/// What a URL names below a route, percent-decoded once.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = MlflowError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, MlflowError> {
        match UrlPath::from_request_parts(parts, state).await {
            Ok(UrlPath(path)) => Ok(Named(path)),
            Err(_) => Err(MlflowError::invalid("Invalid path: it is no UTF-8")),
        }
    }
}

/// A file or folder, there or not.
pub struct Place {
    pub store: Arc<dyn FileStore>,
    pub path: String,
}

impl Place {
    fn new(store: &Arc<dyn FileStore>, path: &str) -> Result<Place, MlflowError> {
        Ok(Place { store: store.clone(), path: checked(path)?.to_owned() })
    }
}

/// Below the folder of artifacts, what Karat's own runs and models left: clients read it and leave it as it is.
const OWN: &str = "karat";

impl Tracking {
    /// The file or folder that a client reads under this path.
    pub(super) fn readable(&self, path: &str) -> Result<Place, MlflowError> {
        match path.strip_prefix(OWN).and_then(|rest| rest.strip_prefix('/')) {
            Some(own) => Place::new(self.own(), own),
            None => Place::new(self.artifacts(), path),
        }
    }

    /// The file that a client writes or deletes.
    pub(super) fn writable(&self, path: &str) -> Result<Place, MlflowError> {
        match path == OWN || path.starts_with("karat/") {
            true => Err(MlflowError::invalid(format!(
                "Invalid path '{path}': files of runs and models that Karat trained stay as they are; log into a run of \
                 your own"
            ))),
            false => Place::new(self.artifacts(), path),
        }
    }
}

/// The path of a run's folder under the root, of `mlflow-artifacts:/PATH` or `mlflow-artifacts://HOST/PATH`.
pub fn of_uri(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix(PROXIED)?;
    let path = match rest.strip_prefix("//") {
        Some(hosted) => hosted.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    Some(path.trim_matches('/'))
}

/// Where a client may say that an experiment's artifacts lie: with us, or anywhere that is not this machine's disk, since
/// clients reach that themselves.
pub fn location(uri: &str) -> Result<(), MlflowError> {
    if uri.contains(['#', '?']) || uri.split('/').any(|part| part == "..") {
        return Err(MlflowError::invalid(format!("Invalid artifact_location: '{uri}'")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        for bad in [
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/./b",
            "",
            "a\\..\\b",
            "..\\x",
            "%2e%2e/x",
            "a/%2E%2E/x",
            "a%2fb",
            "c:/x",
            "a\0b",
            "a#b",
            "%252e",
            ".staged-1",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        assert_eq!(checked("1/ab/artifacts/a b..txt").unwrap(), "1/ab/artifacts/a b..txt");
    }

    #[test]
    fn uris_name_folders_under_the_root() {
        assert_eq!(of_uri("mlflow-artifacts:/1/ab/artifacts"), Some("1/ab/artifacts"));
        assert_eq!(of_uri("mlflow-artifacts://host:5000/1/ab"), Some("1/ab"));
        assert_eq!(of_uri("artifacts/runs/credit"), None);
    }
}
