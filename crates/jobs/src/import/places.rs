//! Where the files of another server lie below its folder, and under which URI they are found here. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use karat_registry::Experiment;

const PROXIED: &str = "mlflow-artifacts:";
/// Below our folder, what Karat's own runs left.
const OWN: &str = "karat";

/// A file or folder of the other server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path below the folder of artifacts, there and here.
    pub there: String,
    pub here: String,
}

#[derive(Debug, Default)]
pub struct Places {
    /// Folders that the folder at hand stands for: itself, and where it was on the server's machine.
    roots: Vec<String>,
    /// Of experiments, there and here.
    pub ids: BTreeMap<i64, i64>,
}

impl Places {
    /// `folder`: that of the artifacts, if files are to be taken. It may have been moved: then the experiments say where it was.
    pub fn new(folder: Option<&Path>, experiments: &[Experiment]) -> Places {
        let Some(folder) = folder else { return Places::default() };
        let itself = [folder.canonicalize().ok(), std::path::absolute(folder).ok()];
        let mut roots: Vec<String> =
            itself.into_iter().flatten().map(|path| path.to_string_lossy().into_owned()).collect();
        let servers: BTreeSet<String> = experiments.iter().filter_map(root_of).collect();
        let at_home = servers.iter().any(|root| roots.contains(root));
        if let (false, 1, Some(moved)) = (at_home, servers.len(), servers.into_iter().next()) {
            roots.push(moved);
        }
        Places { roots, ids: BTreeMap::new() }
    }

    /// `None` for what lies elsewhere, such as `s3://`.
    pub fn of(&self, uri: &str) -> Option<Place> {
        self.place(uri, &self.ids)
    }

    fn place(&self, uri: &str, ids: &BTreeMap<i64, i64>) -> Option<Place> {
        let path = match uri.strip_prefix(PROXIED) {
            Some(rest) => match rest.strip_prefix("//") {
                Some(hosted) => hosted.split_once('/').map_or("", |(_, path)| path).to_owned(),
                None => rest.to_owned(),
            },
            None => {
                let local = local(uri)?;
                let below = |root: &String| local.strip_prefix(root.as_str())?.strip_prefix('/').map(str::to_owned);
                self.roots.iter().find_map(below)?
            }
        };
        let there = path.trim_matches('/').to_owned();
        there.split('/').all(is_plain).then(|| Place { here: here(&there, ids), there })
    }

    /// A URI of theirs as it is here.
    pub fn uri(&self, uri: &str) -> String {
        self.uri_under(uri, &self.ids)
    }

    /// As [`Places::uri`], under other ids of experiments.
    pub fn uri_under(&self, uri: &str, ids: &BTreeMap<i64, i64>) -> String {
        match self.place(uri, ids) {
            Some(place) => format!("{PROXIED}/{}", place.here),
            None => uri.to_owned(),
        }
    }
}

/// Folders of experiments go by their ids, which may be others here.
fn here(there: &str, ids: &BTreeMap<i64, i64>) -> String {
    let (first, rest) = there.split_once('/').map_or((there, None), |(first, rest)| (first, Some(rest)));
    let first = match first.parse::<i64>().ok().and_then(|id| ids.get(&id)) {
        Some(id) => id.to_string(),
        None if first == OWN => format!("imported-{OWN}"),
        None => first.to_owned(),
    };
    rest.map(|rest| format!("{first}/{rest}")).unwrap_or(first)
}

/// Whether the server gives files at a URI to its clients.
pub fn is_behind_server(uri: &str) -> bool {
    uri.starts_with(PROXIED)
}

/// Whether files at a URI lie with the server, so that nobody else has them.
pub fn is_the_servers(uri: &str) -> bool {
    uri.starts_with(PROXIED) || local(uri).is_some()
}

/// What the server would read in a path as more than a name.
pub fn is_plain(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let encoded = ["%2e", "%2f", "%5c", "%25", "%00"].iter().any(|code| lower.contains(code));
    let named = !name.is_empty() && !matches!(name, "." | "..") && !name.starts_with(super::files::STAGED);
    named && !encoded && !name.contains(['\\', '#']) && !name.contains(|c: char| c.is_ascii_control())
}

/// The path of a URI on the server's own disk.
fn local(uri: &str) -> Option<String> {
    let path = match uri.strip_prefix("file:") {
        Some(rest) => {
            decoded(rest.strip_prefix("//").map_or(rest, |rest| rest.strip_prefix("localhost").unwrap_or(rest)))
        }
        None if uri.contains(':') || uri.is_empty() => return None,
        None => uri.to_owned(),
    };
    let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/');
    Some(path.to_owned())
}

/// The server's default folder, of an experiment whose files lie in it under the experiment's id.
fn root_of(experiment: &Experiment) -> Option<String> {
    let path = local(&experiment.artifact_location)?;
    let (root, last) = path.rsplit_once('/')?;
    (last == experiment.id.to_string()).then(|| root.to_owned())
}

/// `%20` and its like.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use karat_registry::Lifecycle;

    use super::*;

    fn experiment(id: i64, location: &str) -> Experiment {
        Experiment {
            id,
            name: format!("e{id}"),
            artifact_location: location.to_owned(),
            lifecycle_stage: Lifecycle::Active,
            creation_time_ms: 0,
            last_update_time_ms: 0,
            tags: BTreeMap::new(),
        }
    }

    fn places(locations: &[&str]) -> Places {
        let experiments: Vec<Experiment> =
            locations.iter().enumerate().map(|(id, location)| experiment(id as i64, location)).collect();
        let mut places = Places::new(Some(Path::new("/srv/mlruns")), &experiments);
        places.ids = [(0, 0), (1, 4)].into();
        places
    }

    #[test]
    fn files_of_the_server_are_found_below_its_folder_and_others_stay_where_they_are() {
        let at_home = places(&["file:///srv/mlruns/0", "/srv/mlruns/1"]);
        let uri = |uri: &str| at_home.uri(uri);
        assert_eq!(uri("mlflow-artifacts:/1/abc/artifacts"), "mlflow-artifacts:/4/abc/artifacts");
        assert_eq!(uri("mlflow-artifacts://host:5000/1/abc/artifacts"), "mlflow-artifacts:/4/abc/artifacts");
        assert_eq!(uri("mlflow-artifacts:/karat/runs/x"), "mlflow-artifacts:/imported-karat/runs/x");
        assert_eq!(uri("file:///srv/mlruns/1/a%20b/artifacts"), "mlflow-artifacts:/4/a b/artifacts");
        assert_eq!(uri("file://localhost/srv/mlruns/0/x"), "mlflow-artifacts:/0/x");
        assert_eq!(at_home.of("/srv/mlruns/1/x").unwrap().there, "1/x");
        for other in ["s3://bucket/1/x", "models:/m-1", "runs:/abc/m", "file:///srv/other/1/x", "/srv/mlruns2/1", ""] {
            assert_eq!(uri(other), other);
        }
        for bad in
            ["mlflow-artifacts:/1/../x", "mlflow-artifacts:/1//x", "mlflow-artifacts:/a%2e/x", "mlflow-artifacts:/"]
        {
            assert_eq!(uri(bad), bad);
        }
    }

    #[test]
    fn a_folder_that_was_moved_stands_for_where_it_was() {
        let moved = places(&["file:///home/mlflow/mlruns/0", "file:///home/mlflow/mlruns/1", "s3://bucket/2"]);
        assert_eq!(moved.uri("file:///home/mlflow/mlruns/1/x/artifacts"), "mlflow-artifacts:/4/x/artifacts");
        let relative = places(&["./mlruns/0", "mlruns/1"]);
        assert_eq!(relative.uri("./mlruns/1/x/artifacts"), "mlflow-artifacts:/4/x/artifacts");
        // Of two folders one is at hand, and nobody says which.
        let two = places(&["/a/0", "/b/1"]);
        assert_eq!(two.uri("/b/1/x"), "/b/1/x");
        assert_eq!(Places::default().uri("/srv/mlruns/1/x"), "/srv/mlruns/1/x");
    }
}
