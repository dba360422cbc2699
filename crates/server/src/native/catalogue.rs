//! The feature catalogue and the lineage, as they leave.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use karat_core::statistics::FigureOf;
use karat_report::catalogue::{FeatureEntry, Flag, Use, ViewEntry};
use karat_report::lineage::{Edge, Node};
use serde::Serialize;
use utoipa::ToSchema;

use crate::AppState;
use crate::error::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureViews {
    views: Vec<FeatureView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureView {
    view: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[schema(value_type = Object)]
    tags: IndexMap<String, String>,
    entities: Vec<String>,
    /// The columns that are their key.
    keys: Vec<String>,
    source: String,
    /// The definition's digest.
    definition: String,
    /// How old an event may be to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_after: Option<String>,
    /// What the online store has; absent before the first materialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<FeatureState>,
    /// The newest commit of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_commit: Option<u64>,
    /// When the newest event happened, at the last materialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_event: Option<String>,
    /// Keys whose newest event was older than `stale_after` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_keys: Option<u64>,
    used_by: Vec<FeatureUse>,
    /// Feature services that have any of its features.
    services: Vec<String>,
    flags: Vec<FeatureFlag>,
    /// By name, in the order of the view.
    #[schema(value_type = std::collections::BTreeMap<String, Feature>)]
    features: IndexMap<String, Feature>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureState {
    /// The newest commit of the source in it.
    commit: u64,
    #[schema(format = DateTime)]
    at: String,
    keys: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Feature {
    /// `bool`, `int`, `float`, `text`, `date` or `timestamp`
    r#type: String,
    /// What computes it, as the view's file has it.
    #[schema(value_type = Object)]
    definition: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[schema(value_type = Vec<Object>)]
    checks: Vec<serde_json::Value>,
    used_by: Vec<FeatureUse>,
    /// Feature services that have it.
    services: Vec<String>,
    /// Of the values of all keys at the last materialization.
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<FeatureFigures>,
    flags: Vec<FeatureFlag>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureFigures {
    /// The instant that every key was read at.
    #[schema(format = DateTime)]
    as_of: Option<String>,
    keys: u64,
    /// `lengths` of a list feature: how many values each key's list has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    of: Option<FigureOf>,
    nulls: u64,
    /// From 0 to 1.
    null_share: f64,
    /// Different values; an estimate where there are many.
    distinct: u64,
    /// Least and greatest value, mean, quantiles, the most frequent values, each with how far off it may be.
    #[schema(value_type = Object)]
    summary: karat_core::profile::Summary,
    /// Keys by equal width of values, or value by value.
    #[schema(value_type = Vec<Object>)]
    histogram: Vec<karat_core::profile::Bin>,
}

/// A model that takes the feature.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureUse {
    model: String,
    /// Absent where only the model's file takes it so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    aliases: Vec<String>,
    /// Whether it was trained with the definition of today.
    current: bool,
    /// The endpoints that answer with this version.
    endpoints: Vec<String>,
}

/// Something odd, and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeatureFlag {
    /// `unused`, `stale`, `behind`, `not_materialized`, `not_ingested`, `redefined`, `always_null` or `always_empty`
    flag: String,
    message: String,
}

/// From files to endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineageGraph {
    project: String,
    nodes: Vec<LineageNode>,
    edges: Vec<LineageEdge>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LineageNode {
    /// Kind and name: `view:payment_history`
    id: String,
    /// `origin`, `source`, `view`, `model`, `service` or `endpoint`
    #[schema(value_type = String)]
    kind: karat_report::lineage::NodeKind,
    name: String,
    notes: Vec<String>,
    /// What is odd about it.
    flags: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LineageEdge {
    from: String,
    to: String,
    /// `rows`, `check`, `spine`, `label`, `features` or `answers`
    #[schema(value_type = String)]
    kind: karat_report::lineage::EdgeKind,
    /// Of a view that a model takes: which features.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    features: Vec<String>,
}

/// The feature views: who uses each feature, how fresh it is, what its values look like.
#[utoipa::path(
    get, path = "/v1/features", tag = "features",
    responses(
        (status = OK, body = FeatureViews),
        (status = INTERNAL_SERVER_ERROR, description = "A defect, or a store that does not answer: the server's log says what", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn views(State(state): State<AppState>) -> Result<Json<FeatureViews>, Problem> {
    let views = state.catalogue.views().await?;
    Ok(Json(FeatureViews { views: views.into_iter().map(FeatureView::from).collect() }))
}

/// One feature view.
#[utoipa::path(
    get, path = "/v1/features/{view}", tag = "features",
    params(("view" = String, Path, description = "The feature view's name")),
    responses(
        (status = OK, body = FeatureView),
        (status = NOT_FOUND, description = "No such view", body = Problem, content_type = "application/problem+json"),
        (status = INTERNAL_SERVER_ERROR, description = "A defect, or a store that does not answer: the server's log says what", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn view(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<FeatureView>, Problem> {
    let Path(name) = path?;
    Ok(Json(state.catalogue.view(&name).await?.into()))
}

/// From files to endpoints, as a graph.
#[utoipa::path(
    get, path = "/v1/lineage", tag = "features",
    responses(
        (status = OK, body = LineageGraph),
        (status = INTERNAL_SERVER_ERROR, description = "A defect, or a store that does not answer: the server's log says what", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn lineage(State(state): State<AppState>) -> Result<Json<LineageGraph>, Problem> {
    let lineage = state.catalogue.lineage().await?;
    Ok(Json(LineageGraph {
        project: lineage.project,
        nodes: lineage.nodes.into_iter().map(LineageNode::from).collect(),
        edges: lineage.edges.into_iter().map(LineageEdge::from).collect(),
    }))
}

/// From files to endpoints, as a picture.
#[utoipa::path(
    get, path = "/v1/lineage.svg", tag = "features",
    responses(
        (status = OK, body = String, content_type = "image/svg+xml"),
        (status = INTERNAL_SERVER_ERROR, description = "A defect, or a store that does not answer: the server's log says what", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn picture(State(state): State<AppState>) -> Result<Response, Problem> {
    let svg = state.catalogue.lineage().await?.svg();
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], svg).into_response())
}

impl From<ViewEntry> for FeatureView {
    fn from(entry: ViewEntry) -> FeatureView {
        let as_of = entry.freshness.as_of.map(|as_of| as_of.to_string());
        let feature = |(name, feature)| (name, Feature::of(feature, as_of.as_deref()));
        FeatureView {
            view: entry.view.to_string(),
            description: entry.description,
            owner: entry.owner,
            tags: entry.tags,
            entities: entry.entities.iter().map(ToString::to_string).collect(),
            keys: entry.keys,
            source: entry.source.to_string(),
            definition: entry.definition.to_string(),
            ttl: entry.ttl.map(|window| window.to_string()),
            stale_after: entry.stale_after.map(|window| window.to_string()),
            state: entry.state.map(|state| FeatureState {
                commit: state.commit,
                at: state.at.to_string(),
                keys: state.keys,
            }),
            newest_commit: entry.newest_commit,
            newest_event: entry.freshness.newest_event.map(|event| event.to_string()),
            stale_keys: entry.freshness.stale_keys,
            used_by: entry.used_by.into_iter().map(FeatureUse::from).collect(),
            services: entry.services.iter().map(ToString::to_string).collect(),
            flags: entry.flags.into_iter().map(FeatureFlag::from).collect(),
            features: entry.features.into_iter().map(feature).collect(),
        }
    }
}

impl Feature {
    fn of(entry: FeatureEntry, as_of: Option<&str>) -> Feature {
        let statistics = entry.statistics.map(|taken| FeatureFigures {
            as_of: as_of.map(str::to_owned),
            keys: taken.summary.rows,
            of: Some(taken.of).filter(|of| *of == FigureOf::Lengths),
            nulls: taken.summary.nulls,
            null_share: taken.summary.null_share(),
            distinct: taken.summary.distinct,
            summary: taken.summary,
            histogram: taken.histogram,
        });
        Feature {
            r#type: entry.data_type,
            definition: entry.definition,
            words: entry.words,
            description: entry.description,
            checks: entry.checks,
            used_by: entry.used_by.into_iter().map(FeatureUse::from).collect(),
            services: entry.services.iter().map(ToString::to_string).collect(),
            statistics,
            flags: entry.flags.into_iter().map(FeatureFlag::from).collect(),
        }
    }
}

impl From<Use> for FeatureUse {
    fn from(used: Use) -> FeatureUse {
        FeatureUse {
            model: used.model.to_string(),
            version: used.version.map(|version| version.to_string()),
            aliases: used.aliases,
            current: used.current,
            endpoints: used.endpoints.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Flag> for FeatureFlag {
    fn from(flag: Flag) -> FeatureFlag {
        FeatureFlag { flag: flag.flag.to_owned(), message: flag.message }
    }
}

impl From<Node> for LineageNode {
    fn from(node: Node) -> LineageNode {
        LineageNode { id: node.id, kind: node.kind, name: node.name, notes: node.notes, flags: node.flags }
    }
}

impl From<Edge> for LineageEdge {
    fn from(edge: Edge) -> LineageEdge {
        LineageEdge { from: edge.from, to: edge.to, kind: edge.kind, features: edge.features }
    }
}
