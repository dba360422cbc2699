use super::feature_view::tags;
use super::model::model_features;
use super::reader::{Fields, Reader};
use super::scalar::{name, text};
use crate::spec::FeatureService;
use crate::yaml::Node;

pub(crate) fn feature_service(reader: &mut Reader<'_>, node: &Node) -> Option<FeatureService> {
    let mut fields = Fields::open(reader, node, "a feature service")?;
    fields.allow("kind");
    let name_ = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let owner = fields.optional(reader, "owner", text);
    let tags = fields.optional(reader, "tags", tags).unwrap_or_default();
    let features =
        fields.required(reader, "features", |reader, node| reader.list(node, "a list of views", model_features));
    fields.close(reader);
    Some(FeatureService { name: name_?, description, owner, tags, features: features? })
}
