use super::reader::{Fields, Reader};
use super::scalar::{choice, name, text, whole};
use crate::spec::endpoint::{champion, four};
use crate::spec::{Endpoint, Log, Survives, UnknownKey};
use crate::yaml::Node;

pub(crate) fn endpoint(reader: &mut Reader<'_>, node: &Node) -> Option<Endpoint> {
    let mut fields = Fields::open(reader, node, "an endpoint")?;
    fields.allow("kind");
    let name_ = fields.required(reader, "name", name);
    let description = fields.optional(reader, "description", text);
    let model = fields.required(reader, "model", name);
    let alias = fields.optional(reader, "alias", name).unwrap_or_else(champion);
    let unknown_key = fields.optional(reader, "unknown_key", |reader, node| {
        choice(reader, node, &[("score", UnknownKey::Score), ("reject", UnknownKey::Reject)])
    });
    let reasons = fields.optional(reader, "reasons", whole).unwrap_or_else(four);
    let log = fields.optional(reader, "log", log).unwrap_or_default();
    fields.close(reader);
    let unknown_key = unknown_key.unwrap_or_default();
    Some(Endpoint { name: name_?, description, model: model?, alias, unknown_key, reasons, log })
}

fn log(reader: &mut Reader<'_>, node: &Node) -> Option<Log> {
    let mut fields = Fields::open(reader, node, "`log`")?;
    let survives = fields.optional(reader, "survives", |reader, node| {
        choice(reader, node, &[("crash", Survives::Crash), ("power_loss", Survives::PowerLoss)])
    });
    fields.close(reader);
    Some(Log { survives: survives.unwrap_or_default() })
}
