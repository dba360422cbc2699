//! From files to endpoints, as a graph.

use std::collections::BTreeMap;

use anyhow::Result;
use karat_core::{Name, thousands};
use karat_history::Snapshot;
use karat_project::spec::{Check, Endpoint, Label, Origin, Source};
use karat_project::{Project, sql_tables};
use karat_report::catalogue::ViewEntry;
use karat_report::lineage::{Edge, EdgeKind, Lineage, Node, NodeKind};
use karat_report::words;

use super::CatalogueReader;
use super::uses::{self, Taken, TakenView, versions};
use crate::Catalog;
use crate::catalog::listed;

impl CatalogueReader {
    pub(super) async fn lineage(&self, project: &Project, catalog: &Catalog) -> Result<Lineage> {
        let mut graph = Graph { nodes: Vec::new(), edges: Vec::new() };
        for source in project.sources().values() {
            let snapshot = self.history.snapshot(&source.name, None).await?;
            graph.add_source(project, source, snapshot.as_ref());
        }
        for entry in self.views(project, catalog).await? {
            graph.add_view(&entry);
        }
        for taken in versions(self, project, catalog).await? {
            graph.add_model(project, &taken);
        }
        for (service, views) in uses::services(project, catalog) {
            graph.add_service(&service, &views);
        }
        project.endpoints().values().for_each(|endpoint| graph.add_endpoint(endpoint));
        let project = project.config().name.to_string();
        Ok(Lineage { project, nodes: graph.nodes, edges: graph.edges })
    }
}

/// A lineage as it grows.
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Graph {
    fn add_view(&mut self, entry: &ViewEntry) {
        let id = id(NodeKind::View, entry.view.as_str());
        self.connect(self::id(NodeKind::Source, entry.source.as_str()), &id, EdgeKind::Rows, Vec::new());
        let mut notes = vec![format!(
            "{} of {}",
            words::counted(entry.features.len() as u64, "feature", "features"),
            listed(&entry.entities)
        )];
        notes.extend(entry.owner.as_ref().map(|owner| format!("owner {owner}")));
        notes.extend(
            entry
                .state
                .as_ref()
                .map(|state| format!("{} online, commit {}", words::counted(state.keys, "key", "keys"), state.commit)),
        );
        let unused = entry.features.values().filter(|feature| feature.flags.iter().any(|flag| flag.flag == "unused"));
        let unused = Some(unused.count() as u64).filter(|count| *count > 0);
        let flags = entry.flags.iter().map(|flag| flag.flag.replace('_', " "));
        let flags = flags.chain(unused.map(|count| format!("{} unused", words::counted(count, "feature", "features"))));
        self.nodes.push(Node { kind: NodeKind::View, name: entry.view.to_string(), notes, flags: flags.collect(), id });
    }

    fn add_model(&mut self, project: &Project, taken: &Taken) {
        let used = &taken.used;
        let name = match used.version {
            Some(version) => format!("{}/{version}", used.model),
            None => used.model.to_string(),
        };
        let id = id(NodeKind::Model, &name);
        let spec = project.models().get(&used.model);
        let mut notes = Vec::new();
        if !used.aliases.is_empty() {
            notes.push(used.aliases.join(", "));
        }
        notes.extend(spec.and_then(|spec| spec.owner.as_ref()).map(|owner| format!("owner {owner}")));
        let not_trained = "not trained yet".to_owned();
        let flags = if used.version.is_none() { vec![not_trained] } else { Vec::new() };
        for (view, TakenView { source, features, .. }) in &taken.views {
            self.add_earlier_view(view, source);
            self.connect(self::id(NodeKind::View, view.as_str()), &id, EdgeKind::Features, features.clone());
        }
        if let Some(spec) = spec {
            self.connect(self::id(NodeKind::Source, spec.spine.source.as_str()), &id, EdgeKind::Spine, Vec::new());
            if let Label::Events(label) = &spec.spine.label {
                self.connect(self::id(NodeKind::Source, label.source.as_str()), &id, EdgeKind::Label, Vec::new());
            }
        }
        for endpoint in &used.endpoints {
            self.connect(id.clone(), &self::id(NodeKind::Endpoint, endpoint.as_str()), EdgeKind::Answers, Vec::new());
        }
        self.nodes.push(Node { id, kind: NodeKind::Model, name, notes, flags });
    }

    /// A view that only a version has by now: it was renamed, or taken out, since that was trained.
    fn add_earlier_view(&mut self, view: &Name, source: &Name) {
        let id = id(NodeKind::View, view.as_str());
        if self.nodes.iter().any(|node| node.id == id) {
            return;
        }
        let source = self::id(NodeKind::Source, source.as_str());
        if self.nodes.iter().any(|node| node.id == source) {
            self.connect(source, &id, EdgeKind::Rows, Vec::new());
        }
        let flags = vec!["not in the project any more".to_owned()];
        self.nodes.push(Node { kind: NodeKind::View, name: view.to_string(), notes: Vec::new(), flags, id });
    }

    fn add_service(&mut self, service: &Name, views: &BTreeMap<Name, Vec<String>>) {
        let id = id(NodeKind::Service, service.as_str());
        for (view, features) in views {
            self.connect(self::id(NodeKind::View, view.as_str()), &id, EdgeKind::Features, features.clone());
        }
        let features = views.values().map(Vec::len).sum::<usize>() as u64;
        let notes = vec!["feature service".to_owned(), words::counted(features, "feature", "features")];
        let name = service.to_string();
        self.nodes.push(Node { id, kind: NodeKind::Service, name, notes, flags: Vec::new() });
    }

    fn connect(&mut self, from: String, to: &str, kind: EdgeKind, features: Vec<String>) {
        self.edges.push(Edge { from, to: to.to_owned(), kind, features });
    }

    fn add_endpoint(&mut self, endpoint: &Endpoint) {
        let id = id(NodeKind::Endpoint, endpoint.name.as_str());
        let notes = vec![format!("answers with {}@{}", endpoint.model, endpoint.alias)];
        let mut flags = Vec::new();
        if self.edges.iter().all(|edge| edge.to != id) {
            flags.push(format!("no version has the alias {}", endpoint.alias));
        }
        self.nodes.push(Node { id, kind: NodeKind::Endpoint, name: endpoint.name.to_string(), notes, flags });
    }

    fn add_source(&mut self, project: &Project, source: &Source, snapshot: Option<&Snapshot>) {
        let id = id(NodeKind::Source, source.name.as_str());
        let mut notes = Vec::new();
        for (name, note) in origins(source) {
            let origin = self::id(NodeKind::Origin, &name);
            self.connect(origin.clone(), &id, EdgeKind::Rows, Vec::new());
            if self.nodes.iter().all(|node| node.id != origin) {
                let notes = note.into_iter().collect();
                self.nodes.push(Node { id: origin, kind: NodeKind::Origin, name, notes, flags: Vec::new() });
            }
        }
        let read = read_by_sql(project, source);
        for name in &read {
            self.connect(self::id(NodeKind::Source, name.as_str()), &id, EdgeKind::Rows, Vec::new());
        }
        for rule in &source.contract {
            if let Check::Relation { source: other, .. } = &rule.check
                && !read.contains(other)
            {
                self.connect(self::id(NodeKind::Source, other.as_str()), &id, EdgeKind::Check, Vec::new());
            }
        }
        if source.sql.is_some() {
            notes.push("SQL".to_owned());
        }
        let mut flags = Vec::new();
        match snapshot {
            Some(snapshot) => {
                notes.push(format!("{} records, commit {}", thousands(snapshot.rows()), snapshot.commit));
                notes.push(format!("ingested {}", words::moment(snapshot.at)));
            }
            None if source.keep => flags.push("not ingested yet".to_owned()),
            None => notes.push("read in place".to_owned()),
        }
        notes.extend(source.owner.as_ref().map(|owner| format!("owner {owner}")));
        self.nodes.push(Node { id, kind: NodeKind::Source, name: source.name.to_string(), notes, flags });
    }
}

fn id(kind: NodeKind, name: &str) -> String {
    format!("{}:{name}", kind.as_str())
}

/// Where rows come from, with what it is. No address of a database: it may hold a password.
fn origins(source: &Source) -> Vec<(String, Option<String>)> {
    let mut origins = match source.origin() {
        Origin::Path(paths) => paths.iter().map(|path| (path.clone(), None)).collect(),
        Origin::Postgres(postgres) => match &postgres.table {
            Some(table) => vec![(table.clone(), Some("PostgreSQL table".to_owned()))],
            None => vec![(format!("{} query", source.name), Some("PostgreSQL query".to_owned()))],
        },
        Origin::Command(command) => {
            let program = command.run.first().cloned().unwrap_or_default();
            vec![(format!("{program} …"), Some(format!("command of {}", source.name)))]
        }
        Origin::Lookup(lookup) => vec![(lookup.url.clone(), Some(format!("look-ups of {}", source.name)))],
        Origin::Sql(_) | Origin::Pushed => Vec::new(),
    };
    if source.push.is_some() {
        origins.push((format!("{} pushes", source.name), Some("POST /v1/features/push".to_owned())));
    }
    origins
}

fn read_by_sql(project: &Project, source: &Source) -> Vec<Name> {
    let tables = source.sql.iter().flat_map(|sql| sql_tables(sql)).collect::<Vec<_>>();
    let names = project.upstream(source).into_iter();
    names.filter(|name| tables.iter().any(|table| table.name == name.as_str() || table.means(name))).collect()
}
