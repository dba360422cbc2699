//! Lineage: what rows come from, what is computed of them, who learns from that and who answers with it. A graph as JSON,
//! and as one SVG picture.

mod layout;
mod picture;

use serde::Serialize;

/// Edges lead from where rows come from to where decisions are made; there is no cycle.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lineage {
    pub project: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// `view:payment_history`: kind and name, and unique.
    pub id: String,
    pub kind: NodeKind,
    pub name: String,
    /// What is to be known of it, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is odd about it and what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A file, a table of a database, a command's output, what clients push.
    Origin,
    Source,
    View,
    /// A version of a model, or a model that has none yet.
    Model,
    /// Features that are read together under one name.
    Service,
    Endpoint,
}

impl NodeKind {
    /// As JSON has it, and ids and classes begin.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeKind::Origin => "origin",
            NodeKind::Source => "source",
            NodeKind::View => "view",
            NodeKind::Model => "model",
            NodeKind::Service => "service",
            NodeKind::Endpoint => "endpoint",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub kind: EdgeKind,
    /// Of a view that a model takes: the features.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// Rows flow along it.
    Rows,
    /// Rows are held against others: a contract's `relation`.
    Check,
    /// Who is learned from, as of when, and what came of it, where the rows say it themselves.
    Spine,
    /// What came of it, where later events say it.
    Label,
    Features,
    /// A version answers.
    Answers,
}

impl Lineage {
    /// What leads to the nodes of this name and what follows from them; `None` where no node has it. An id is
    /// a name, too, and a model's name means all its versions.
    pub fn around(&self, name: &str) -> Option<Lineage> {
        let is_version = |node: &Node| node.kind == NodeKind::Model && node.name.split('/').next() == Some(name);
        let is_meant = |node: &&Node| node.name == name || node.id == name || is_version(node);
        let mut kept: Vec<&str> = self.nodes.iter().filter(is_meant).map(|node| node.id.as_str()).collect();
        if kept.is_empty() {
            return None;
        }
        let begun = kept.clone();
        for (along, against) in [(true, false), (false, true)] {
            let mut reached = begun.clone();
            let mut next = 0;
            while next < reached.len() {
                let here = reached[next];
                let onward = self.edges.iter().filter_map(|edge| match (along, against) {
                    (true, _) if edge.from == here => Some(edge.to.as_str()),
                    (_, true) if edge.to == here => Some(edge.from.as_str()),
                    _ => None,
                });
                let new: Vec<&str> = onward.filter(|id| !reached.contains(id)).collect();
                reached.extend(new);
                next += 1;
            }
            kept.extend(reached);
        }
        let is_kept = |id: &str| kept.contains(&id);
        Some(Lineage {
            project: self.project.clone(),
            nodes: self.nodes.iter().filter(|node| is_kept(&node.id)).cloned().collect(),
            edges: self.edges.iter().filter(|edge| is_kept(&edge.from) && is_kept(&edge.to)).cloned().collect(),
        })
    }
}
