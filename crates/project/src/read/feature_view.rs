use indexmap::IndexMap;

use super::entity::entities;
use super::feature::feature;
use super::reader::{Fields, Reader};
use super::scalar::{name, text, window};
use crate::spec::{Feature, FeatureView};
use crate::yaml::{Node, Shape};

pub(crate) fn feature_view(reader: &mut Reader<'_>, node: &Node) -> Option<FeatureView> {
    let mut fields = Fields::open(reader, node, "a feature view")?;
    fields.allow("kind");
    let name_ = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let owner = fields.optional(reader, "owner", text);
    let tags = fields.optional(reader, "tags", tags).unwrap_or_default();
    let entities = entities(reader, &mut fields);
    let source = fields.required(reader, "source", name);
    let ttl = fields.optional(reader, "ttl", window);
    let stale_after = fields.optional(reader, "stale_after", window);
    let online_horizon = fields.optional(reader, "online_horizon", window);
    let features = fields.required(reader, "features", features);
    fields.close(reader);
    Some(FeatureView {
        name: name_?,
        description,
        owner,
        tags,
        entities: entities?,
        source: source?,
        ttl,
        stale_after,
        online_horizon,
        features: features?,
    })
}

pub(super) fn tags(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, String>> {
    let mut tags = IndexMap::new();
    for entry in reader.entries(node, "tags (`name: text` lines)")? {
        tags.extend(text(reader, &entry.value).map(|text| (entry.key.clone(), text)));
    }
    Some(tags)
}

fn features(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, Feature>> {
    let entries = match &node.shape {
        Shape::List(_) => {
            return reader.wrong_with_help(node, "features by name", "write a line `name: {mean: column}` for each");
        }
        _ => reader.entries(node, "features by name (`name: {mean: column}` lines)")?,
    };
    let mut features = IndexMap::new();
    for entry in entries {
        features.extend(feature(reader, &entry.value).map(|feature| (entry.key.clone(), feature)));
    }
    Some(features)
}
